"""The alias moves with the gate's decision, every decision is recorded, and there is a way back."""

import json
from pathlib import Path

import pytest

from tasks.description import Description
from tasks.errors import ModelError
from tasks.gate import Gate
from tasks.metrics.bootstrap import Estimate
from tasks.promotion import history, promote, rollback
from tasks.registry import Registry, register_model, version_tags

GATE = Gate(floors={"cider_d": 0.2})
NAME = "caplift-filter"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry(f"sqlite:///{tmp_path_factory.mktemp('registry')}/mlflow.db")


def registered(registry: Registry, root: Path, name: str, score: float) -> str:
    """A version with this score, sure to a hundredth; the file alone makes it another version."""
    folder = root / f"{name}-{score}"
    folder.mkdir()
    (folder / "model.json").write_text(f"{score}")
    reached = {"cider_d": Estimate(score, score - 0.01, score + 0.01)}
    return register_model(registry, name, folder, Description(lineage={}, metrics=reached)).version


def aliases(registry: Registry, name: str) -> dict[str, str]:
    known = registry.client.get_registered_model(name).aliases
    return {alias: str(version) for alias, version in known.items()}


def test_the_champion_moves_by_the_gate_and_goes_back_by_name(
    registry: Registry, tmp_path: Path
) -> None:
    scores = (0.1, 0.6, 0.5, 0.595, 0.9)
    poor, good, worse, level, best = (registered(registry, tmp_path, NAME, s) for s in scores)
    said = promote(registry, NAME, poor, GATE)
    assert (said.alias, said.against) == ("challenger", "")
    assert aliases(registry, NAME) == {"challenger": poor}
    assert promote(registry, NAME, good, GATE).alias == "champion"
    said = promote(registry, NAME, worse, GATE)
    assert (said.alias, said.against) == ("challenger", good)
    assert "cider_d 0.5 is worse than the champion's by -0.1" in said.reason
    assert aliases(registry, NAME) == {"challenger": worse, "champion": good}
    said = promote(registry, NAME, level, GATE)
    assert (said.alias, said.against) == ("champion", good)
    assert "not worse than version" in said.reason
    tags = version_tags(registry, NAME, level)
    assert tags["gate.alias"] == "champion"
    assert tags["gate.against"] == good
    assert tags["gate.at"].startswith("20")
    assert promote(registry, NAME, best, GATE).alias == "champion"
    assert [one["version"] for one in history(registry, NAME)] == [good, level, best]
    # Back, and back again: each champion that was rolled back is passed over from then on.
    assert rollback(registry, NAME)[0] == level
    assert rollback(registry, NAME)[0] == good
    assert aliases(registry, NAME)["champion"] == good
    with pytest.raises(ModelError, match=r"no champion before the present one.*--to"):
        rollback(registry, NAME)
    # A rerun of the run that made it does not bring it back; a person does.
    said = promote(registry, NAME, best, GATE)
    assert said.alias == "challenger"
    assert "was rolled back at 20" in said.reason
    assert rollback(registry, NAME, best)[0] == best
    assert aliases(registry, NAME)["champion"] == best
    assert history(registry, NAME)[-1]["reason"] == f"rolled back from version {good}"


def test_a_champion_that_is_judged_again_stays_once_in_the_history(
    registry: Registry, tmp_path: Path
) -> None:
    name = "caplift-captioner"
    only = registered(registry, tmp_path, name, 0.4)
    decided = promote(registry, name, only, GATE)
    assert (decided.alias, decided.against) == ("champion", "")
    tags = version_tags(registry, name, only)
    # Another floor that it reaches as well: what made it champion still stands, word by word.
    assert promote(registry, name, only, Gate(floors={"cider_d": 0.3})) == decided
    assert version_tags(registry, name, only) == tags
    assert [one["version"] for one in history(registry, name)] == [only]
    # The floor has risen: it is champion no more.
    higher = Gate(floors={"cider_d": 0.41})
    assert promote(registry, name, only, higher).alias == "challenger"
    assert aliases(registry, name) == {"challenger": only}
    # Against no champion now, it is told so once, and then nothing is new.
    told = promote(registry, name, only, higher)
    assert (told.alias, told.against) == ("challenger", "")
    assert promote(registry, name, only, higher) == told
    assert promote(registry, name, only, GATE).alias == "champion"
    assert aliases(registry, name) == {"champion": only}


def test_a_champion_from_before_there_was_a_history_can_be_gone_back_to(
    registry: Registry, tmp_path: Path
) -> None:
    name = "caplift-rbm"
    old, new = (registered(registry, tmp_path, name, score) for score in (0.4, 0.5))
    registry.client.set_registered_model_alias(name, "champion", old)
    assert promote(registry, name, new, GATE).against == old
    assert rollback(registry, name)[0] == old


def test_the_history_keeps_the_last_champions_that_a_tag_has_room_for(
    registry: Registry, tmp_path: Path
) -> None:
    name = "caplift-captioner"
    only = registered(registry, tmp_path, name, 0.7)
    long = [{"version": str(at), "against": "", "reason": "x" * 90, "at": ""} for at in range(99)]
    registry.client.set_registered_model_tag(name, "champions", json.dumps(long))
    registry.client.delete_registered_model_alias(name, "champion")
    promote(registry, name, only, GATE)
    kept = [one["version"] for one in history(registry, name)]
    assert kept[-2:] == ["98", only]
    assert kept == [str(at) for at in range(99 - len(kept) + 1, 99)] + [only]
    tag = registry.client.get_registered_model(name).tags["champions"]
    assert 4800 < len(tag) <= 5000


def test_what_is_not_there_cannot_be_promoted_or_rolled_back(
    registry: Registry, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="no model caplift-nothing is registered at sqlite"):
        rollback(registry, "caplift-nothing")
    only = registered(registry, tmp_path, "caplift-blip", 0.4)
    with pytest.raises(ModelError, match="caplift-blip/17 is not registered"):
        promote(registry, "caplift-blip", "17", GATE)
    promote(registry, "caplift-blip", only, GATE)
    with pytest.raises(ModelError, match="caplift-blip/17 is not registered"):
        rollback(registry, "caplift-blip", "17")
    with pytest.raises(ModelError, match="version 1 is the champion already"):
        rollback(registry, "caplift-blip", only)
    assert aliases(registry, "caplift-blip") == {"champion": only}
