"""A loopback site whose every path behaves as the test says: headers, delays, lies, silence."""

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
        first: statuses of the first requests; this answer comes after them.
        raw: sent as it is in place of status line, headers and body; the connection then ends.
        endless: sent again and again after `raw` until the other side leaves.
        is_reset: the connection ends with a TCP reset.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    promised: int | None = None
    drip_s: float = 0.0
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


class _Handler(BaseHTTPRequestHandler):
    site: ClassVar[Web]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.site.asked[self.path] += 1
        self.site.agents.add(self.headers.get("User-Agent", ""))
        answer = self.site.answers.get(self.path, Answer(status=404))
        nth = self.site.asked[self.path] - 1
        if nth < len(answer.first):
            answer = Answer(status=answer.first[nth])
        with contextlib.suppress(ConnectionError):
            if answer.raw is None and not answer.is_reset:
                self._send(answer)
            else:
                self._send_raw(answer)

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


@contextlib.contextmanager
def web(
    answers: Mapping[str, Answer], host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[Web]:
    """Serve paths at an address of this machine; every other path is a 404."""
    site = Web("", dict(answers))
    server = ThreadingHTTPServer((host, 0), type("Handler", (_Handler,), {"site": site}))
    server.daemon_threads = True
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
