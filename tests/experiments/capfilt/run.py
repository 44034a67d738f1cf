"""Is CapFilt worth it? The finished demo's web pairs chosen in seven ways, a model trained on each.

    make experiment-capfilt [SEEDS=3] [SITE=default]

Needs a lake that `make demo` has finished. See `protocol.py` for what is held fixed.
"""

import sys
from pathlib import Path

import tests

# Some library brings a top-level `tests` of its own, which outside pytest would hide ours.
tests.__path__ = [str(Path(__file__).resolve().parents[2])]

if __name__ == "__main__":
    from tasks.commands import run_command
    from tests.experiments.capfilt.protocol import main

    sys.exit(run_command(main, sys.argv[1:]))
