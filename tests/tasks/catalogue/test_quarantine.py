"""A shard that met an outage is in no selection until enough came, or a person says so."""

from pathlib import Path
from typing import Any

import pytest

from tasks.catalogue.building import build_catalogue, open_catalogue
from tasks.catalogue.gates import check_gates, require
from tasks.catalogue.verdicts import Check, Override
from tasks.errors import GateFailed
from tasks.rows import Outcome
from tasks.selection import Selection, select
from tasks.storage import Lake, Shard
from tests.gate_lakes import of_measure, sentence
from tests.lakes import Painted, Text, key_of, new_lake, write_batch

SPOILT = Shard("web", "00000")
KNOWN = Override(gate="G2", why="a third of a shard is enough here", who="a tester")


def picture(n: int) -> Painted:
    """Of the first hundred seven came; of the second all did, and seven were large enough."""
    name = f"p{n}"
    if n % 100 < 7:
        return Painted(name=name, texts=[Text(text=sentence(n))])
    if n < 100:
        return Painted(name=name, outcome=Outcome.CONNECT)
    return Painted(name=name, outcome=Outcome.TOO_SMALL, web={"bytes": 11})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A batch of two shards of which gate G2 has put the first aside."""
    made = new_lake(tmp_path)
    write_batch(made, "web", [picture(n) for n in range(200)], per_shard=100)
    (failed,) = [one for one in of_measure(check(made), "G2", "shard") if one.status == "fail"]
    assert (failed.slice, failed.metric) == ("web/00000", 0.07)
    with pytest.raises(GateFailed, match="--retry-failed"):
        require([failed])
    assert aside(made) == [SPOILT]
    return made


def check(lake: Lake, *overrides: Override) -> list[Any]:
    return check_gates(lake, Check(run="a-run", overrides=overrides))


def aside(lake: Lake) -> list[Shard]:
    return lake.committed("quarantine", "ingestion", "web")


def offered(lake: Lake) -> set[str]:
    """The shards of which a selection that is made now has captions, in the catalogue too."""
    card = select(lake, Selection(policy="raw", batches=("web",)))
    build_catalogue(lake)
    with open_catalogue(lake) as database:
        found = database.ask(
            "select selection, shard, count(*) as n from sample_final group by all"
        )
    shards = {row["shard"]: row["n"] for row in found if row["selection"] == card.id}
    assert shards == dict.fromkeys(shards, 7)
    assert card.counts["captions"] == 7 * len(shards)
    return set(shards)


def test_a_selection_leaves_it_out_and_the_gate_passes_without_it(lake: Lake) -> None:
    assert lake.commit_of("quarantine", "ingestion", SPOILT).versions["reason"] == (
        "G2: 0.07 of 100 candidates were fetched"
    )
    assert offered(lake) == {"00001"}
    (passed,) = of_measure(check(lake), "G2", "shard")
    assert (passed.slice, passed.status) == ("web/00001", "pass")
    assert aside(lake) == [SPOILT]


def test_a_retry_that_brings_enough_takes_it_back(lake: Lake) -> None:
    again = [
        Painted(
            name=f"p{n}",
            outcome=Outcome.TOO_SMALL,
            web={"key": key_of("web", f"p{n}"), "bytes": 11},
        )
        for n in range(7, 30)
    ]
    write_batch(lake, "web-retry1", again[:22])
    check(lake)
    assert aside(lake) == [SPOILT]  # 29 of 100
    write_batch(lake, "web-retry1", again)
    check(lake)
    assert aside(lake) == []  # 30 of 100
    assert offered(lake) == {"00000", "00001"}


def test_an_override_takes_it_back(lake: Lake) -> None:
    check(lake, KNOWN)
    assert aside(lake) == []
    assert offered(lake) == {"00000", "00001"}
    check(lake, KNOWN)
    assert aside(lake) == []
