"""All settings of the service, from the environment and `.env`, read once at the start and passed on.

Every process reads the same ones and says what it needs: the receiver can't work without its webhook secrets, a worker not
without the keys that tokens are encrypted with. What is wrong is told all at once, with the mend.
"""

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import sqlalchemy as sa
from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Process = Literal["web", "worker", "beat", "console", "flower", "release", "connect", "setup"]

# What a process can't do without. Whoever is not named needs only what has a default.
NEEDS: dict[Process, tuple[str, ...]] = {
    "web": ("KOMMO_WEBHOOK_TOKEN", "XERO_WEBHOOK_KEY"),
    "worker": ("SECRET_KEYS",),
    "console": ("ADMIN_PASSWORD", "SECRET_KEYS"),
    "flower": ("ADMIN_PASSWORD",),
    "connect": ("SECRET_KEYS",),
    "setup": ("SECRET_KEYS", "KOMMO_WEBHOOK_TOKEN"),
}

MENDS = {
    "SECRET_KEYS": (
        "they encrypt tokens at rest; make one with: "
        "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
    ),
    "KOMMO_WEBHOOK_TOKEN": "it is the secret part of the address that Kommo calls; make one with: openssl rand -hex 24",
    "XERO_WEBHOOK_KEY": "copy the webhooks key from your app's page on developer.xero.com, exactly as it is shown",
    "ADMIN_PASSWORD": "choose a long one: the console and Flower show every deal, and let nobody in without it",
}


class SettingsError(Exception):
    """Settings that a person must mend; its text is for that person, a line a fault, and holds no secret."""

    def __init__(self, faults: Collection[str]) -> None:
        super().__init__(*faults)
        self.faults = tuple(faults)

    def __str__(self) -> str:
        return "\n".join(
            ("Mend these settings, in the environment or in .env:", *(f"  {fault}" for fault in self.faults))
        )


def _parts(value: object) -> object:
    """A comma-separated list, newest first, so that a secret can be rotated: old and new hold for a while."""
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if not parts:
        raise ValueError("there is nothing between its commas")
    return parts


