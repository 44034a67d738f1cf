"""A program that we start: it leads a process group, so that nothing of it outlives us."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tasks.endings import endings_held

STOP_TIMEOUT_S = 20
# One that ends more often than this has a reason that starting it again does not mend.
MOST_STARTS, WITHIN_S = 5, 600


@dataclass(slots=True)
class Service:
    """A running program.

    Attributes:
        name: how a person calls it.
        command: as it is typed.
        folder: where it runs.
        environment: its variables, all of them.
        log: gets its output.
        process: the one that runs now.
        starts: when it was started, by the monotonic clock.
    """

    name: str
    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)
    starts: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.log.write_bytes(b"")
        self.start()

    def start(self) -> None:
        """Start it, for the first time or again."""
        self.starts.append(time.monotonic())
        with self.log.open("ab") as output, endings_held():
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=dict(self.environment),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches only us, so we stop them in order
            )

    @property
    def has_ended(self) -> bool:
        """True when it has ended by itself, or was killed."""
        return self.process.poll() is not None

    @property
    def ends_too_often(self) -> bool:
        """True when it was started so often of late that once more would not help."""
        since = time.monotonic() - WITHIN_S
        return sum(moment > since for moment in self.starts) >= MOST_STARTS

    @property
    def last_words(self) -> str:
        """The last line of its output."""
        lines = self.log.read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "nothing")

    def stop(self) -> None:
        """Ask the whole group to end, and end it when it does not."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
