"""A loopback site whose every path behaves as the test says: headers, delays, lies, silence."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


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
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    promised: int | None = None
    drip_s: float = 0.0
    first: tuple[int, ...] = ()


@dataclass
class Web:
    """The site as a test sees it."""

    url: str
    answers: dict[str, Answer]
    asked: Counter[str] = field(default_factory=Counter)
    agents: set[str] = field(default_factory=set)


@contextlib.contextmanager
def web(answers: Mapping[str, Answer]) -> Iterator[Web]:
    """Serve paths; every other path is a 404."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.asked[self.path] += 1
            site.agents.add(self.headers.get("User-Agent", ""))
            answer = site.answers.get(self.path, Answer(status=404))
            nth = site.asked[self.path] - 1
            if nth < len(answer.first):
                answer = Answer(status=answer.first[nth])
            with contextlib.suppress(ConnectionError):
                self._send(answer)

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

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site = Web(f"http://127.0.0.1:{server.server_port}", dict(answers))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
