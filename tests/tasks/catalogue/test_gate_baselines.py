"""A run is held against the last green one, whose numbers lie in the lake and not in the code."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks import rows
from tasks.catalogue.gates import GateResult, check_gates, run_gates
from tasks.catalogue.verdicts import Check, read_checks
from tasks.selection import select
from tasks.storage import Lake
from tests.gate_lakes import COUNT, healthy, of_measure, sentence
from tests.lakes import CAPTIONER, FILTER, RBM, Painted, Text, key_of, new_lake, write_batch
from tests.selecting import blip

MANY = 600  # a drift may fail on two hundred


def batch_of(lake: Lake, batch: str, change: Callable[[int], Painted], count: int = COUNT) -> None:
    write_batch(lake, batch, [change(n) for n in range(count)], per_shard=count // 3)


def measured(lake: Lake, gate: str, measure: str, **check: Any) -> GateResult:
    """The worst result of a measure."""
    return of_measure(check_gates(lake, Check(**check)), gate, measure)[0]


def one_text(n: int, **text: Any) -> Painted:
    """A picture with one text."""
    return Painted(name=f"p{n}", texts=[Text(text=sentence(n), **text)])


@pytest.fixture(scope="module")
def drifting(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A green run on batch one, then batch two with other texts, in other languages."""
    lake = new_lake(tmp_path_factory.mktemp("lake"))
    german = {"lang": "de"}
    batch_of(lake, "one", lambda n: one_text(n, itm=None), MANY)
    check_gates(lake, Check(run="first", batches=("one",)))
    batch_of(
        lake,
        "two",
        lambda n: Painted(
            name=f"q{n}",
            texts=[
                Text(
                    text=sentence(n) + " and far away" * (n % 3),
                    itm=None,
                    signals=german if n % 5 < 2 else {},
                )
            ],
        ),
        MANY,
    )
    return lake


