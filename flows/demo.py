"""`make demo`: a local web, the whole chain over it, and what it was worth, in one table.

`python -m flows.demo [--site default|gimp] [--folder demo] [--port 8037]`. Run again, it goes on
where it was stopped, or says that all is done.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from flows.environment import PREFECT_DEFAULTS, QUIET, set_defaults
from tasks.commands import run_command
from tasks.demo.facts import PORT
from tasks.errors import InputError

SITES = ("default", "gimp")


def main(arguments: Sequence[str]) -> None:
    """Build the site, serve it, run the pipeline over it and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m flows.demo", description=main.__doc__)
    parser.add_argument("--site", default="default", help=" or ".join(SITES))
    parser.add_argument("--folder", default="demo", help="everything is kept below it")
    parser.add_argument("--port", type=int, default=PORT, help="where the site is served")
    given = parser.parse_args(arguments)
    if given.site not in SITES:
        raise InputError(f"SITE is {given.site!r}; it can be {' or '.join(SITES)}")
    set_defaults(PREFECT_DEFAULTS, QUIET)
    # Only now: Prefect reads its settings when it is imported.
    from flows.demonstration import run_demo

    run_demo(given.site, Path(given.folder).absolute(), given.port)


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
