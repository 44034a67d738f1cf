"""Views and macros give what a slow count over the rows of the lake gives."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tasks import rows
from tasks.catalogue.building import build_catalogue, open_catalogue
from tasks.database import Database
from tasks.selection import select
from tasks.storage import Lake
from tasks.thresholds import Thresholds
from tests.lakes import Painted, Text, key_of, new_lake, write_batch
from tests.selecting import ALSO_GOOD, GOOD, blip, with_synthetic

WEB_ITM = (0.1, 0.35, 0.45, 0.6, 0.6, 0.8, 0.9)  # p3 is noise and p4 is not: a tie
SYNTHETIC_ITM = (0.9, 0.2, 0.9, 0.3, 0.9, 0.9, 0.9)
NOISY = (True, False, True, True, False, False, False)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = new_lake(tmp_path_factory.mktemp("views") / "lake")
    pairs = zip(WEB_ITM, SYNTHETIC_ITM, strict=True)
    described = [
        with_synthetic(f"p{n}", web, synthetic) for n, (web, synthetic) in enumerate(pairs)
    ]
    gone = [Painted(name=f"gone{n}", outcome=rows.Outcome.DNS) for n in range(4)]
    write_batch(made, "web", [*described, *gone])
    truth = [
        {
            "key": key_of("web", f"p{n}"),
            "text": GOOD,
            "noise": "swapped" if noisy else "none",
            "is_noise": noisy,
        }
        for n, noisy in enumerate(NOISY)
    ]
    rows.write_rows(made, "truth/web.parquet", rows.table_of(truth, rows.TRUTH))
    return made


@pytest.fixture(scope="module")
def strict(lake: Lake) -> str:
    return str(select(lake, blip()).id)


@pytest.fixture(scope="module")
def loose(lake: Lake) -> str:
    return str(select(lake, blip(thresholds=Thresholds(itm_probability=0.4))).id)


@pytest.fixture(scope="module")
def catalogue(lake: Lake, strict: str, loose: str) -> Any:
    build_catalogue(lake)
    with open_catalogue(lake) as database:
        assert {row["id"] for row in database.ask("from selection")} == {strict, loose}
        yield database


def asked(catalogue: Database, view: str, **equal: Any) -> list[dict[str, Any]]:
    return [
        row
        for row in catalogue.ask(f"from {view}")
        if all(row[name] == value for name, value in equal.items())
    ]


def test_outcomes_share_out_every_candidate(catalogue: Database) -> None:
    found = {row["outcome"]: (row["n"], row["share"]) for row in asked(catalogue, "v_outcomes")}
    assert found == {
        "kept": (7, pytest.approx(7 / 11)),
        "dns": (4, pytest.approx(4 / 11)),
    }


def test_the_funnel_goes_from_candidates_to_pictures_with_a_selected_text(
    catalogue: Database, strict: str
) -> None:
    steps = asked(catalogue, "v_funnel", selection=strict)
    some_text = sum(max(pair) >= 0.5 for pair in zip(WEB_ITM, SYNTHETIC_ITM, strict=True))
    assert [row["n"] for row in steps] == [11, 7, 7, 7, some_text]
    assert steps[-1]["total_yield"] == pytest.approx(some_text / 11)


@pytest.mark.parametrize("threshold", [0.25, 0.5, 0.75])
def test_the_sweep_counts_what_reaches_each_threshold(
    catalogue: Database, strict: str, threshold: float
) -> None:
    found = {
        row["source"]: row["n_selected"]
        for row in asked(catalogue, "v_itm_threshold_sweep", selection=strict)
        if row["threshold"] == pytest.approx(threshold)
    }
    scored = {"web": WEB_ITM, "synthetic": SYNTHETIC_ITM}
    assert found == {name: sum(one >= threshold for one in its) for name, its in scored.items()}


def test_web_and_synthetic_texts_are_kept_at_their_own_rates(
    catalogue: Database, strict: str
) -> None:
    (row,) = asked(catalogue, "v_keep_web_vs_synth", selection=strict, batch=None)
    assert (row["n_web"], row["kept_web"], row["kept_synthetic"]) == (7, 4, 5)
    assert row["synthetic_per_web"] == pytest.approx(5 / 4)


def test_only_the_matching_head_dropped_anything(catalogue: Database, strict: str) -> None:
    found = asked(catalogue, "v_reason_breakdown", selection=strict)
    counted = {(r["source"], r["reason"]): (r["n_any"], r["n_first"], r["n_only"]) for r in found}
    assert counted == {
        ("web", "itm_mismatch"): (3, 3, 3),
        ("synthetic", "itm_mismatch"): (2, 2, 2),
    }


def test_the_auc_is_the_share_of_clean_and_noisy_pairs_in_the_right_order(
    catalogue: Database, strict: str
) -> None:
    (row,) = asked(catalogue, "v_auc", selection=strict, signal="itm_probability")
    clean = [itm for itm, noisy in zip(WEB_ITM, NOISY, strict=True) if not noisy]
    noise = [itm for itm, noisy in zip(WEB_ITM, NOISY, strict=True) if noisy]
    pairs = [(a > b) + (a == b) / 2 for a in clean for b in noise]
    assert (row["n_clean"], row["n_noise"]) == (4, 3)
    assert row["auc"] == pytest.approx(sum(pairs) / len(pairs))


def test_the_difference_of_two_thresholds_is_what_lies_between_them(
    catalogue: Database, strict: str, loose: str
) -> None:
    (row,) = catalogue.ask(f"from diff('{strict}', '{loose}')")
    assert (row["key"], row["source"]) == (key_of("web", "p2"), "web")
    assert (row["in_one"], row["in_other"]) == (False, True)
    assert row["dropped_from_one"] == "itm_mismatch"
    (back,) = catalogue.ask(f"from diff('{loose}', '{strict}')")
    assert (back["in_one"], back["in_other"]) == (True, False)


def test_a_gallery_holds_captions_of_one_verdict_and_the_same_every_time(
    catalogue: Database, strict: str
) -> None:
    question = f"from gallery_sample('{strict}', 'itm_mismatch', 3)"
    shown = catalogue.ask(question)
    assert len(shown) == 3
    assert all(row["itm_probability"] < 0.5 for row in shown)
    assert catalogue.ask(question) == shown
    assert len(catalogue.ask(f"from gallery_sample('{strict}', null, 99)")) == 9


def test_drift_is_the_psi_of_ten_quantile_bins(tmp_path: Path) -> None:
    made = new_lake(tmp_path / "lake")
    words = {"before": [n % 11 + 1 for n in range(67)], "after": [n % 7 + 3 for n in range(43)]}
    for batch, lengths in words.items():
        texts = [Text(text=ALSO_GOOD, signals={"n_words": n}) for n in lengths]
        write_batch(made, batch, [Painted(name=f"p{n}", texts=[t]) for n, t in enumerate(texts)])
    build_catalogue(made)
    with open_catalogue(made) as database:
        (row,) = database.ask("from drift_psi('before', 'after', 'n_words')")
    assert row["psi"] == pytest.approx(psi(words["before"], words["after"]))


def psi(before: list[int], after: list[int]) -> float:
    ordered = sorted(before)
    edges = []
    for tenth in range(1, 10):
        at = tenth / 10 * (len(ordered) - 1)
        low = math.floor(at)
        edges.append(ordered[low] + (at - low) * (ordered[low + 1] - ordered[low]))
    binned = [Counter(sum(e < v for e in edges) for v in side) for side in (before, after)]
    bins = set(binned[0]) | set(binned[1])
    parts = [{b: max(side[b], 0.5) for b in bins} for side in binned]
    shares = [{b: n / sum(part.values()) for b, n in part.items()} for part in parts]
    return sum((shares[1][b] - shares[0][b]) * math.log(shares[1][b] / shares[0][b]) for b in bins)
