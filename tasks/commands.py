"""How `python -m tasks.<stage>` and `python -m flows.<name>` speak and end."""

import logging
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from types import FrameType

from tasks.errors import CapliftError
from tasks.reach import store_trouble

STOPPED = "stopped; what is committed stays, run it again to go on\n"
OURS = ("flows", "tasks", "models", "__main__")


def run_command(main: Callable[[Sequence[str]], None], arguments: Sequence[str]) -> int:
    """Run a command and return its exit status.

    0 when it is done, 2 after one line on stderr about an error a person can mend, 130 after
    Ctrl-C and 143 after SIGTERM, which ends it in the same way: what it started ends with it.
    """
    before = signal.signal(signal.SIGTERM, _terminated)
    if not logging.getLogger().handlers:  # else somebody has arranged it already
        show_our_lines()
    try:
        main(arguments)
    except CapliftError as error:
        return _refused(error, str(error))
    except Exception as error:
        line = store_trouble(error)
        if not line:
            raise
        return _refused(error, line)
    except _TerminatedError:
        sys.stderr.write(STOPPED)
        return 128 + signal.SIGTERM
    except KeyboardInterrupt:
        sys.stderr.write(STOPPED)
        return 128 + signal.SIGINT
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _refused(error: Exception, line: str) -> int:
    sys.stderr.write(f"{line}\n")
    # Prefect keeps the error until exit, and with it what its frames hold: DuckDB would then list
    # its open handles after our line.
    traceback.clear_frames(error.__traceback__)
    return 2


class _TerminatedError(KeyboardInterrupt):
    """SIGTERM; what cleans up after Ctrl-C cleans up after it too."""


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise _TerminatedError


def show_our_lines() -> None:
    """Print our log lines to stderr; of the libraries only warnings, as Python does by itself."""
    # It logs a traceback before it raises what that says.
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for name in OURS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.handlers = [handler]
        logger.propagate = False  # Prefect gives the root a handler: each line would come twice
