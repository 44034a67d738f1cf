"""From a registered model one query leads to its captions, who wrote and judged each, and URLs."""

from pathlib import Path
from typing import Any

import pytest

from tasks import rows
from tasks.catalogue.building import build_catalogue, open_catalogue
from tasks.database import Database
from tasks.selection import Selection, select
from tasks.storage import Lake
from tests.lakes import CAPTIONER, FILTER, SITE, Painted, Text, key_of, new_lake, write_batch
from tests.selecting import ALSO_GOOD, GOOD, blip

BLIP, FIRST, WRITER = "checkpoints/blip/00000005", "checkpoints/first/00000003", "a-captioner"
WEIGHTS = {BLIP: "b1" * 32, FIRST: "f1" * 32}


def card(lake: Lake, uri: str, facts: dict[str, Any]) -> None:
    weights = {"model.safetensors": {"bytes": 1, "sha256": WEIGHTS[uri]}}
    lake.publish_json(f"{uri}/checkpoint.json", {"facts": facts, "files": weights})


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """One model was trained on human captions, and a second began from it on judged web ones."""
    made = new_lake(tmp_path_factory.mktemp("lineage") / "lake")
    found = [Text(text=GOOD, itm=0.9), Text(text=ALSO_GOOD, source="synthetic", itm=0.8)]
    gone = Painted(name="gone", outcome=rows.Outcome.DNS, web={"error_message": "no such host"})
    write_batch(made, "web", [*(Painted(name=f"p{n}", texts=found) for n in range(5)), gone])
    human = [Text(text=GOOD, source="human", itm=None)]
    write_batch(made, "seed", [Painted(name=f"s{n}", texts=human) for n in range(3)])
    seed = select(made, Selection(policy="human", batches=("seed",)))
    kept = select(made, blip())
    first = {"selections": {seed.id: seed.digest}}
    card(made, FIRST, first)
    begun = {"started_from": f"{FIRST}#{WEIGHTS[FIRST][:12]}", "start_facts": first}
    card(made, BLIP, {"selections": {kept.id: kept.digest}, **begun})
    version = {"name": "caplift-blip", "version": "2", "uri": "models:/caplift-blip/2"}
    told = {"checkpoint": BLIP, "alias": "champion", "decision": {"reason": "better"}}
    made.publish_json("registrations/caplift-blip/2.json", {**version, **told})
    build_catalogue(made)
    return made


@pytest.fixture
def catalogue(lake: Lake) -> Any:
    with open_catalogue(lake) as database:
        yield database


@pytest.mark.parametrize(
    "named",
    [
        "models:/caplift-blip/2",
        "caplift-blip/2",
        "models:/caplift-blip@champion",
        "caplift-blip@champion",
        BLIP,
        f"{BLIP}#{'b1' * 6}",
        "b1b1b1b1b1",
    ],
)
def test_a_model_leads_to_every_caption_it_learnt_from_whatever_it_is_called(
    catalogue: Database, named: str
) -> None:
    found = catalogue.ask(f"from lineage('{named}')")
    assert {row["version"] for row in found} == {"models:/caplift-blip/2"}
    own = [row for row in found if row["depth"] == 0]
    assert {(row["source"], row["written_by"]) for row in own} == {
        ("web", None),
        ("synthetic", "a-captioner"),
    }
    assert {row["judged_by"] for row in own} == {"a-filter"}
    assert sorted({row["url"] for row in own}) == [f"{SITE}/web/p{n}" for n in range(5)]
    assert {row["tar"] for row in own} == {"web/web/00000.tar"}
    assert len(own) == 10
    before = [row for row in found if row["depth"] == 1]
    assert {(row["taught"], row["source"]) for row in before} == {(FIRST, "human")}
    assert len(before) == 3


def test_the_first_checkpoint_may_be_removed_and_is_still_told_of(lake: Lake) -> None:
    with open_catalogue(lake) as database:
        before = database.ask(f"select selection, key from lineage('{BLIP}') where depth = 1")
    path = Path(lake.root, FIRST, "checkpoint.json")
    content = path.read_text()
    path.unlink()
    try:
        build_catalogue(lake)
        with open_catalogue(lake) as database:
            after = database.ask(f"select selection, key from lineage('{BLIP}') where depth = 1")
    finally:
        path.write_text(content)
        build_catalogue(lake)
    assert after == before != []


def test_what_is_no_model_has_no_lineage(catalogue: Database) -> None:
    assert catalogue.ask("from lineage('models:/caplift-blip/7')") == []


def test_the_ancestry_of_a_version_ends_at_the_addresses_of_its_batches(
    catalogue: Database,
) -> None:
    steps = catalogue.ask("from ancestry('models:/caplift-blip/2')")
    links = {(row["kind"], row["of_kind"], row["made_from"]) for row in steps}
    assert {
        ("version", "model", BLIP),
        ("model", "model", FIRST),
        ("selection", "texts", CAPTIONER),
        ("selection", "scores", FILTER),
        ("texts", "model", WRITER),
        ("batch", "addresses", "6"),
        ("batch", "addresses", "3"),
    } <= links
    by_alias = catalogue.ask("from ancestry('models:/caplift-blip@champion')")
    assert by_alias == steps


def test_why_says_of_a_picture_that_could_not_be_had_what_went_wrong(catalogue: Database) -> None:
    (row,) = catalogue.ask(f"from why('{key_of('web', 'gone')}')")
    assert (row["rule"], row["reason"], row["meaning"]) == ("ingestion", "dns", "no such host")
    assert (row["kept"], row["selection"]) == (False, None)
    assert len(catalogue.ask(f"from why_dropped('{key_of('web', 'gone')}')")) == 1
