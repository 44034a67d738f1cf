"""An ingest process is light: no pandas, no search for garbage among modules, memory given back."""

import subprocess
import sys

BUILDS_AN_ARRAY = """
import gc, sys
from tasks.ingestion import footprint
{call}
import pyarrow
print(pyarrow.array([2, None, 5]).to_pylist(), "pandas" in sys.modules, gc.get_freeze_count() > 0)
"""


def _printed(call: str) -> str:
    program = [sys.executable, "-c", BUILDS_AN_ARRAY.format(call=call)]
    return subprocess.run(program, capture_output=True, text=True, check=True).stdout.strip()


def test_arrays_are_built_without_pandas_in_a_process_of_ours_alone() -> None:
    assert _printed("footprint.own()") == "[2, None, 5] False True"
    assert _printed("footprint.own(); footprint.own()") == "[2, None, 5] False True"
    assert _printed("") == "[2, None, 5] True False"


def test_what_else_is_missing_is_said_as_ever() -> None:
    call = "footprint.own()\ntry: import no_such_module\nexcept ImportError as error: print(error)"
    assert _printed(call).startswith("No module named 'no_such_module'")
