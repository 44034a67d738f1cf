"""A run is named after what it was made from: another choice or another model is another run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flows.plan import Plan
from flows.runs import exact, run_name
from tasks.errors import ModelError
from tasks.ingestion.settings import Source
from tasks.storage import Lake, open_lake
from tests.champions import crown
from tests.small_lake import write_lake, write_selection
from tests.stand import ROOT

# For every line it reads: every flow that takes a model's address, on the champions there are.
SCRIPT = """
import json, sys
from flows.environment import PREFECT_DEFAULTS, QUIET, set_defaults
set_defaults(PREFECT_DEFAULTS, QUIET)
from flows.capfilt import capfilt
from flows.embedding import embedding
from flows.evaluation import evaluation
from flows.finetuning import finetuning
from models.decoding import Decoding
from tasks.capfilt.settings import CapFilt
from tasks.evaluation.settings import Evaluation
from tasks.finetuning.settings import Finetuning
from tasks.storage import Lake

lake = Lake(sys.argv[1])
how = CapFilt(decoding=Decoding(max_length=7, min_length=2))
brief = Finetuning(steps=2, batch_size=3)

def names():
    written = capfilt("web", how=how, lake=lake.root)
    made = finetuning("models:/caplift-blip@champion", ("raw",), brief, brief, lake.root)
    return {
        "captions": written["captions"],
        "scores": written["scores"],
        "vectors": embedding(("web",), lake=lake.root),
        "evaluation": evaluation(how=Evaluation(bootstrap=11), lake=lake.root),
        "captioner": made["captioner"],
        "filter": made["filter"],
    }

for _ in sys.stdin:
    print(json.dumps(names()), flush=True)
"""


def plan(batch: str, rounds: int = 1) -> Plan:
    sources = [Source(batch=name, pages=("index.html",)) for name in (batch, "seed", "held-out")]
    return Plan(web=sources[0], seed=sources[1], held_out=sources[2], rounds=rounds)


def test_equal_choices_have_equal_names_and_any_other_choice_another() -> None:
    name = run_name("pipeline", plan("web"))
    assert name == run_name("pipeline", plan("web"))
    others = [plan("web", rounds=2), plan("other")]
    assert len({name, *(run_name("pipeline", other) for other in others)}) == 3
    assert run_name("captions", plan("web")) != name


def test_an_alias_becomes_the_version_it_points_to(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"), create=True)
    crown(lake, seed=1)
    assert exact(lake, "models:/caplift-filter@champion") == "models:/caplift-filter/1"
    crown(lake, seed=2)
    assert exact(lake, "models:/caplift-filter@champion") == "models:/caplift-filter/2"


@pytest.mark.parametrize(
    "address", ["models:/caplift-filter/1", "checkpoints/filter-1/00000007", "hub:someone/model"]
)
def test_an_address_that_means_one_model_stays_as_it_is(tmp_path: Path, address: str) -> None:
    assert exact(Lake(str(tmp_path)), address) == address


def test_a_lake_without_champions_says_so_in_one_line(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"), create=True)
    with pytest.raises(ModelError, match="caplift-blip@champion is not registered at") as raised:
        exact(lake, "models:/caplift-blip@champion")
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_a_new_champion_makes_new_runs_in_every_flow_that_takes_a_model(tmp_path: Path) -> None:
    lake = write_lake(tmp_path / "lake", counts=(5,))
    write_lake(tmp_path / "lake", batch="evaluation", counts=(3,), source="human")
    write_selection(lake, "raw")
    crown(lake, seed=1)
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, lake.root],
        cwd=tmp_path,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        first, again = names_from(process), names_from(process)
        crown(lake, seed=2)
        after = names_from(process)
    assert process.returncode == 0
    assert again == first
    assert {kind for kind in first if after[kind] != first[kind]} == set(first)


def names_from(process: subprocess.Popen[str]) -> dict[str, str]:
    """Let the script run its flows once more, and return the names of their runs."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("again\n")
    process.stdin.flush()
    return dict(json.loads(process.stdout.readline()))
