"""How `python -m tasks.<stage>` ends: quietly, or with one line a person can act on."""

import logging
import sys
from collections.abc import Callable, Sequence

from tasks.errors import CapliftError


def run_command(main: Callable[[Sequence[str]], None], arguments: Sequence[str]) -> int:
    """Run a stage's command; return 0, or 2 after one line on stderr about a mendable error."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        main(arguments)
    except CapliftError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0
