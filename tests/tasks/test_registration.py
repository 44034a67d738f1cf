"""A finished model becomes a version with cards, is compared on the same pictures, and is recorded.

Two captioners on one lake: untrained, so which is better is a matter of chance; the gate is told
floors that decide.
"""

import dataclasses
import json
from pathlib import Path

import pytest

from models.blip import Blip
from models.decoding import Decoding
from models.presets import preset
from models.tokenization import Tokenizer
from tasks.checkpoints import save_checkpoint
from tasks.contenders import Candidate, candidate_of
from tasks.evaluation.report import is_evaluated, read_report
from tasks.evaluation.settings import Evaluation
from tasks.evaluation.stage import evaluate
from tasks.gate import Gate
from tasks.promotion import rollback
from tasks.registration import record_aliases, register_candidate
from tasks.registry import Registry, download, lineage
from tasks.storage import Lake
from tests.small_lake import caption_of, write_lake, write_selection

NAME = "caplift-captioner"
HOW = Evaluation(decoding=Decoding(method="greedy", max_length=7), rerank_k=2, bootstrap=23)
LINEAGE = {"pipeline": "pipeline-1", "plan": "runs/pipeline-1/plan.json", "revision": "abc"}
# What decides here: every score reaches the one, none the other.
OPEN, SHUT = Gate(floors={"rouge_l": 0.0}), Gate(floors={"rouge_l": 2.0})


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    root = tmp_path_factory.mktemp("registration") / "lake"
    write_lake(root, batch="evaluation", counts=(5,), source="human")
    write_lake(root, batch="later", counts=(3,), source="human")
    lake = write_lake(root, batch="web", counts=(7,))
    write_selection(lake, "kept", "web")
    lake.publish_json("runs/pipeline-1/plan.json", {"rounds": 1})
    tokenizer = Tokenizer.train([caption_of(number) for number in range(11)], 90)
    start = {"selections": {"older": "0ld"}}
    for seed in (3, 5, 7, 11):
        model = Blip(preset("test"), tokenizer.vocab_size, seed=seed)
        facts = {
            "selections": {"kept": "digest-of-kept"},
            "started_from": "checkpoints/base/00000001#abc",
            "start_facts": start,
        }
        save_checkpoint(lake, f"captioner-{seed}", 1, model, tokenizer, facts)
    return lake


@pytest.fixture(scope="module")
def registry(lake: Lake) -> Registry:
    return Registry(f"sqlite:///{lake.local_path('mlflow.db')}")


def candidate(lake: Lake, seed: int, gate: Gate, batch: str = "evaluation") -> Candidate:
    folder, run = f"checkpoints/captioner-{seed}/00000001", f"evaluation-{seed}-{batch}"
    evaluate(lake, run, folder, batch, HOW)
    return dataclasses.replace(candidate_of(lake, NAME, folder, run, LINEAGE), gate=gate)


def test_a_candidate_must_beat_chance_and_names_what_it_came_from(lake: Lake) -> None:
    evaluate(lake, "e", "checkpoints/captioner-3/00000001", how=HOW)
    one = candidate_of(lake, NAME, "checkpoints/captioner-3/00000001", "e", LINEAGE)
    chance = read_report(lake, "e").baselines["chance"]
    assert one.gate.floors == {m: chance[m].value for m in ("cider_d", "bleu_4")}
    assert one.lineage["selections"] == {"kept": "digest-of-kept", "older": "0ld"}
    assert one.lineage["parents"] == ["checkpoints/base/00000001#abc"]
    assert one.lineage["run"] == "captioner-3"


def test_versions_are_recorded_compared_and_rolled_back(lake: Lake, registry: Registry) -> None:
    first, decision = register_candidate(lake, registry, candidate(lake, 3, OPEN))
    assert decision.alias == "champion"
    second, decision = register_candidate(lake, registry, candidate(lake, 5, SHUT))
    assert (decision.alias, decision.against) == ("challenger", first.version)

    def record(version: str) -> dict[str, object]:
        return dict(lake.read_json(f"registrations/{NAME}/{version}.json"))

    told = record(first.version)
    assert told["checkpoint"] == "checkpoints/captioner-3/00000001"
    assert told["uri"] == first.uri
    assert told["alias"] == "champion"
    assert told["pipeline"] == "pipeline-1"
    assert told["selections"] == {"kept": "digest-of-kept", "older": "0ld"}
    rouge = read_report(lake, "evaluation-3-evaluation").scores["rouge_l"]
    assert told["metrics"]["rouge_l"] == dataclasses.asdict(rouge)  # type: ignore[index]
    assert record(second.version)["alias"] == "challenger"
    rollback(registry, NAME, second.version)
    record_aliases(lake, registry, NAME)
    assert record(first.version)["alias"] == ""
    assert record(second.version)["alias"] == "champion"


def test_a_champion_judged_on_other_pictures_is_judged_again_on_these(
    lake: Lake, registry: Registry
) -> None:
    register_candidate(lake, registry, candidate(lake, 3, OPEN))
    before = set(lake.folders("evaluations"))
    later = candidate(lake, 7, OPEN, "later")
    _, decision = register_candidate(lake, registry, later)
    (again,) = set(lake.folders("evaluations")) - before - {later.evaluation}
    assert is_evaluated(lake, again)
    report = read_report(lake, again)
    assert (report.batch, report.images) == ("later", 3)
    assert report.model.startswith(f"models:/{NAME}/{decision.against}#")


def test_a_champion_that_cannot_be_loaded_keeps_no_new_one_out(
    lake: Lake, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    held, decision = register_candidate(lake, registry, candidate(lake, 7, OPEN, "later"))
    assert decision.alias == "champion"
    weights = download(held.uri, lake) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    newer = candidate(lake, 11, OPEN)
    _, decision = register_candidate(lake, registry, newer)
    assert "compared by the numbers it was registered with" in caplog.text
    assert "is damaged" in caplog.text
    assert decision.against == held.version


def test_the_cards_say_what_it_was_taught_and_what_it_is_worth(
    lake: Lake, registry: Registry
) -> None:
    made, _ = register_candidate(lake, registry, candidate(lake, 3, OPEN))
    folder = Path(download(made.uri, lake)).parent.parent
    taught = json.loads((folder / "data_card.json").read_text())["selections"]
    assert [(one["id"], one["missing"]) for one in taught] == [("kept", False), ("older", True)]
    assert taught[0]["batches"] == {"web": {"planned": 8, "kept": 7, "failed": 1}}
    card = (folder / "model_card.md").read_text()
    rouge = read_report(lake, "evaluation-3-evaluation").scores["rouge_l"]
    assert f"| rouge_l | {rouge} |" in card
    assert "On 5 held-out pictures of `evaluation`" in card
    assert "| selections kept | `digest-of-kept` |" in card
    assert json.loads((folder / "plan.json").read_text()) == {"rounds": 1}
    assert "# Data card" in (folder / "data_card.md").read_text()
    assert lineage(registry, made.uri)["inputs"] == {"kept": "digest-of-kept", "older": "0ld"}
