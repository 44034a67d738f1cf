"""Who lets a run go on although a gate fails is written down: who, when, why, and which gate."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks import rows
from tasks.catalogue.building import build_catalogue, open_catalogue
from tasks.catalogue.gates import check_gates, require
from tasks.catalogue.verdicts import Check, Override, read_checks
from tasks.errors import GateFailed, LakeError
from tasks.storage import Lake
from tests.gate_lakes import of_measure
from tests.lakes import Painted, new_lake, write_batch

REASON = "the site was down; the half that came is what we test with"
KNOWN = Override(gate="G2", why=REASON, who="a tester")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Half of a hundred and one candidates did not come: G2 fails."""
    made = new_lake(tmp_path)
    gone = {"outcome": rows.Outcome.DNS}
    pictures = [Painted(name=f"p{n}", **(gone if n % 2 else {})) for n in range(101)]  # type: ignore[arg-type]
    write_batch(made, "web", pictures, per_shard=101)
    return made


def test_an_override_is_kept_in_the_lake_and_in_the_catalogue(lake: Lake) -> None:
    begun = datetime.now(UTC)
    results = check_gates(lake, Check(run="a-run", overrides=(KNOWN,)))
    require(results, (KNOWN,))
    (record,) = read_checks(lake)
    (kept,) = record["overrides"]
    assert (kept["gate"], kept["who"], kept["why"]) == ("G2", "a tester", REASON)
    assert begun <= datetime.fromisoformat(kept["recorded_at"]) <= datetime.now(UTC)
    assert record["failed"] == ["G2"]
    with open_catalogue(lake) as database:
        (row,) = database.ask("from gate_override")
        (status,) = database.ask("from v_gate_status where gate = 'G2' and measure = 'batch'")
        (check,) = database.ask("from gate_check")
    assert (row["run"], row["gate"], row["who"], row["why"]) == ("a-run", "G2", "a tester", REASON)
    assert row["has_failed"]
    assert (status["status"], status["override_by"], status["override_why"]) == (
        *("fail", "a tester"),
        REASON,
    )
    assert check["is_green"] is False


def test_an_override_is_still_known_after_the_catalogue_is_built_again(lake: Lake) -> None:
    check_gates(lake, Check(run="a-run", overrides=(KNOWN,)))
    lake.local_path("quality.duckdb").unlink()
    build_catalogue(lake)
    with open_catalogue(lake) as database:
        (status,) = database.ask("from v_gate_status where gate = 'G2' and measure = 'batch'")
    assert (status["status"], status["override_by"]) == ("fail", "a tester")


def test_an_override_that_was_taken_back_counts_no_longer(lake: Lake) -> None:
    check_gates(lake, Check(run="a-run", overrides=(KNOWN,)))
    results = check_gates(lake, Check(run="a-run"))
    (failed,) = of_measure(results, "G2", "batch")
    assert (failed.status, failed.override_by) == ("fail", "")
    with pytest.raises(GateFailed, match="gate G2 fail"):
        require(results)
    # That it was there once stays known.
    assert [len(one["overrides"]) for one in read_checks(lake)] == [1, 0]


@pytest.mark.parametrize("content", ["{", "[]", '{"id": "a-run"}', ""])
def test_a_damaged_record_is_one_line_and_the_old_catalogue_stays(
    tmp_path: Path, content: str
) -> None:
    lake = new_lake(tmp_path)
    check_gates(lake, Check(run="a-run"))
    before = lake.read_bytes("quality.duckdb")
    (path,) = lake.glob("verdicts/*/verdict.json")
    lake.local_path(path).write_text(content)
    with pytest.raises(LakeError, match="is no record of a check") as caught:
        build_catalogue(lake)
    assert "\n" not in str(caught.value)
    assert lake.read_bytes("quality.duckdb") == before


def test_an_override_that_was_not_needed_says_so(lake: Lake) -> None:
    other = Override(gate="G9", why="in case the captioner is weak", who="a tester")
    check_gates(lake, Check(run="a-run", overrides=(KNOWN, other)))
    with open_catalogue(lake) as database:
        found = {row["gate"]: row["has_failed"] for row in database.ask("from gate_override")}
    assert found == {"G2": True, "G9": False}


def test_an_overridden_run_is_no_baseline(lake: Lake) -> None:
    check_gates(lake, Check(run="a-run", overrides=(KNOWN,)))
    write_batch(lake, "other", [Painted(name=f"q{n}") for n in range(11)])
    check_gates(lake, Check(run="next", batches=("other",)))
    assert read_checks(lake)[-1]["baselines"] == []
