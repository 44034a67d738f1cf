"""A headless Chromium, driven over its DevTools protocol: what a person's browser makes of a page.

Debian: `apt-get install chromium`. What the browser complains of and every address it asks for is
kept, so a test can say that there was neither an error nor a request.
"""

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.sync.client import connect
from websockets.sync.connection import Connection

NAMES = ("chromium", "chromium-browser", "google-chrome")
START_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 60.0
# Nothing but what a test asks for goes over the network; root, as in a container, has no sandbox.
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


@dataclass(slots=True)
class Page:
    """One tab.

    Attributes:
        errors: what its console was told as an error, and exceptions that nobody caught.
        requests: every address it asked for; data: is one, though nothing is fetched for it.
    """

    socket: Connection
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def open(
        self, address: str, *, width: int = 1280, height: int = 900, dark: bool = False
    ) -> None:
        """Show an address on a screen of this size, and wait until it is loaded."""
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._ask("Emulation.setDeviceMetricsOverride", **screen)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])
        self._ask("Page.navigate", url=address)
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while self.value("document.readyState + location.href") != f"complete{address}":
            if time.monotonic() > deadline:
                raise TimeoutError(f"{address} is not loaded after {ANSWER_TIMEOUT_S} s")
            time.sleep(0.05)

    def value(self, script: str) -> Any:
        """Return what an expression is worth in the page."""
        answer = self._ask("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key, such as Tab."""
        for kind in ("keyDown", "keyUp"):
            self._ask("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def picture(self, path: Path) -> None:
        """Write the whole page as PNG."""
        answer = self._ask("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        path.write_bytes(base64.b64decode(answer["data"]))

    def listen(self) -> None:
        """Begin to keep errors and requests."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            told = json.loads(self.socket.recv(timeout=ANSWER_TIMEOUT_S))
            if told.get("id") == number:
                assert "error" not in told, f"{method}: {told['error']}"
                return dict(told["result"])
            self._hear(told)

    def _hear(self, told: dict[str, Any]) -> None:
        said, method = told.get("params", {}), told.get("method")
        if method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(said["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and said["type"] == "error":
            self.errors.append(json.dumps(said["args"]))
        elif method == "Log.entryAdded" and said["entry"]["level"] == "error":
            self.errors.append(said["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """Start Chromium with an empty profile below `folder`, and give its tab."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    assert found, "no Chromium here: `apt-get install chromium`, or put one on PATH"
    profile = folder / "profile"
    command = [found, *QUIET, f"--user-data-dir={profile}", "about:blank"]
    running = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with connect(_tab(profile, running), max_size=None) as socket:
            page = Page(socket)
            page.listen()
            yield page
    finally:
        running.terminate()
        running.wait(timeout=START_TIMEOUT_S)


def _tab(profile: Path, running: subprocess.Popen[bytes]) -> str:
    """Wait for the browser and return the address of its tab's socket."""
    told = profile / "DevToolsActivePort"
    deadline = time.monotonic() + START_TIMEOUT_S
    while not (told.exists() and told.read_text().count("\n")):
        assert running.poll() is None, f"Chromium ended with {running.returncode}"
        assert time.monotonic() < deadline, f"Chromium is not up after {START_TIMEOUT_S} s"
        time.sleep(0.05)
    port = int(told.read_text().split("\n")[0])
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
        tabs = json.loads(answer.read())
    return str(next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page"))
