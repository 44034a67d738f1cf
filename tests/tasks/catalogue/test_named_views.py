"""Copies, costs, days, signals and first reasons are what a slow count over the rows gives."""

from datetime import UTC, datetime
from statistics import mean, stdev
from typing import Any

import pytest

from sql.statements import names
from tasks import rows
from tasks.catalogue.building import build_catalogue, open_catalogue
from tasks.database import Database
from tasks.selection import select
from tasks.storage import Shard
from tests.lakes import (
    CAPTIONER,
    FILTER,
    Painted,
    Text,
    key_of,
    new_lake,
    write_batch,
    write_duplicates,
)
from tests.selecting import ALSO_GOOD, GOOD, blip

NAMED = """
v_noise_by_domain v_noise_by_source_day v_keep_web_vs_synth v_funnel v_reason_breakdown
v_cost_per_kept v_signal_long v_dup_across_shards v_worst_shards v_language_mix
v_caption_length_hist v_boilerplate v_itm_threshold_sweep v_disagreement v_filter_eval
v_gate_status v_top_domains v_first_drop v_final
why why_dropped drift_psi gallery_sample diff lineage ancestry
"""
DAYS = (3, 3, 3, 5, 5, 5, 5)
ITM = (0.1, 0.3, 0.5, 0.55, 0.7, 0.9, 0.25)
BRIGHT = (0.11, 0.23, 0.31, 0.42, 0.53, 0.61, 0.75)


def picture(n: int) -> Painted:
    fetched = datetime(2026, 11, DAYS[n], 23, 59, 59, tzinfo=UTC)
    texts = [Text(text=GOOD if n < 5 else "dog", itm=ITM[n])]
    texts += [Text(text=f"{ALSO_GOOD} {n}", source="synthetic", itm=0.9)]
    return Painted(name=f"p{n}", texts=texts, web={"fetched_at": fetched, "bright_p50": BRIGHT[n]})


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Any:
    lake = new_lake(tmp_path_factory.mktemp("named") / "lake")
    write_batch(lake, "web", [picture(n) for n in range(7)], per_shard=3)
    write_batch(lake, "late", [Painted(name="again", texts=[Text(text=GOOD)])])
    write_duplicates(lake, "web", {"p1": ("p0", 1), "p6": ("p3", 2), "p5": ("p3", 3)})
    write_duplicates(lake, "late", {"again": ("p2", 0)}, keeper_batch="web")
    for name, seconds in (("00000", 11.0), ("00001", 13.0), ("00002", 17.0)):
        path = lake.rows("scores", FILTER, Shard("web", name))
        lake.commit(
            *("scoring", FILTER, Shard("web", name)),
            files=[path],
            rows={"scores": 6},
            seconds=seconds,
            versions={"device": "cuda:0"},
        )
    select(lake, blip())
    build_catalogue(lake)
    with open_catalogue(lake) as database:
        yield database


def test_every_view_and_macro_that_was_promised_is_there(catalogue: Database) -> None:
    there = {name.rpartition("/")[2] for name in (*names("views"), *names("macros"))}
    assert set(NAMED.split()) - there == set()
    for view in names("views"):
        catalogue.ask(f"from {view.removeprefix('views/')}")


def test_copies_span_shards_when_they_or_what_they_repeat_lie_in_several(
    catalogue: Database,
) -> None:
    found = {row["keeper"]: row for row in catalogue.ask("from v_dup_across_shards")}
    # p0 and p1 lie in one shard; p3, p5 and p6 in two; p2 in another batch than its copy.
    assert found.keys() == {key_of("web", "p3"), key_of("web", "p2")}
    third = found[key_of("web", "p3")]
    assert (third["n"], third["n_shards"], third["n_batches"]) == (3, 2, 1)
    assert third["keys"] == [key_of("web", name) for name in ("p3", "p6", "p5")]
    assert found[key_of("web", "p2")]["n_batches"] == 2


def test_noise_is_told_by_the_day_of_fetching(catalogue: Database) -> None:
    told = catalogue.ask("from v_noise_by_source_day where source = 'web'")
    by_day = {row["fetched_on"].day: (row["n"], row["noise_rate"]) for row in told}
    # Dropped are 0, 1 (a copy, too), 6 and 5 (one word, copies): by score, by look, by length.
    assert by_day == {3: (3, pytest.approx(2 / 3)), 5: (4, pytest.approx(2 / 4))}


