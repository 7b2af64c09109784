"""Secrets at rest: encrypted with the newest of SECRET_KEYS, readable with any of them, so that keys can be rotated."""

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr

from worker.settings import SettingsError

LOST_KEY = "SECRET_KEYS no longer holds the key that our tokens were encrypted with: put it back, or connect again"


class LostKey(SettingsError):
    """What was sealed can't be opened: its key is no longer, or not yet, among SECRET_KEYS of this process."""

    def __init__(self) -> None:
        super().__init__([LOST_KEY])


class Vault:
    """Seals and opens short texts. Raises LostKey where the keys don't fit: a person must put the right ones back."""

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        try:
            self._fernet = MultiFernet([Fernet(key.get_secret_value()) for key in keys])
        except ValueError:
            mend = "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
            raise SettingsError([f"SECRET_KEYS holds something that is no key; make one with: {mend}"]) from None

    def seal(self, text: str) -> bytes:
        """The text, encrypted."""
        return self._fernet.encrypt(text.encode())

    def rotate(self, sealed: bytes) -> bytes:
        """The same text, encrypted with the newest key; what was sealed when stays told."""
        try:
            return self._fernet.rotate(sealed)
        except InvalidToken:
            raise LostKey from None

    def open(self, sealed: bytes | None) -> str | None:
        """The text again; None stays None."""
        if sealed is None:
            return None
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise LostKey from None
