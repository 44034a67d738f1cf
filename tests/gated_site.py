"""A loopback site of numbered pictures, some of which are not answered before a gate opens."""

import contextlib
import io
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from PIL import Image


@dataclass
class GatedSite:
    """What a test sees of the site: its address, who asked for what, and the gate."""

    url: str = ""
    held: set[str] = field(default_factory=set)
    asked: Counter[str] = field(default_factory=Counter)
    gate: threading.Event = field(default_factory=threading.Event)

    def table(self, path: Path, count: int) -> Path:
        """Write a URL table of the first `count` pictures."""
        lines = [f"{self.url}/{number}.jpg,picture {number} of a row" for number in range(count)]
        path.write_text("\n".join(["url,caption", *lines]) + "\n")
        return path


def picture(number: int) -> bytes:
    """A JPEG whose content is decided by its number; no two are alike."""
    noise = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize((96, 96), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


@contextlib.contextmanager
def gated_site() -> Iterator[GatedSite]:
    """Serve `/<number>.jpg`; the paths in `held` are answered once the gate is open."""
    site = GatedSite()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked[self.path] += 1
            if self.path in site.held:
                site.gate.wait(120)
            name = self.path.removeprefix("/").removesuffix(".jpg")
            if not name.isdecimal():
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            content = picture(int(name))
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "image/jpeg")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing: the test counts `asked`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()
