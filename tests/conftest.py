"""What every test stands on."""

import signal
from pathlib import Path

import pytest

from tasks.storage import Lake, open_lake

# What a shell starts in the background ignores Ctrl-C, and so does all that it starts: servers and
# workers that are told to end would be waited for in vain.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake in which nothing has run yet; files of tests that need more have their own."""
    return open_lake(str(tmp_path / "lake"), create=True)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes by their number: gzip's hold the time, and processes must agree on names."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None
