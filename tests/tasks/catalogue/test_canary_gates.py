"""What a canary shows of a filter is in the catalogue, in the report, and stops a worse filter."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tasks import rows
from tasks.canary.judging import STAGE
from tasks.canary.record import CANARIES, canary_path
from tasks.catalogue.building import build_catalogue, open_catalogue
from tasks.catalogue.gates import GateResult, check_gates, run_gates
from tasks.catalogue.verdicts import Check
from tasks.selection import Thresholds, select
from tasks.storage import Lake, Shard
from tests.gate_lakes import lake_of, of_measure
from tests.lakes import FILTER
from tests.reported import reported
from tests.selecting import blip

pytestmark = pytest.mark.slow

PAIRS = 101  # on fewer than 100 no gate may fail
RIGHT, WRONG = 60, 41


def write_canary(
    lake: Lake, wrong: Callable[[int], float], name: str = "shipped", right: float = 0.9
) -> None:
    """Right texts score `right` and a little more each, wrong ones what is said."""
    scores = [(False, right + n / 1000) for n in range(RIGHT)]
    scores += [(True, wrong(n)) for n in range(WRONG)]
    shard = Shard("web", "00000")
    found = [
        {
            "canary": name,
            "key": f"k{n}",
            "text": f"text {n}",
            "noise": ("swapped" if n % 2 else "filename") if is_noise else "none",
            "is_noise": is_noise,
            "batch": "web",
            "shard": "00000",
            "run": FILTER,
            "model": "a-filter",
            "itc_cosine": 0.1,
            "itm_probability": probability,
        }
        for n, (is_noise, probability) in enumerate(scores)
    ]
    path = canary_path(FILTER, shard)
    rows.write_rows(lake, path, rows.table_of(found, CANARIES))
    counts = {"pairs": PAIRS, "noise": WRONG}
    lake.commit(STAGE, FILTER, shard, files=[path], rows=counts, seconds=1)


def one(results: list[GateResult], measure: str) -> GateResult:
    (found,) = of_measure(results, "G13", measure)
    return found


def best_of(count: int) -> Callable[[int], float]:
    """So many of the 41 wrong texts score above every right one."""
    return lambda n: 0.99 if n < count else 0.1


@pytest.mark.parametrize(
    ("above", "shipped", "own"),
    [
        (4, "pass", "pass"),  # AUC 37 / 41 = 0.902
        (5, "warn", "warn"),  # 0.878
        (8, "warn", "warn"),  # 0.805
        (9, "warn", "fail"),  # 0.780
    ],
)
def test_an_own_canary_fails_a_filter_that_the_shipped_one_only_warns_of(
    tmp_path: Path, above: int, shipped: str, own: str
) -> None:
    lake = lake_of(tmp_path)
    write_canary(lake, best_of(above))
    results = run_gates(lake)
    assert one(results, "canary").metric == pytest.approx((WRONG - above) / WRONG)
    assert one(results, "canary").status == shipped
    assert one(results, "own canary").status == "not measured"
    write_canary(lake, best_of(above), name="pairs.jsonl-0123456789ab")
    assert one(run_gates(lake), "own canary").status == own


def test_a_filter_that_got_worse_on_the_same_canary_fails(tmp_path: Path) -> None:
    lake = lake_of(tmp_path)
    write_canary(lake, best_of(0))
    check_gates(lake, Check(run="monday"))
    write_canary(lake, best_of(4))
    (worse,) = of_measure(check_gates(lake, Check(run="tuesday")), "G13", "canary since")
    assert worse.status == "warn"
    assert worse.metric == pytest.approx(-4 / 41)
    lake = lake_of(tmp_path / "other")
    write_canary(lake, best_of(0))
    check_gates(lake, Check(run="monday"))
    write_canary(lake, best_of(5))
    results = check_gates(lake, Check(run="tuesday"))
    assert one(results, "canary since").status == "fail"
    # What another canary says is no change of the filter.
    write_canary(lake, best_of(5), name="pairs.jsonl-0123456789ab")
    results = check_gates(lake, Check(run="wednesday"))
    assert one(results, "canary since").status == "not measured"


def test_recall_is_counted_at_the_threshold_of_the_selection(tmp_path: Path) -> None:
    lake = lake_of(tmp_path)
    write_canary(lake, lambda n: 0.6 if n < 10 else 0.3)
    with_half = run_measurements(lake)
    select(lake, blip(thresholds=Thresholds(itm_probability=0.65)))
    with_more = run_measurements(lake)
    assert with_half == {"canary recall": round(31 / 41, 9), "canary precision": 1.0}
    assert with_more == {"canary recall": 1.0, "canary precision": 1.0}


def run_measurements(lake: Lake) -> dict[str, float]:
    build_catalogue(lake)
    with open_catalogue(lake) as database:
        found = database.connection.execute(
            "select measure, metric from measurement where measure in "
            "('canary recall', 'canary precision')"
        ).fetchall()
    return {name: round(value, 9) for name, value in found}


def test_the_report_shows_every_job_and_every_kind_of_noise(tmp_path: Path) -> None:
    lake = lake_of(tmp_path)
    write_canary(lake, best_of(5))
    select(lake, blip())
    page, numbers = reported(lake)
    kinds = {row["noise"]: row for row in numbers["figures"]["canary-kinds"]["rows"]}
    assert set(kinds) == {"all", "swapped", "filename"}
    everything = kinds["all"]
    # 36 of 41 are called noise, and nothing else is.
    assert (everything["noise_recall"], everything["noise_precision"]) == (36 / 41, 1.0)
    assert everything["auc"] == pytest.approx(36 / 41)
    # The first ones score high; n counts from the 60 right ones, so odd ones are swapped.
    assert kinds["filename"]["noise_recall"] == pytest.approx(18 / 21)
    assert kinds["swapped"]["noise_recall"] == pytest.approx(18 / 20)
    (job,) = numbers["figures"]["canary-jobs"]["rows"]
    assert (job["run"], job["batch"], job["n"]) == (FILTER, "web", PAIRS)
    assert "AUC of ITM on the canary" in page
