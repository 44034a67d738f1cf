"""A training flow on a bare machine: its run can be read in MLflow, and its model is registered.

Pretraining by two ranks that torchrun starts, then a captioner from a folder of pictures, judged on
a held-out batch, and a model that answers from a list of questions; one process, embedded server.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tasks.checkpoints import load_answerer, load_model
from tasks.storage import Lake
from tasks.tracking import EXPERIMENT
from tests.small_lake import COLOURS, NAMES, jpeg_of, write_lake, write_selection

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import json, sys
from flows.environment import PREFECT_DEFAULTS, QUIET, set_defaults
set_defaults(PREFECT_DEFAULTS, QUIET)
from flows.finetuning import finetuning
from flows.pretraining import pretraining
from flows.training import Registering
lake, own = sys.argv[1:]
small = {"momentum": 0.9, "queue_size": 11}
how = {"preset": "test", "steps": 12, "batch_size": 6, "vocab_size": 80, "objective": small}
brief = {"decoding": {"method": "greedy", "max_length": 9, "min_length": 2}, "bootstrap": 7}
tuning = {"steps": 3, "batch_size": 4, "decoding": brief["decoding"]}
base = pretraining(("all",), how, lake)
judged = {"batch": "evaluation", "evaluation": brief}
told = finetuning(base, captioning=tuning, lake=lake, kinds=("captioner",), source=own,
                  registering=judged)
exam = {"questions": own + "/exam.json", "images": own, "bootstrap": 7}
asked = finetuning(base, answering=tuning, lake=lake, kinds=("vqa",), source=own + "/asked.jsonl",
                   registering={"answers": exam})
print(json.dumps({"base": base, **told, **asked}))
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = write_lake(tmp_path_factory.mktemp("flows") / "lake", counts=(7, 4))
    write_lake(Path(lake.root), batch="evaluation", counts=(5,), source="human")
    write_selection(lake, "all")
    return lake


@pytest.fixture(scope="module")
def made(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    own, home = tmp_path_factory.mktemp("own"), tmp_path_factory.mktemp("home")
    asked = []
    for name in NAMES:
        (own / f"{name}.jpg").write_bytes(jpeg_of(COLOURS[name], 31, 37))
        (own / f"{name}.txt").write_text(f"a {name} wall\n")
        asked.append({"image": f"{name}.jpg", "question": "which colour", "answer": name})
    (own / "asked.jsonl").write_text("\n".join(map(json.dumps, asked)))
    exam = [{**one, "question_id": nth} for nth, one in enumerate(asked)]
    (own / "exam.json").write_text(json.dumps(exam))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, lake.root, str(own)],
        cwd=home,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "CAPLIFT_RANKS": "2",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "600",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def client(lake: Lake, made: dict[str, str]) -> MlflowClient:
    assert made
    return MlflowClient(f"sqlite:///{lake.local_path('mlflow.db')}")


def run_of(client: MlflowClient, uri: str) -> Any:
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    (run,) = client.search_runs([experiment], f"tags.`caplift.run` = '{uri.split('/')[1]}'")
    return run


def test_a_run_has_its_whole_plan_its_revision_and_what_it_learned_from(
    lake: Lake, made: dict[str, str], client: MlflowClient
) -> None:
    run = run_of(client, made["base"])
    plan = json.loads(
        (Path(run.info.artifact_uri.removeprefix("file://")) / "plan.json").read_text()
    )
    assert plan["selections"] == {"all": "digest-of-all"}
    assert plan["objective"]["queue_size"] == 11
    assert (plan["settings"]["steps"], plan["ranks"]) == (12, 2)
    facts = load_model(lake, made["base"]).facts
    assert run.data.tags["mlflow.source.git.commit"] == plan["revision"] == facts["revision"]
    assert run.data.params["steps"] == "12"
    (read,) = run.inputs.dataset_inputs
    assert (read.dataset.name, read.dataset.digest) == ("all", "digest-of-all")


def test_the_numbers_of_the_steps_and_of_the_machine_are_streamed(
    made: dict[str, str], client: MlflowClient
) -> None:
    run = run_of(client, made["base"])
    for name in ("loss", "itc", "itm", "lm", "learning_rate", "grad_norm", "samples_per_s"):
        steps = [point.step for point in client.get_metric_history(run.info.run_id, name)]
        assert steps == [1, 10, 12], name
    last = run.data.metrics
    assert last["system/cpu_utilization_percentage"] > 0
    assert last["system/peak_memory_usage_megabytes"] > 50
    assert last["system/disk_available_megabytes"] > 0


def test_what_was_judged_meets_the_gate_and_what_was_not_has_no_alias(
    lake: Lake, made: dict[str, str], client: MlflowClient
) -> None:
    (base,) = client.search_model_versions("name='caplift-blip'")
    assert base.run_id == run_of(client, made["base"]).info.run_id
    assert client.get_registered_model("caplift-blip").aliases == {}
    record = lake.read_json("registrations/caplift-blip/1.json")
    assert (record["checkpoint"], record.get("alias", "")) == (
        made["base"],
        "",
    )
    # It was asked of the pictures that it had learnt from.
    record = lake.read_json("registrations/caplift-vqa/1.json")
    assert record["decision"]["alias"] == record["alias"] == "challenger"
    assert "evaluation pictures are among its training" in record["decision"]["reason"]
    aliases = client.get_registered_model("caplift-captioner").aliases
    assert set(map(str, aliases.values())) == {"1"}
    assert lake.read_json("registrations/caplift-captioner/1.json")["evaluation"]


def test_own_pictures_made_a_captioner_and_own_questions_a_model_that_answers(
    lake: Lake, made: dict[str, str]
) -> None:
    facts = load_model(lake, made["captioner"]).facts
    assert (facts["half"], facts["pictures"] + facts["held_out"]) == ("captioner", 7)
    assert load_answerer(lake, made["vqa"]).facts["half"] == "answerer"
