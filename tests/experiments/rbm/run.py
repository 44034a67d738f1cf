"""Does the RBM help to choose captions? The answer on pictures that no model was trained on.

Needs a lake that `make demo` has finished; its models write and score. What is trained are the
RBMs, what stands beside them, and the judge. See `protocol.py` for what is held fixed.

    make experiment-rbm [PICTURES=3000] [SEEDS=3] [SCORER=filter] [JUDGE=own] [SITE=default]
"""

import sys
from pathlib import Path

import tests

# Some library brings a top-level `tests` of its own, which outside pytest would hide ours.
tests.__path__ = [str(Path(__file__).resolve().parents[2])]

if __name__ == "__main__":
    from tasks.commands import run_command
    from tests.experiments.rbm.protocol import main

    sys.exit(run_command(main, sys.argv[1:]))
