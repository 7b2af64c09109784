"""Telling the operator: one e-mail over SMTP, or one POST with JSON. Each says what became of it; trying again is the caller's."""

import smtplib
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

from integrations.line import USER_AGENT, is_loopback

# Nobody waits for it, and a server that takes longer is asked again later.
TIMEOUT = 20.0

SUBMISSION, SUBMISSION_TLS = 587, 465


class NotSent(Exception):
    """It was not taken. The text names the fault and no secret; it may be tried again."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed over. `is_tls`: encrypted from the first byte; else by STARTTLS where the server offers it."""

    host: str
    port: int
    is_tls: bool
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, address: str) -> "MailServer":
        """From smtp://user:password@host:587 or smtps://…"""
        parts = urlsplit(address)
        is_tls = parts.scheme == "smtps"
        return cls(
            host=parts.hostname or "",
            port=parts.port or (SUBMISSION_TLS if is_tls else SUBMISSION),
            is_tls=is_tls,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
        )


def mail(server: MailServer, *, to: str, subject: str, text: str, message_id: str) -> None:
    """Hand one message over, from and to the operator. NotSent where the server does not take it, or would see the password unencrypted.

    The same `message_id` shows mail programs that a message which came twice is one.
    """
    message = EmailMessage()
    message["From"] = message["To"] = to
    message["Subject"] = subject
    message["Message-ID"] = f"<{message_id}@{to.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    try:
        _hand_over(server, message)
    except smtplib.SMTPResponseException as error:
        raise NotSent(f"{server.host} answered {error.smtp_code} ({type(error).__name__})") from None
    except (smtplib.SMTPException, OSError) as error:
        raise NotSent(f"{server.host}:{server.port}: {type(error).__name__}") from None


def _hand_over(server: MailServer, message: EmailMessage) -> None:
    secure = ssl.create_default_context()
    client: smtplib.SMTP
    if server.is_tls:
        client = smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT, context=secure)
    else:
        client = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT)
    try:
        client.ehlo()
        if not server.is_tls and client.has_extn("starttls"):
            client.starttls(context=secure)
            client.ehlo()
        elif server.user and not server.is_tls and not is_loopback(f"smtp://{server.host}"):
            raise NotSent(f"{server.host} offers no encryption, and the password is not sent without: use smtps://")
        if server.user:
            client.login(server.user, server.password)
        client.send_message(message)
    finally:
        with suppress(smtplib.SMTPException, OSError):  # what was taken is taken, whether it says goodbye or not
            client.quit()


def post(address: str, told: Mapping[str, Any]) -> None:
    """Send JSON there. NotSent unless the answer is a success; its text never holds the address, which may be a secret."""
    host = urlsplit(address).hostname or ""
    with requests.Session() as session:
        session.trust_env = not is_loopback(address)
        session.headers["User-Agent"] = USER_AGENT
        try:
            answer = session.post(address, json=dict(told), timeout=TIMEOUT, allow_redirects=False)
        except requests.RequestException as error:
            raise NotSent(f"{host}: {type(error).__name__}") from None
    if not 200 <= answer.status_code < 300:
        raise NotSent(f"{host} answered {answer.status_code}")
