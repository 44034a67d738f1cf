"""A loopback site whose every path behaves as the test says: headers, delays, lies, silence."""

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a path answers.

    Attributes:
        body: the bytes.
        status: the status code.
        headers: beside Content-Length.
        promised: Content-Length when it is not the body's.
        drip_s: pause after each byte.
        late_s: pause before the first.
        first: statuses of the first requests, with these headers; this answer comes after them.
        raw: sent as it is in place of status line, headers and body; the connection then ends.
        endless: sent again and again after `raw` until the other side leaves.
        is_reset: the connection ends with a TCP reset.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    promised: int | None = None
    drip_s: float = 0.0
    late_s: float = 0.0
    first: tuple[int, ...] = ()
    raw: bytes | None = None
    endless: bytes = b""
    is_reset: bool = False


@dataclass
class Web:
    """The site as a test sees it."""

    url: str
    answers: dict[str, Answer]
    asked: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)  # bytes of endless answers, by path
    agents: set[str] = field(default_factory=set)
    at_once: int = 0
    most_at_once: int = 0
    rate: float = 0.0  # requests a second, and 5 more, that are answered; 429 to the others
    excess: float = 0.0
    last_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def takes_one_more(self) -> bool:
        """True unless too many asked lately; a leaky bucket, as servers have it."""
        with self.lock:
            now_s = time.monotonic()
            excess = max(self.excess - (now_s - self.last_s) * self.rate, 0.0)
            if self.rate and excess > 5:
                return False
            self.excess, self.last_s = excess + 1, now_s
            return True

    def count(self, change: int) -> None:
        with self.lock:
            self.at_once += change
            self.most_at_once = max(self.most_at_once, self.at_once)


class _Handler(BaseHTTPRequestHandler):
    site: ClassVar[Web]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.site.asked[self.path] += 1
        self.site.agents.add(self.headers.get("User-Agent", ""))
        answer = self.site.answers.get(self.path, Answer(status=404))
        nth = self.site.asked[self.path] - 1
        if nth < len(answer.first):
            answer = replace(answer, status=answer.first[nth], body=b"")
        if not self.site.takes_one_more():
            answer = Answer(status=429)
        with contextlib.suppress(ConnectionError), self._counted():
            time.sleep(answer.late_s)
            if answer.raw is None and not answer.is_reset:
                self._send(answer)
            else:
                self._send_raw(answer)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        self.site.count(1)
        try:
            yield
        finally:
            self.site.count(-1)

    def _send_raw(self, answer: Answer) -> None:
        self.close_connection = True
        self.wfile.write(answer.raw or b"")
        while answer.endless:
            self.wfile.write(answer.endless)
            self.site.sent[self.path] += len(answer.endless)
            time.sleep(answer.drip_s)
        if answer.is_reset:  # lingering for 0 s is how a socket says so
            option = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
            self.connection.close()

    def _send(self, answer: Answer) -> None:
        length = len(answer.body) if answer.promised is None else answer.promised
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if not answer.drip_s:
            self.wfile.write(answer.body)
            self.close_connection = length != len(answer.body)
            return
        for byte in answer.body:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(answer.drip_s)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # of 5, the sixth who comes at once would wait for a second

    def handle_error(self, *_: object) -> None:
        """Say nothing of visitors who left."""


@contextlib.contextmanager
def web(
    answers: Mapping[str, Answer], host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[Web]:
    """Serve paths at an address of this machine; every other path is a 404."""
    site = Web("", dict(answers))
    server = _Server((host, 0), type("Handler", (_Handler,), {"site": site}))
    site.url = f"{'https' if tls else 'http'}://{host}:{server.server_port}"
    if tls is not None:  # each connection shakes hands in its own thread
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def unused_port() -> int:
    """Return a port of this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
