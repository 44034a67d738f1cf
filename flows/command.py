"""How our commands end: a person's mistake is one line and exit status 2, never a traceback."""

import logging
import sys
from collections.abc import Callable

from rich.console import Console

from tasks.errors import CapliftError


def answering(main: Callable[[], None]) -> int:
    """Run a command's body and return its exit status.

    0 when it is done, 2 after an error a person can mend (printed as one line), 130 after Ctrl-C.
    """
    try:
        main()
    except CapliftError as error:
        Console(stderr=True, soft_wrap=True).print(f"error: {error}", style="red", markup=False)
        return 2
    except KeyboardInterrupt:
        Console(stderr=True).print("stopped; what is committed stays, run it again to go on")
        return 130
    return 0


def show_our_lines() -> None:
    """Print the log lines of tasks/ and models/ to stderr, and warnings of everything else."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("  %(message)s"))
    for name in ("tasks", "models", "flows"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.handlers = [handler]
