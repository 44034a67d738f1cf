"""A web server on loopback that shows a built site, and is as awkward as the web.

Files are served as they are, over connections that stay open. Below four paths the server answers
in its own way: `/flaky/` says 503 once and then serves, `/moved/` redirects to `/pictures/`,
`/slow/` serves in pieces, `/stalled/` sends a byte now and then and never ends.
"""

import contextlib
import errno
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tasks.demo.facts import HOST, base_url
from tasks.errors import InputError

RETRY_AFTER_S = 1
SLOW_PIECES = 4
SLOW_PAUSE_S = 0.25
STALLED_PAUSE_S = 0.5
STALLED_LENGTH = 1 << 20
# Written out: what `mimetypes` knows differs from machine to machine (webp, for one).
CONTENT_TYPES = {
    "": "text/html",
    ".html": "text/html",
    ".txt": "text/plain",
    ".css": "text/css",
    ".js": "text/javascript",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
}


class SiteServer(ThreadingHTTPServer):
    """Serves one folder; remembers which flaky paths have failed already."""

    daemon_threads = True
    # On Linux this reuses ports in TIME_WAIT but never one that is being listened on.
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder.resolve()
        self.closing = threading.Event()
        self._failed_once: set[str] = set()
        self._lock = threading.Lock()
        super().__init__((HOST, port), _Handler)

    def first_time(self, path: str) -> bool:
        """True the first time it is asked about a path."""
        with self._lock:
            if path in self._failed_once:
                return False
            self._failed_once.add(path)
            return True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that hangs up is an ordinary visitor here."""


class _Handler(BaseHTTPRequestHandler):
    server: SiteServer
    protocol_version = "HTTP/1.1"
    timeout = 60
    # Headers and body leave in one packet; without NODELAY the second of two would wait 40 ms.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:  # the name http.server calls
        """Answer with the file, or in the path's own way."""
        path = unquote(urlsplit(self.path).path)
        first = path.split("/", 2)[1] if path.startswith("/") else ""
        if first == "moved":
            self._redirected(path.replace("/moved/", "/pictures/", 1))
        elif first == "flaky" and self.server.first_time(path):
            self._refused()
        elif first == "stalled":
            self._stalled()
        else:
            self._file(path, pieces=SLOW_PIECES if first == "slow" else 1)

    def do_HEAD(self) -> None:
        """Answer as to GET, without the body."""
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: thousands of lines would hide the pipeline's own."""

    def _file(self, path: str, pieces: int) -> None:
        content = self._content(path)
        if content is None:
            self._answer(HTTPStatus.NOT_FOUND, b"<!doctype html><title>404</title>Not found.\n")
            return
        kind = CONTENT_TYPES.get(Path(path).suffix, "application/octet-stream")
        self._head(HTTPStatus.OK, len(content), {"Content-Type": kind})
        if self.command == "HEAD":
            return
        size = -(-len(content) // pieces) or 1
        for start in range(0, len(content), size):
            self.wfile.write(content[start : start + size])
            if pieces > 1:
                self.wfile.flush()
                time.sleep(SLOW_PAUSE_S)

    def _content(self, path: str) -> bytes | None:
        folder = self.server.folder
        target = folder / path.lstrip("/")
        if path.endswith("/"):
            target = target / "index.html"
        # A file outside the folder is not ours to show, however the path is written.
        if not target.resolve().is_relative_to(folder):
            return None
        try:
            return target.read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None

    def _redirected(self, location: str) -> None:
        self._answer(HTTPStatus.FOUND, b"", {"Location": location})

    def _refused(self) -> None:
        body = b"<!doctype html><title>503</title>Too busy, come back in a second.\n"
        self._answer(HTTPStatus.SERVICE_UNAVAILABLE, body, {"Retry-After": str(RETRY_AFTER_S)})

    def _stalled(self) -> None:
        self._head(HTTPStatus.OK, STALLED_LENGTH, {"Content-Type": "image/jpeg"})
        for _ in range(STALLED_LENGTH if self.command == "GET" else 0):
            self.wfile.write(b"\xff")
            self.wfile.flush()
            if self.server.closing.wait(STALLED_PAUSE_S):
                break
        self.close_connection = True

    def _answer(
        self, status: HTTPStatus, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        self._head(status, len(body), {"Content-Type": "text/html", **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: HTTPStatus, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()


@contextlib.contextmanager
def serving(folder: Path, port: int) -> Iterator[str]:
    """Serve `folder` on 127.0.0.1 and give the base URL; stop on leaving.

    Raises:
        InputError: the folder is missing, or the port is taken or not allowed.
    """
    if not folder.is_dir():
        raise InputError(f"there is no site in {folder}; build it first (`make demo` does)")
    try:
        server = SiteServer(folder, port)
    except OSError as error:
        raise _cannot_listen(port, error) from error
    # A poll of 20 ms: the default half second is how long every test would wait to stop.
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield base_url(server.server_port)
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _cannot_listen(port: int, error: OSError) -> InputError:
    if error.errno == errno.EADDRINUSE:
        why = f"port {port} of {HOST} is taken by another program"
    else:
        why = f"cannot listen on port {port} of {HOST} ({error.strerror})"
    return InputError(f"{why}; stop it, or serve the site on another")
