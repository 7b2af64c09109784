"""A load generator that costs little: one thread, an epoll and keep-alive connections, each with one request at a time."""

import re
import selectors
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

LENGTH = re.compile(rb"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)
CLOSES = re.compile(rb"^connection: *close", re.IGNORECASE | re.MULTILINE)
END = b"\r\n\r\n"
# A request that is not answered by then has failed.
PATIENCE = 10.0


@dataclass(slots=True)
class Load:
    """What came of some seconds of it. `answers` are seconds from the first byte sent to the last one read."""

    seconds: float = 0.0
    own_cpu: float = 0.0
    answers: list[float] = field(default_factory=list)
    failed: int = 0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.answers) / self.seconds if self.seconds else 0.0

    def add(self, other: "Load") -> None:
        """Another slice of the same."""
        self.seconds += other.seconds
        self.own_cpu += other.own_cpu
        self.answers += other.answers
        self.failed += other.failed


def request(url: str, body: bytes) -> bytes:
    """The bytes of one POST. Pure."""
    parts = urlsplit(url)
    lines = [
        f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}", "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}",
    ]  # fmt: skip
    return "\r\n".join(lines).encode() + END + body


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    closes: bool


def whole_answer(read: bytes) -> Answer | None:
    """The answer in what was read so far; None while something lacks. Pure."""
    head, found, body = read.partition(END)
    if not found:
        return None
    length = LENGTH.search(head)
    if len(body) < (int(length[1]) if length else 0):
        return None
    return Answer(int(head[9:12]), CLOSES.search(head) is not None)


@dataclass(slots=True)
class Line:
    """One connection, and the request that is under way on it."""

    socket: socket.socket
    sent: float = 0.0
    read: bytes = b""


class Generator:
    """Keeps the connections busy until its time is over."""

    def __init__(self, url: str, bodies: Iterator[bytes], *, ends: float) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._url, self._bodies, self._ends = url, bodies, ends
        self._selector = selectors.DefaultSelector()
        self.load = Load()

    def open_line(self) -> None:
        """One more connection, with its first request."""
        line = Line(socket.create_connection(self._address, PATIENCE))
        line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(line.socket, selectors.EVENT_READ, line)
        self._send(line)

    def work(self) -> None:
        """Until the last request that was sent in time is answered, or has failed."""
        while lines := self._selector.get_map():
            ready = self._selector.select(PATIENCE)
            if not ready:
                self.load.failed += len(lines)
                break
            for key, _ in ready:
                self._hear(key.data)

    def close(self) -> None:
        """What is still open."""
        for key in list(self._selector.get_map().values()):
            key.data.socket.close()
        self._selector.close()

    def _send(self, line: Line) -> None:
        line.sent, line.read = time.perf_counter(), b""
        line.socket.sendall(request(self._url, next(self._bodies)))

    def _hear(self, line: Line) -> None:
        try:
            said = line.socket.recv(65536)
        except ConnectionError:
            said = b""
        line.read += said
        answer = whole_answer(line.read)
        if answer is None and said:
            return
        if answer and answer.status == 200:
            self.load.answers.append(time.perf_counter() - line.sent)
        else:
            self.load.failed += 1
        self._go_on(line, is_open=answer is not None and not answer.closes)

    def _go_on(self, line: Line, *, is_open: bool) -> None:
        in_time = time.monotonic() < self._ends
        if in_time and is_open:
            self._send(line)
            return
        self._selector.unregister(line.socket)
        line.socket.close()
        if in_time:
            self.open_line()


def run(url: str, bodies: Iterator[bytes], *, connections: int, seconds: float) -> Load:
    """So many connections for so long; what is under way at the end is still answered and counted."""
    cpu, started = time.process_time(), time.monotonic()
    generator = Generator(url, bodies, ends=started + seconds)
    for _ in range(connections):
        generator.open_line()
    generator.work()
    generator.close()
    generator.load.seconds, generator.load.own_cpu = time.monotonic() - started, time.process_time() - cpu
    return generator.load
