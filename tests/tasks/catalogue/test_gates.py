"""Each gate turns red on an offender planted for it, stays green without, and stops a flow."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tasks import rows
from tasks.catalogue.gates import GateResult, check_gates, require, run_gates
from tasks.catalogue.verdicts import Check, Override, read_checks
from tasks.errors import GateFailed, InputError
from tasks.selection import select
from tests.gate_lakes import COUNT, healthy, lake_of, of_measure, sentence, verdicts
from tests.lakes import (
    CAPTIONER,
    FILTER,
    RBM,
    Painted,
    Text,
    key_of,
    new_lake,
    write_batch,
)
from tests.selecting import blip

GATES = [f"G{number}" for number in range(1, 20)]


def unanswered(n: int) -> Painted:
    if n % 2:
        return healthy(n)
    return Painted(name=f"p{n}", outcome=rows.Outcome.DNS, web={"http_status": None})


def broken(n: int) -> Painted:
    if n % 5:
        return healthy(n)
    return Painted(name=f"p{n}", outcome=rows.Outcome.CORRUPT, web={"bytes": 100})


def unmeasured(n: int) -> Painted:
    return healthy(n, web={"lap_var": None} if n % 5 == 0 else {})


def refused(n: int) -> Painted:
    return Painted(name=f"p{n}", texts=[Text(text=sentence(n), itm=0.1 if n else 0.9)])


def waved_through(n: int) -> Painted:
    return Painted(name=f"p{n}", texts=[Text(text=sentence(n), itm=0.9)])


def disbelieved(n: int) -> Painted:
    texts = [Text(text=sentence(n, "two cats sleep"), source="synthetic", itm=0.1)]
    return Painted(name=f"p{n}", texts=texts)


def swallowed(n: int) -> Painted:
    texts = [Text(text=sentence(n, "two cats sleep"), source="synthetic", itm=0.99)]
    return Painted(name=f"p{n}", texts=texts)


def one_song(n: int) -> Painted:
    texts = [Text(text="a post post post", source="synthetic", itm=0.8 if n % 4 else 0.1)]
    return Painted(name=f"p{n}", texts=texts)


def broken_off(n: int) -> Painted:
    texts = [Text(text=f"a {n}", source="synthetic", itm=0.8 if n % 4 else 0.1)]
    return Painted(name=f"p{n}", texts=texts)


def empty_shard(n: int) -> Painted:
    return healthy(n) if n < 80 else Painted(name=f"p{n}", outcome=rows.Outcome.TIMEOUT)


def without_numbers(n: int) -> Painted:
    texts = [Text(text=sentence(n), pmi=float("nan") if n % 5 == 0 else 1.0)]
    return Painted(name=f"p{n}", texts=texts)


def flooded(n: int) -> Painted:
    texts = [Text(text=sentence(n), itm=None)] * 8
    return Painted(name=f"p{n}", texts=[*texts, Text(text="image may be subject", itm=None)])


def test_a_healthy_lake_passes_every_gate_that_can_be_measured(tmp_path: Path) -> None:
    lake = lake_of(tmp_path)
    select(lake, blip(rbm_run=RBM))
    results = run_gates(lake)
    bad = [(one.gate, one.status) for one in results if one.status in ("fail", "warn")]
    assert bad == [("G7", "warn")]  # of so few texts each is more than half a per cent
    require(results)


def test_nineteen_gates_have_a_check_and_limits(tmp_path: Path) -> None:
    results = run_gates(new_lake(tmp_path / "lake"))
    assert sorted({one.gate for one in results}, key=GATES.index) == GATES
    assert {one.status for one in results} == {"not measured"}
    assert all(one.limits for one in results)
    require(results)


def test_a_batch_that_is_not_there_cannot_pass(tmp_path: Path) -> None:
    lake = lake_of(tmp_path)
    with pytest.raises(InputError, match=r"cannot judge webb: .* holds the batches web$"):
        check_gates(lake, Check(run="r", batches=("webb", "web")))
    assert read_checks(lake) == []
    assert not lake.exists("quality.duckdb")


def test_a_batch_whose_plan_names_nothing_is_judged_by_what_it_holds(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, refused)
    for shard in lake.planned("web"):
        rows.write_rows(lake, lake.rows("plans", "", shard), rows.table_of([], rows.PLANS))
    results = check_gates(lake, Check(run="r", batches=("web",)))
    assert [one.status for one in of_measure(results, "G8", "accepted")] == ["fail"]


OFFENDERS: list[tuple[str, str, Callable[[int], Painted]]] = [
    ("G2", "batch", unanswered),
    ("G3", "broken", broken),
    ("G5", "missing", unmeasured),
    ("G7", "text", flooded),
    ("G8", "accepted", refused),
    ("G8", "accepted", waved_through),
    ("G9", "rejected", disbelieved),
    ("G9", "rejected", swallowed),
    ("G10", "distinct", one_song),
    ("G10", "words", broken_off),
    ("G17", "empty", empty_shard),
    ("G18", "no numbers", without_numbers),
]


@pytest.fixture(scope="module")
def offended(tmp_path_factory: pytest.TempPathFactory) -> list[GateResult]:
    """The gates of a lake with a batch of each offender, and a healthy one."""
    lake = new_lake(tmp_path_factory.mktemp("lake"))
    for name, change in {"healthy": healthy, **{o.__name__: o for *_, o in OFFENDERS}}.items():
        write_batch(lake, name, [change(n) for n in range(COUNT)], per_shard=40)
    return run_gates(lake)


@pytest.mark.parametrize(("gate", "measure", "offender"), OFFENDERS)
def test_an_offender_turns_its_gate_red_and_a_healthy_batch_does_not(
    offended: list[GateResult], gate: str, measure: str, offender: Callable[[int], Painted]
) -> None:
    red = [one for one in of_measure(offended, gate, measure) if one.status == "fail"]
    assert [one for one in red if offender.__name__ in one.slice]
    assert not [one for one in red if "healthy" in one.slice]
    with pytest.raises(GateFailed, match=rf"gate {gate} fail"):
        require(red)


def test_few_rows_can_warn_and_not_fail(tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "lake")
    write_batch(lake, "web", [unanswered(n) for n in range(30)])
    assert verdicts(lake, "G2", "batch") == {"warn"}


def test_a_shard_that_met_an_outage_fails_where_its_batch_does_not(tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "lake")
    gone = {"outcome": rows.Outcome.CONNECT, "web": {"http_status": None}}
    pictures = [Painted(name=f"p{n}", **(gone if n < 100 else {})) for n in range(700)]  # type: ignore[arg-type]
    write_batch(lake, "web", pictures, per_shard=100)
    results = run_gates(lake)
    (shard,) = of_measure(results, "G2", "shard")
    assert (shard.status, shard.slice, shard.metric) == ("fail", "web/00000", 0.0)
    (batch,) = of_measure(results, "G2", "batch")
    assert batch.status == "pass"  # 600 of 700


def test_a_lost_row_fails_conservation_and_names_stage_and_shard(tmp_path: Path) -> None:
    lake = lake_of(tmp_path)
    (path,) = lake.glob(f"captions/{CAPTIONER}/web/00001.parquet")
    rows.write_rows(lake, path, rows.read_rows(lake, path).slice(1))
    (failed,) = [one for one in run_gates(lake) if one.gate == "G1" and one.status == "fail"]
    assert failed.metric == 1
    assert failed.slice == f"captioning {CAPTIONER}, shard web/00001"


def test_a_doubled_key_fails(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, lambda n: healthy(n, web={"key": key_of("web", "p0")}))
    assert "fail" in verdicts(lake, "G4", "keys")


def failed_gate(gate: str = "G9", metric: float = 0.95) -> GateResult:
    return GateResult(
        gate=gate,
        measure="rejected",
        title="Synthetic texts that the filter rejects",
        slice=FILTER,
        status="fail",
        metric=metric,
        n=500,
        limits="fails above 0.8",
        why="a collapsed filter",
    )


def test_a_failed_gate_says_what_was_measured_where_and_what_to_do() -> None:
    with pytest.raises(GateFailed) as caught:
        require([failed_gate()])
    said = str(caught.value)
    assert "\n" not in said
    for part in ("G9", "is 0.95", FILTER, "above 0.8", "a collapsed filter", "override"):
        assert part in said


def test_a_gate_that_is_overridden_by_name_stops_nothing() -> None:
    known = Override(gate="G9", why="a captioner of one day", who="somebody")
    require([failed_gate()], [known])
    with pytest.raises(GateFailed, match="G13"):
        require([failed_gate(), failed_gate("G13", 0.4)], [known])


@pytest.mark.parametrize(
    ("gate", "why", "said"),
    [
        ("G20", "a reason", "names 'G20'; the gates are G1 to G19"),
        ("G0", "a reason", "names 'G0'"),
        ("G9", " ", "the override of G9 does not say why"),
    ],
)
def test_an_override_of_no_gate_or_without_a_reason_is_refused(
    gate: str, why: str, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        Override(gate=gate, why=why)