def _are_keys(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    """Each has the form of a Fernet key, 32 bytes in base64: a worker finds out now, not when the first token is stored."""
    if not all(re.fullmatch(r"[A-Za-z0-9_-]{43}=", key.get_secret_value()) for key in keys):
        raise ValueError(f"it holds something that is no key; {MENDS['SECRET_KEYS']}")
    return keys


def _is_path_segment(tokens: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if not all(re.fullmatch(r"[A-Za-z0-9._~-]+", token.get_secret_value()) for token in tokens):
        raise ValueError("it stands in an address, so it may hold only letters, digits and . _ ~ -")
    return tokens


def _address(value: str) -> str:
    if not re.match(r"https?://[^/\s]+", value):
        raise ValueError("it must be an address that begins with https:// (or http:// on your own machine)")
    return value.rstrip("/")


def _account_address(value: str) -> str:
    if set(re.findall(r"{[^}]*}", value)) - {"{subdomain}"}:
        raise ValueError("only {subdomain} is replaced in it, nothing else in braces")
    return _address(value)


def _database(value: str) -> str:
    """Names our PostgreSQL driver where the address names none, as those that hosts hand out do."""
    value = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", value)
    try:
        url = sa.make_url(value)
    except (sa.exc.ArgumentError, ValueError):
        raise ValueError(
            "it is not a database's address; write one like postgresql+psycopg://user:password@host/name"
        ) from None
    if url.drivername not in ("postgresql+psycopg", "sqlite", "sqlite+pysqlite"):
        raise ValueError("it must begin with postgresql+psycopg:// or sqlite:///")
    return value


def _broker(value: str) -> str:
    if not re.match(r"(redis|rediss|unix|redis\+socket)://", value):
        raise ValueError("it must begin with redis:// or rediss:// (or unix:// for a socket)")
    return value


def _mail_address(value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"[^@\s,<>]+@[^@\s,<>]+", value):
        raise ValueError("it is not one e-mail address, as operator@acme.com")
    return value


def _mail_server(value: SecretStr | None) -> SecretStr | None:
    if value is not None and not _is_mail_server(value.get_secret_value()):
        raise ValueError(
            "it must be like smtp://user:password@host:587, or begin with smtps:// (letters like @ or / in a password as %40 and %2F)"
        )
    return value


def _is_mail_server(text: str) -> bool:
    """A password with a slash in it would be taken for the port, and be in the error that says so."""
    try:
        parts = urlsplit(text)
        return parts.scheme in {"smtp", "smtps"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _secret_address(value: SecretStr | None) -> SecretStr | None:
    if value is not None:
        _address(value.get_secret_value())
    return value


Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_parts)]
Address = Annotated[str, AfterValidator(_address)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Days = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Timing(BaseModel):
    """Periods in seconds, each with its reason; variables BRIDGE_LEASE_SECONDS and so on. Tests shrink them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    # A worker that died is noticed after at most this long. It says nothing about how long work may take: it is renewed.
    lease_seconds: Seconds = 10.0
    # Three renewals fit into a lease, so that two may fail.
    renew_seconds: Seconds = 3.0
    # A lost ring costs at most this; the question is one indexed read.
    sweep_seconds: Seconds = 2.0
    # Both systems are compared this often: what a webhook did not bring is then at most this late.
    reconcile_seconds: Seconds = 900.0
    # What nobody notices (a token revoked on a quiet day, a stage taken away) is then at most this old; some ten calls a connection.
    check_seconds: Seconds = 3600.0
    # How long nothing is done after a create whose answer was lost: a call that Xero still works on may take its time-out.
    quiet_seconds: Seconds = 60.0
    # A host that does not even accept a connection in this time is down.
    connect_timeout_seconds: Seconds = 5.0
    # Xero's slowest answers (batches of 50, PDFs) stay under it; giving up sooner would make unknown outcomes of good ones.
    read_timeout_seconds: Seconds = 60.0
    # How long the calls of new invoices and deals wait in place for their turn: shorter than giving the job back and reading everything
    # again. All else goes back to the ledger at once, so that no process is held by a PDF that has to wait.
    patience_seconds: Seconds = 3.0
    # Shrinks the vendors' limit windows; 1 outside of tests against the sandbox.
    time_factor: Seconds = 1.0

    @model_validator(mode="after")
    def _renews_in_time(self) -> Self:
        if self.renew_seconds * 2 > self.lease_seconds:
            raise ValueError(
                "BRIDGE_RENEW_SECONDS must be at most half of BRIDGE_LEASE_SECONDS, or a late renewal loses the lease"
            )
        return self


class Keeping(BaseModel):
    """How many days what has ended is kept, each with its reason; variables KEEP_JOBS_DAYS and so on.

    Those of a deal count from the last thing that happened to it, so that what is told of a deal is told whole. What is still needed stays:
    links for ever, sends without a verdict, jobs until they are done.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    # What a vendor sent, byte for byte, with clients' names in it: a month is long enough to ask what was behind last month's books.
    deliveries_days: Days = 30.0
    # What was not understood is a fault of ours or a stranger's: it waits for somebody who has the time to look.
    problems_days: Days = 180.0
    # Tries and their calls are most of the ledger's bulk, and are asked for within days of a fault.
    attempts_days: Days = 30.0
    # A quarter, with its tax return: which deals became invoices when, and at whose word.
    jobs_days: Days = 90.0
    # The exact bodies of creating calls: once answered, nothing asks for them but a person with a doubt about last month's invoices.
    sends_days: Days = 30.0


class Settings(BaseSettings):
    """The environment, as .env.example explains it; a field is its variable in lower case. Build it with `load`."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,  # a copied .env.example leaves most of them empty
        env_nested_delimiter="_",
        env_nested_max_split=1,  # BRIDGE_LEASE_SECONDS is `lease_seconds` of `bridge`
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    database_url: Annotated[str, AfterValidator(_database), Field(repr=False)] = "sqlite:///var/bridge.db"
    redis_url: Annotated[str, AfterValidator(_broker), Field(repr=False)] = "redis://127.0.0.1:6379/0"
    port: Port = 8000
    console_port: Port = 8001
    flower_port: Port = 5555
    public_url: Address = Field(default_factory=lambda known: f"http://localhost:{known['port']}")
    console_url: Address = Field(default_factory=lambda known: f"http://localhost:{known['console_port']}")
    secret_keys: Annotated[Secrets, AfterValidator(_are_keys)] = ()
    admin_password: SecretStr | None = None
    connections_file: Path = Path("connections.toml")
    kommo_client_id: str | None = None
    kommo_client_secret: SecretStr | None = None
    kommo_webhook_token: Annotated[Secrets, AfterValidator(_is_path_segment)] = ()
    kommo_api_url: Annotated[str, AfterValidator(_account_address)] = "https://{subdomain}.kommo.com"
    kommo_oauth_url: Address = "https://www.kommo.com/oauth"
    xero_client_id: str | None = None
    xero_client_secret: SecretStr | None = None
    xero_webhook_key: Secrets = ()
    xero_api_url: Address = "https://api.xero.com"
    xero_identity_url: Address = "https://identity.xero.com"
    xero_login_url: Address = "https://login.xero.com"
    # An app that was made before 2 March 2026 may not know the granular scopes yet (xero.md 1.8).
    xero_broad_scopes: bool = False
    notify_email: Annotated[str | None, AfterValidator(_mail_address)] = None
    smtp_url: Annotated[SecretStr | None, AfterValidator(_mail_server)] = None
    notify_webhook_url: Annotated[SecretStr | None, AfterValidator(_secret_address)] = None
    timing: Timing = Field(default=Timing(), validation_alias="bridge")
    keeping: Keeping = Field(default=Keeping(), validation_alias="keep")

    def kommo_base(self, subdomain: str) -> str:
        """The address of an account's API host."""
        return self.kommo_api_url.replace("{subdomain}", subdomain)

    def redirect_url(self, vendor: Literal["kommo", "xero"]) -> str:
        """Where a person comes back to from the vendor's consent page; it must be registered there to the letter."""
        return f"{self.console_url}/oauth/{vendor}/callback"

    @model_validator(mode="after")
    def _mail_goes_somewhere(self) -> Self:
        if (self.notify_email is None) != (self.smtp_url is None):
            raise ValueError("NOTIFY_EMAIL and SMTP_URL belong together; set both or neither")
        return self

    def kommo_webhook_url(self) -> str:
        """The address to register at Kommo: with the newest token. Holds a secret: not for logs."""
        return f"{self.public_url}/webhooks/kommo/{self.kommo_webhook_token[0].get_secret_value()}"


# Names another file than .env, or none (/dev/null): a trial beside a real installation must not take over what it leaves open.
ENV_FILE = "ENV_FILE"


def env_file_here() -> str:
    """The file that is read beside the environment."""
    return os.environ.get(ENV_FILE) or ".env"


def load(*, needs: Collection[Process] = (), env_file: str | Path | None = "") -> Settings:
    """The settings, of which each of `needs` has all that it can't do without. Raises SettingsError with every fault.

    `env_file` is read beside the environment: the usual one where it is empty, none where it is None.
    """
    env_file = env_file_here() if env_file == "" else env_file
    given = _given(env_file)
    if stray := [*_stray(given)]:
        raise SettingsError(stray)
    faults = list(_missing(given, needs))
    try:
        settings = Settings(_env_file=env_file)
    except ValidationError as fault:
        raise SettingsError([*_told(fault), *faults]) from None
    if faults:
        raise SettingsError(faults)
    return settings


def _given(env_file: str | Path | None) -> frozenset[str]:
    """The names of the variables that hold anything."""
    try:
        values = {**(dotenv_values(env_file) if env_file else {}), **os.environ}
    except (UnicodeDecodeError, OSError) as fault:
        raise SettingsError([f"{env_file} can't be read as text: {fault}"]) from None
    return frozenset(name.upper() for name, value in values.items() if value)


def _stray(given: frozenset[str]) -> Iterator[str]:
    # another program's, most likely; it would be read as all that begins with it
    for name in sorted(given & {"BRIDGE", "KEEP"}):
        yield f"{name} is set, and is no setting by itself: unset it (ours begin with {name}_)"


def _missing(given: frozenset[str], needs: Collection[Process]) -> Iterator[str]:
    wanted = {variable: process for process in needs for variable in NEEDS.get(process, ())}
    for variable, process in wanted.items():
        if variable not in given:
            yield f"{variable} is missing ({process} needs it): {MENDS[variable]}"
    for vendor in ("KOMMO", "XERO"):
        pair = (f"{vendor}_CLIENT_ID", f"{vendor}_CLIENT_SECRET")
        if len(absent := [name for name in pair if name not in given]) == 1:
            yield f"{absent[0]} is missing: {' and '.join(pair)} belong together; set both or neither"


def _told(fault: ValidationError) -> Iterator[str]:
    for error in fault.errors(include_url=False, include_input=False):
        # a default made of another setting is not its own fault when that one is wrong
        if error["type"] != "default_factory_not_called":
            yield f"{_variable(error['loc'])}: {error['msg'].removeprefix('Value error, ')}"


def _variable(place: tuple[Any, ...]) -> str:
    """The variable that a place in the settings came from; a list's index is no part of it."""
    name = "_".join(str(step) for step in place if isinstance(step, str)).upper()
    return re.sub(r"^KEEPING", "KEEP", re.sub(r"^TIMING", "BRIDGE", name))