def test_the_first_run_has_nothing_to_be_held_against(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    batch_of(lake, "one", healthy)
    select(lake, blip("one"))
    for gate, measure in (("G8", "accepted since"), ("G11", "psi"), ("G12", "languages")):
        assert measured(lake, gate, measure, run="first").status == "not measured"


def test_texts_that_have_become_longer_fail_by_the_psi_that_is_worked_out_here(
    drifting: Lake,
) -> None:
    results = check_gates(drifting, Check(run="second", batches=("two",)))
    psi = {one.slice.split(" in ")[0]: one for one in of_measure(results, "G11", "psi")}
    assert psi["n_words of web"].status == "fail"
    assert psi["n_words of web"].metric == pytest.approx(_psi_by_hand(), rel=1e-6)
    assert psi["bytes of web"].status == "pass"
    assert psi["n_words of web"].slice == "n_words of web in two, against one"


def _psi_by_hand() -> float:
    """Over ten bins whose edges are the deciles of batch one: the slow and obvious way."""
    before = [len(sentence(n).split()) for n in range(MANY)]
    after = [len((sentence(n) + " and far away" * (n % 3)).split()) for n in range(MANY)]
    edges = np.quantile(before, np.arange(1, 10) / 10)
    counts = [
        [max(sum(int((edges < v).sum()) == bin_ for v in values), 0.5) for bin_ in range(10)]
        for values in (before, after)
    ]
    old, new = (np.array(one) / sum(one) for one in counts)
    return float(((new - old) * np.log(new / old)).sum())


def test_a_change_of_language_fails_by_the_share_that_changed(drifting: Lake) -> None:
    # Two in five are German now, and none were: the detector's own word for the others stays.
    (found,) = of_measure(
        check_gates(drifting, Check(run="second", batches=("two",))), "G12", "languages"
    )
    assert (found.status, found.slice) == ("fail", "two, against one")
    assert found.metric == pytest.approx(0.4, abs=0.02)


def test_a_batch_that_was_there_is_held_against_itself(drifting: Lake) -> None:
    results = check_gates(drifting, Check(run="again", batches=("one",)))
    assert {one.metric for one in of_measure(results, "G11", "psi")} == {0.0}


def test_a_run_that_failed_is_no_baseline(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    gone = {"outcome": rows.Outcome.DNS}
    batch_of(lake, "one", lambda n: Painted(name=f"p{n}", **(gone if n % 2 else {})))  # type: ignore[arg-type]
    assert measured(lake, "G2", "batch", run="first").status == "fail"
    batch_of(lake, "two", healthy)
    check_gates(lake, Check(run="second", batches=("two",)))
    assert [one["is_green"] for one in read_checks(lake)] == [False, True]
    batch_of(lake, "three", healthy)
    check_gates(lake, Check(run="third", batches=("three",)))
    assert read_checks(lake)[-1]["baselines"] == ["second"]


def test_a_run_that_a_plan_did_not_make_does_not_stop_it(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    batch_of(lake, "one", lambda n: one_text(n, itm=0.01))
    others = measured(lake, "G8", "accepted", run="one", batches=("one",), runs=("ingestion",))
    assert others.status == "not measured"
    assert measured(lake, "G8", "accepted", run="two", runs=(FILTER,)).status == "fail"


def test_a_failed_batch_of_another_run_stops_nobody_else(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    batch_of(lake, "dead", lambda n: Painted(name=f"p{n}", outcome=rows.Outcome.DNS))
    batch_of(lake, "alive", healthy)
    assert measured(lake, "G2", "batch", run="one", batches=("alive",)).status == "pass"
    assert measured(lake, "G2", "batch", run="two").status == "fail"


@pytest.mark.slow
@pytest.mark.parametrize(("accepted", "status"), [(96, "pass"), (80, "warn"), (112, "warn")])
def test_a_filter_that_accepts_another_share_than_before_warns(
    tmp_path: Path, accepted: int, status: str
) -> None:
    # 96 of 120 before: shards keep 0.8 each, so the spread is that of chance, 0.0365.
    lake = new_lake(tmp_path)
    batch_of(lake, "one", healthy)
    check_gates(lake, Check(run="first", batches=("one",)))
    batch_of(lake, "two", lambda n: one_text(n, itm=0.9 if n < accepted else 0.1))
    found = measured(lake, "G8", "accepted since", run="second", batches=("two",))
    assert found.status == status
    assert found.metric == pytest.approx((accepted - 96) / COUNT / (0.8 * 0.2 / COUNT) ** 0.5)


@pytest.mark.slow
def test_a_captioner_that_says_less_than_before_warns(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    write_batch(lake, "one", [healthy(n) for n in range(COUNT)])
    check_gates(lake, Check(run="first", batches=("one",)))
    fewer = [
        Text(text=f"two cats sleep on sofa {n}", source="synthetic", itm=0.8 if n % 4 else 0.1)
        for n in range(COUNT)
    ]
    write_batch(lake, "two", [Painted(name=f"p{n}", texts=[t]) for n, t in enumerate(fewer)])
    found = measured(lake, "G10", "pairs since", run="second", batches=("two",))
    # Now: 4 pairs all have and 120 of their own, of 600.
    before = [_pairs(sentence(n, "two cats sleep")) for n in range(COUNT)]
    share = len({p for own in before for p in own}) / sum(len(own) for own in before)
    assert found.metric == pytest.approx(124 / 600 / share)
    assert found.status == ("warn" if 124 / 600 / share < 0.8 else "pass")


def _pairs(text: str) -> list[tuple[str, str]]:
    words = text.split()
    return list(pairwise(words))


@pytest.mark.slow
def test_a_filter_that_got_worse_on_known_noise_warns(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    for batch, wrong_in in (("one", 0), ("two", 10)):
        batch_of(lake, batch, lambda n, w=wrong_in: one_text(n, itm=_itm(n, w)))  # type: ignore[misc]
        truth = [
            {
                "key": key_of(batch, f"p{n}"),
                "text": sentence(n),
                "noise": "swapped" if n % 2 else "none",
                "is_noise": bool(n % 2),
            }
            for n in range(COUNT)
        ]
        rows.write_rows(lake, f"truth/{batch}.parquet", rows.table_of(truth, rows.TRUTH))
        select(lake, blip(batch, caption_runs=()))
        results = check_gates(lake, Check(run=batch, batches=(batch,)))
    (auc,), (recall,) = (of_measure(results, "G13", f"{name} since") for name in ("auc", "recall"))
    # Ten of sixty wrong texts score above every right one: a sixth of all pairs is in wrong order.
    assert (auc.status, recall.status) == ("warn", "warn")
    assert [auc.metric, recall.metric] == pytest.approx([-1 / 6, -1 / 6])


def _itm(n: int, wrong: int) -> float:
    if n % 2:
        return 0.95 if n // 2 < wrong else 0.1
    return 0.9


@pytest.mark.slow
@pytest.mark.parametrize(("above", "status"), [(0.02, "pass"), (0.05, "warn"), (0.2, "fail")])
def test_pairs_that_surprise_the_rbm_warn_and_fail(
    tmp_path: Path, above: float, status: str
) -> None:
    lake = new_lake(tmp_path)
    for batch, tail in (("one", 0.0), ("two", above)):
        pictures = [
            one_text(n, itm=None, pmi=1.0, energy=1e3 if n < tail * MANY else n / MANY)
            for n in range(MANY)
        ]
        write_batch(lake, batch, pictures, per_shard=MANY)
        results = check_gates(lake, Check(run=batch, batches=(batch,)))
    (found,) = of_measure(results, "G18", "surprising")
    assert found.status == status
    assert found.metric == pytest.approx(max(above, 0.0) + 0.01 * (1 - above), abs=0.01)
    assert RBM in found.slice


@pytest.mark.slow
def test_a_run_over_its_budget_warns_and_fails(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    batch_of(lake, "one", healthy)
    card = select(lake, blip("one"))
    cost = _seconds(lake) / card.counts["selected"] * 1000
    for factor, status in ((1.0, "pass"), (2.0, "warn"), (4.0, "fail")):
        found = measured(lake, "G19", "cost", run=f"r{factor}", budget_s=cost / factor)
        assert found.status == status
        assert found.metric == pytest.approx(factor)
    assert measured(lake, "G19", "cost", run="without").status == "not measured"


def _seconds(lake: Lake) -> float:
    stages = ("ingestion/ingestion", f"captioning/{CAPTIONER}", f"scoring/{FILTER}", "selection/*")
    paths = [path for stage in stages for path in lake.glob(f"commits/{stage}/one/*.json")]
    return sum(float(lake.read_json(path)["seconds"]) for path in paths)


@pytest.mark.slow
def test_a_stage_that_became_slow_and_a_choice_that_became_dear_warn(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    for batch, slower in (("one", 1), ("two", 2)):
        batch_of(lake, batch, healthy)
        for path in lake.glob(f"commits/*/*/{batch}/*.json"):
            record = lake.read_json(path)
            lake.publish_json(path, {**record, "seconds": record["seconds"] * 2 * slower})
        select(lake, blip(batch))
        results = check_gates(lake, Check(run=batch, batches=(batch,)))
    pace = {one.slice.split()[0]: one for one in of_measure(results, "G19", "pace since")}
    assert pace["captioning"].status == "warn"
    assert pace["captioning"].metric == pytest.approx(0.5)
    (cost,) = of_measure(results, "G19", "cost since")
    assert cost.status == "warn"
    assert cost.metric == pytest.approx(2, abs=0.05)


def test_a_build_without_a_check_says_what_the_last_check_of_the_same_lake_said(
    drifting: Lake,
) -> None:
    recorded = check_gates(drifting, Check(run="latest", batches=("two",)))
    assert [(one.gate, one.measure, one.slice, one.status) for one in run_gates(drifting)] == [
        (one.gate, one.measure, one.slice, one.status) for one in recorded
    ]


def test_the_same_check_made_twice_is_one_check(drifting: Lake) -> None:
    check_gates(drifting, Check(run="second", batches=("two",)))
    before = read_checks(drifting)
    check_gates(drifting, Check(run="second", batches=("two",)))
    assert read_checks(drifting) == before
