"""The reranking flow ranks a batch by given weights, and again finds that all is done."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.planted_candidates import planted

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import json, sys
from flows.environment import PREFECT_DEFAULTS, QUIET, set_defaults
set_defaults(PREFECT_DEFAULTS, QUIET)
from flows.reranking import reranking
how = {"caption_runs": ["beam", "drawn"], "score_run": "filter", "rbm_run": "rbm",
       "weights": {"lm": 0.1, "itm": 0.2, "itc": 0.3, "pmi": 0.4}}
print(json.dumps([reranking(batch="web", how=how, lake=sys.argv[1]) for _ in range(2)]))
"""


def test_a_batch_is_ranked_once_and_its_counts_come_back(tmp_path: Path) -> None:
    lake, home = planted(tmp_path / "lake"), tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, lake.root],
        cwd=home,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout.splitlines()[-1])
    assert first == second
    assert first["counts"] == {"pictures": 2, "candidates": 4, "unplaced": 0, "changed": 1}
    assert first["weights"] == {"lm": 0.1, "itm": 0.2, "itc": 0.3, "pmi": 0.4}
    assert lake.is_committed("reranking", first["run"], lake.planned("web")[0])
    card = lake.read_json(f"rerankings/{first['run']}/web.json")
    assert (card["counts"], card["validation"]) == (first["counts"], {})
