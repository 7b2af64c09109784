"""A mail server of the tests' own, over a real socket: it takes what it is given, or says what a test tells it to."""

import socketserver
import ssl
import threading
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Tls = Literal["", "starttls", "smtps"]


class Talk(socketserver.StreamRequestHandler):
    """One client's conversation."""

    server: "Mailbox"
    is_private = False

    def setup(self) -> None:
        super().setup()
        if self.server.tls == "smtps":
            self.hide()

    def handle(self) -> None:
        self.say("220 here")
        while (line := self.rfile.readline().decode().strip()) and line.upper() != "QUIT":
            match line.partition(" ")[0].upper():
                case "EHLO":
                    self.say("250-here", *self.offers(), "250-AUTH PLAIN", "250 SIZE 100000")
                case "STARTTLS":
                    self.say("220 go on")
                    self.hide()
                case "AUTH":
                    self.server.logins.append(line)
                    self.server.private.append(self.is_private)
                    self.say("235 welcome")
                case "DATA":
                    self.say("354 go on")
                    self.take()
                case _:
                    self.say("250 yes")
        self.say("221 bye")

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def offers(self) -> list[str]:
        return ["250-STARTTLS"] if self.server.tls == "starttls" and not self.is_private else []

    def hide(self) -> None:
        """Encrypted from here on; whoever does not trust our certificate goes away."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server.certificate)
        self.request = self.connection = context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.is_private = True

    def say(self, *lines: str) -> None:
        for line in lines:
            self.wfile.write(f"{line}\r\n".encode())

    def take(self) -> None:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.replace(b"\r\n", b"\n"))
        if not self.server.refuse:
            letter = message_from_bytes(b"".join(lines), _class=EmailMessage, policy=policy.default)
            assert isinstance(letter, EmailMessage)
            self.server.letters.append(letter)
        self.say(self.server.refuse or "250 taken")


class Mailbox(socketserver.ThreadingTCPServer):
    """`refuse` is answered to the end of a message instead of 250. `logins` are the lines of AUTH, as they came, and `private` whether encrypted.

    With `tls` it shows the certificate of this file (`write_certificate`): offered by STARTTLS, or from the first byte.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, *, tls: Tls = "", certificate: Path = Path()) -> None:
        super().__init__(("127.0.0.1", 0), Talk)
        self.tls, self.certificate = tls, certificate
        self.port = int(self.server_address[1])
        self.refuse = ""
        self.letters: list[EmailMessage] = []
        self.logins: list[str] = []
        self.private: list[bool] = []
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def handle_error(self, request: object, client_address: object) -> None:
        """Who goes away in the middle of a handshake is no error of the server's."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


def write_certificate(path: Path, *hosts: str) -> Path:
    """A key and a certificate for these hosts, which nobody trusts who was not told to."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    names = [x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host) for host in hosts]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*form) + certificate.public_bytes(serialization.Encoding.PEM))
    return path
