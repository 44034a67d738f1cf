"""`make bench-ingest`: what our ingest command and img2dataset cost on the same pictures."""

import sys
from pathlib import Path

import tests

# Some library brings a top-level `tests` of its own, which outside pytest would hide ours.
tests.__path__ = [str(Path(__file__).resolve().parents[2])]

if __name__ == "__main__":  # the servers are spawned, and read this file again
    from tasks.commands import run_command
    from tests.benchmarks.ingest.running import main

    sys.exit(run_command(main, sys.argv[1:]))
