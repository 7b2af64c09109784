"""A mail server of the tests' own, over a real socket: it takes what it is given, or says what a test tells it to."""

import socketserver
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import TracebackType
from typing import Self


class Talk(socketserver.StreamRequestHandler):
    """One client's conversation."""

    server: "Mailbox"

    def handle(self) -> None:
        self.say("220 here")
        while (line := self.rfile.readline().decode().strip()) and line.upper() != "QUIT":
            match line.partition(" ")[0].upper():
                case "EHLO":
                    self.say("250-here", "250-AUTH PLAIN", "250 SIZE 100000")
                case "AUTH":
                    self.server.logins.append(line)
                    self.say("235 welcome")
                case "DATA":
                    self.say("354 go on")
                    self.take()
                case _:
                    self.say("250 yes")
        self.say("221 bye")

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
    """`refuse` is answered to the end of a message instead of 250. `logins` are the lines of AUTH, as they came."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Talk)
        self.port = int(self.server_address[1])
        self.refuse = ""
        self.letters: list[EmailMessage] = []
        self.logins: list[str] = []
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
