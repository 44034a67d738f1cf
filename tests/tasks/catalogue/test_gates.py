"""Each gate turns red on an offender planted for it, stays green without, and stops a flow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks import rows
from tasks.catalogue.gates import GateResult, require, run_gates
from tasks.errors import GateFailed, InputError
from tasks.selection import select
from tasks.storage import Lake
from tests.lakes import (
    CAPTIONER,
    FILTER,
    RBM,
    Painted,
    Text,
    key_of,
    new_lake,
    write_batch,
    write_duplicates,
)
from tests.selecting import blip

COUNT = 120  # every gate may fail on so many rows
NUMBER_WORDS = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
]


def sentence(n: int, what: str = "a brown dog runs") -> str:
    return f"{what} over {NUMBER_WORDS[n % 11]} meadows and {NUMBER_WORDS[n // 11]} hills"


def healthy(n: int, **changes: Any) -> Painted:
    """A picture with a web text that is accepted and a synthetic one that one in four is not."""
    web, synthetic = (n % 5 != 0) * 0.9, (n % 4 != 0) * 0.8
    texts = [
        Text(text=sentence(n), itm=web, itc=0.3, pmi=n / COUNT),
        Text(text=sentence(n, "two cats sleep"), source="synthetic", itm=synthetic, pmi=1.0),
    ]
    return Painted(name=f"p{n}", texts=texts, **changes)


def lake_of(root: Path, change: Callable[[int], Painted] = healthy) -> Lake:
    lake = new_lake(root / "lake")
    write_batch(lake, "web", [change(n) for n in range(COUNT)], per_shard=40)
    return lake


def verdicts(lake: Lake, gate: str) -> set[str]:
    return {one.status for one in run_gates(lake) if one.gate == gate}


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


def disbelieved(n: int) -> Painted:
    texts = [Text(text=sentence(n, "two cats sleep"), source="synthetic", itm=0.1)]
    return Painted(name=f"p{n}", texts=texts)


def believed(n: int) -> Painted:
    texts = [Text(text=sentence(n, "two cats sleep"), source="synthetic", itm=0.99)]
    return Painted(name=f"p{n}", texts=texts)


def one_song(n: int) -> Painted:
    texts = [Text(text="a post post post", source="synthetic", itm=0.8 if n % 4 else 0.1)]
    return Painted(name=f"p{n}", texts=texts)


def empty_shard(n: int) -> Painted:
    return healthy(n) if n < 80 else Painted(name=f"p{n}", outcome=rows.Outcome.TIMEOUT)


def without_numbers(n: int) -> Painted:
    texts = [Text(text=sentence(n), pmi=float("nan") if n % 5 == 0 else 1.0)]
    return Painted(name=f"p{n}", texts=texts)


def test_a_healthy_lake_passes_every_gate_that_can_be_measured(tmp_path: Path) -> None:
    lake = lake_of(tmp_path)
    select(lake, blip(rbm_run=RBM))
    bad = [(one.gate, one.status) for one in run_gates(lake) if one.status in ("fail", "warn")]
    assert bad == [("G7", "warn")]  # of so few texts each is more than half a per cent
    require(run_gates(lake))


def test_an_empty_lake_has_nothing_to_measure(tmp_path: Path) -> None:
    results = run_gates(new_lake(tmp_path / "lake"))
    assert {one.status for one in results} == {"not measured"}
    assert [one.gate for one in results] == sorted(
        (one.gate for one in results), key=lambda gate: int(gate[1:])
    )
    require(results)


@pytest.mark.parametrize(
    ("gate", "offender"),
    [
        ("G2", unanswered),
        ("G3", broken),
        ("G5", unmeasured),
        ("G8", refused),
        ("G9", disbelieved),
        ("G9", believed),
        ("G10", one_song),
        ("G17", empty_shard),
        ("G18", without_numbers),
    ],
)
def test_an_offender_turns_its_gate_red(
    tmp_path: Path, gate: str, offender: Callable[[int], Painted]
) -> None:
    lake = lake_of(tmp_path, offender)
    results = run_gates(lake)
    assert "fail" in {one.status for one in results if one.gate == gate}
    with pytest.raises(GateFailed, match=rf"gate {gate} fail|\(\d more\)"):
        require(results)


def test_few_rows_can_warn_and_not_fail(tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "lake")
    write_batch(lake, "web", [unanswered(n) for n in range(30)])
    assert verdicts(lake, "G2") == {"warn"}


def test_a_lost_row_fails_conservation_and_names_the_stage(tmp_path: Path) -> None:
    lake = lake_of(tmp_path)
    (path,) = lake.glob(f"captions/{CAPTIONER}/web/00001.parquet")
    rows.write_rows(lake, path, rows.read_rows(lake, path).slice(1))
    (failed,) = [one for one in run_gates(lake) if one.gate == "G1" and one.status == "fail"]
    assert failed.metric == 1
    assert failed.slice == f"captioning {CAPTIONER}"


def test_a_doubled_key_fails(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, lambda n: healthy(n, web={"key": key_of("web", "p0")}))
    assert "fail" in verdicts(lake, "G4")


def test_a_batch_of_copies_fails(tmp_path: Path) -> None:
    lake = lake_of(tmp_path)
    write_duplicates(lake, "web", {f"p{n}": ("p0", 0) for n in range(1, 61)})
    assert verdicts(lake, "G6") == {"fail"}


def test_a_flood_of_one_text_fails_from_a_thousand_texts_on(tmp_path: Path) -> None:
    def flooded(n: int) -> Painted:
        texts = [Text(text=sentence(n), itm=None)] * 8 + [
            Text(text="image may be subject", itm=None)
        ]
        return Painted(name=f"p{n}", texts=texts)

    assert verdicts(lake_of(tmp_path, flooded), "G7") == {"fail"}


def test_a_filter_that_ranks_noise_first_fails_on_planted_truth(tmp_path: Path) -> None:
    lake = lake_of(tmp_path)
    truth = [
        {
            "key": key_of("web", f"p{n}"),
            "text": sentence(n),
            "noise": "none" if n % 5 == 0 else "swapped",  # the rejected fifth is what is right
            "is_noise": n % 5 != 0,
        }
        for n in range(COUNT)
    ]
    rows.write_rows(lake, "truth/web.parquet", rows.table_of(truth, rows.TRUTH))
    select(lake, blip())
    failed = [one for one in run_gates(lake) if one.gate == "G13"]
    assert [(one.status, one.metric) for one in failed] == [("fail", 0.0)]


def test_two_captioners_in_one_run_fail(tmp_path: Path) -> None:
    lake = lake_of(tmp_path)
    (path,) = lake.glob(f"captions/{CAPTIONER}/web/00001.parquet")
    other = [{**row, "model": "another"} for row in rows.read_rows(lake, path).to_pylist()]
    rows.write_rows(lake, path, rows.table_of(other, rows.CAPTIONS))
    (failed,) = [one for one in run_gates(lake) if one.gate == "G14" and one.status == "fail"]
    assert (failed.slice, failed.metric) == (CAPTIONER, 2)


def test_a_selected_picture_that_models_are_judged_on_fails(tmp_path: Path) -> None:
    lake = lake_of(tmp_path)
    # Judged on under another name, and written only after the selection was made.
    how = blip(evaluation_batches=("judged",))
    write_batch(
        lake, "judged", [Painted(name="other", texts=[Text(text=sentence(0), source="human")])]
    )
    select(lake, how)
    assert verdicts(lake, "G16") == {"pass"}
    twin = lake.glob("web/web/00000.parquet")[0]
    copied = rows.read_rows(lake, twin).to_pylist()[1]
    path = lake.glob("web/judged/00000.parquet")[0]
    judged = rows.read_rows(lake, path).to_pylist()
    judged[0] |= {name: copied[name] for name in ("sha256", "phash", "dhash", "entropy")}
    rows.write_rows(lake, path, rows.table_of(judged, rows.WEB))
    assert verdicts(lake, "G16") == {"fail"}


def failed_gate(gate: str = "G9", metric: float = 0.95) -> GateResult:
    return GateResult(
        gate=gate,
        title="Synthetic texts that the filter rejects",
        slice=FILTER,
        status="fail",
        metric=metric,
        n=500,
        limits="above 0.8",
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
    require([failed_gate()], override=("G9",))
    with pytest.raises(GateFailed, match="G13"):
        require([failed_gate(), failed_gate("G13", 0.4)], override=("G9",))


def test_an_override_of_a_gate_that_there_is_not_is_refused() -> None:
    with pytest.raises(InputError, match="override names G99; the gates are G9"):
        require([failed_gate()], override=("G99",))