def test_a_selection_costs_what_the_stages_behind_it_took(catalogue: Database) -> None:
    (row,) = catalogue.ask("from v_cost_per_kept")
    (stages,) = catalogue.ask(
        "select sum(seconds) as s from stage_run where batch = 'web' and stage <> 'gates'"
    )
    assert row["gpu_seconds"] == pytest.approx(11 + 13 + 17)
    assert row["seconds"] == pytest.approx(stages["s"])
    assert row["gpu_seconds_per_1000"] == pytest.approx(1000 * 41 / row["n_kept"])
    (cost,) = catalogue.ask("from cost_per_kept(0.36, 7.2)")
    wanted = (stages["s"] - 41) * 0.0001 + 41 * 0.002
    assert cost["cost"] == pytest.approx(wanted)
    assert cost["cost_per_1000"] == pytest.approx(1000 * wanted / row["n_kept"])


def test_signals_stand_one_below_the_other_with_the_run_that_measured_them(
    catalogue: Database,
) -> None:
    found = catalogue.ask("from v_signal_long where batch = 'web'")
    values = {
        (row["run"], row["signal"]): [
            r["value"] for r in found if (r["run"], r["signal"]) == (row["run"], row["signal"])
        ]
        for row in found
    }
    assert sorted(values["ingestion", "bright_p50"]) == pytest.approx(sorted(BRIGHT))
    assert sorted(values[FILTER, "itm_probability"]) == pytest.approx(sorted([*ITM, *[0.9] * 7]))
    assert sorted(values["ingestion", "n_words"]) == [1, 1, 8, 8, 8, 8, 8]
    assert values[CAPTIONER, "n_words"] == [9] * 7
    (told,) = catalogue.ask("from signal_profile where batch = 'web' and signal = 'bright_p50'")
    assert told["n"] == 7
    assert told["mean"] == pytest.approx(mean(BRIGHT), rel=1e-6)
    assert told["deviation"] == pytest.approx(stdev(BRIGHT), rel=1e-6)
    assert told["deciles"][4] == pytest.approx(sorted(BRIGHT)[3], rel=1e-6)


@pytest.mark.parametrize("signal", ["bright_p50", "itm_probability"])
def test_a_run_or_batch_has_not_drifted_from_itself(catalogue: Database, signal: str) -> None:
    side = FILTER if signal == "itm_probability" else "web"
    (row,) = catalogue.ask(f"from drift_psi('{side}', '{side}', '{signal}')")
    assert row["psi"] == pytest.approx(0)


def test_the_first_reason_is_that_of_the_first_rule_and_all_are_told(catalogue: Database) -> None:
    found = {row["key"]: row for row in catalogue.ask("from v_first_drop where source = 'web'")}
    sixth = found[key_of("web", "p6")]
    assert sixth["first_reason"] == "near_duplicate"
    assert sixth["all_reasons"] == ["itm_mismatch", "near_duplicate", "text_too_short"]
    assert found[key_of("web", "p0")]["all_reasons"] == ["itm_mismatch"]
    stages = {row["key"]: row for row in catalogue.ask("from v_final where source = 'web'")}
    assert stages[key_of("web", "p6")]["first_stage"] == "picture"
    assert stages[key_of("web", "p0")]["first_stage"] == "pair"
    assert stages[key_of("web", "p4")]["first_stage"] is None


def test_a_threshold_counts_what_reaches_it_to_the_last_digit(catalogue: Database) -> None:
    told = catalogue.ask("from v_itm_threshold_sweep where source = 'web'")
    for row in told:
        reached = [n for n, itm in enumerate(ITM) if as_float32(itm) >= row["threshold"]]
        assert row["keep_rate"] == pytest.approx(len(reached) / 7)
        assert row["n_selected"] == len([n for n in reached if n in (0, 2, 3, 4)])
    assert len(told) == 21


def as_float32(value: float) -> float:
    table = rows.table_of([{"itm_probability": value}], rows.SCORES)
    return float(table["itm_probability"][0].as_py())


def test_a_text_under_five_pictures_is_boilerplate_and_one_under_two_is_not(
    catalogue: Database,
) -> None:
    (row,) = catalogue.ask("from v_boilerplate where source = 'web'")
    assert (row["text"], row["pictures"], row["domains"]) == (GOOD, 5, 1)
    assert row["keep_rate"] == pytest.approx(3 / 5)
    assert row["mean_itm"] == pytest.approx(mean(ITM[:5]), rel=1e-6)
