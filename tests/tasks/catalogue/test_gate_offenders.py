"""What one selection, one filter or one shard can do wrong turns its gate red at its limit."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks import rows
from tasks.catalogue.gates import run_gates
from tasks.selection import select
from tasks.storage import Lake
from tests.gate_lakes import COUNT, healthy, lake_of, of_measure, sentence, verdicts
from tests.lakes import CAPTIONER, Painted, Text, key_of, new_lake, write_batch, write_duplicates
from tests.selecting import blip

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("method", "measure", "copies", "status"),
    [
        ("sha256", "exact", 31, "fail"),  # of 120: limits are 30 and 48
        ("sha256", "exact", 30, "warn"),
        ("phash", "near", 49, "fail"),
        ("phash", "near", 48, "warn"),
        ("phash", "exact", 49, "pass"),
        ("sha256", "near", 49, "pass"),
    ],
)
def test_a_batch_of_copies_fails_by_what_kind_they_are(
    tmp_path: Path, method: str, measure: str, copies: int, status: str
) -> None:
    lake = lake_of(tmp_path)
    twins = {f"p{n}": ("p0", 0) for n in range(1, copies + 1)}
    write_duplicates(lake, "web", twins, method=method)
    assert verdicts(lake, "G6", measure) == {status}


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
    (found,) = of_measure(run_gates(lake), "G13", "auc")
    assert (found.status, found.metric) == ("fail", 0.0)


def test_two_captioners_in_one_run_fail(tmp_path: Path) -> None:
    lake = lake_of(tmp_path)
    (path,) = lake.glob(f"captions/{CAPTIONER}/web/00001.parquet")
    other = [{**row, "model": "another"} for row in rows.read_rows(lake, path).to_pylist()]
    rows.write_rows(lake, path, rows.table_of(other, rows.CAPTIONS))
    (failed,) = [one for one in run_gates(lake) if one.gate == "G14" and one.status == "fail"]
    assert (failed.slice, failed.metric) == (f"{CAPTIONER} on web", 2)


def rewritten(lake: Lake, path: str, schema: object, **changes: object) -> None:
    """Replace columns of the first row of a table of the lake."""
    read = rows.read_rows(lake, path).to_pylist()
    read[0] |= changes
    rows.write_rows(lake, path, rows.table_of(read, schema))


def test_two_versions_of_a_rule_in_one_selection_fail(tmp_path: Path) -> None:
    lake = lake_of(tmp_path)
    card = select(lake, blip())
    path = lake.glob(f"decisions/{card.id}/web/00000.parquet")[0]
    rewritten(lake, path, rows.DECISIONS, version=99)
    assert verdicts(lake, "G14", "rules") == {"fail"}


def test_a_selected_picture_whose_owner_opts_out_later_fails(tmp_path: Path) -> None:
    lake = lake_of(tmp_path)
    select(lake, blip())
    assert verdicts(lake, "G15", "opted out") == {"pass"}
    now = datetime(2026, 11, 21, tzinfo=UTC)
    again = {"key": key_of("web", "p1"), "fetched_at": now}
    write_batch(lake, "later", [Painted(name="p1", outcome=rows.Outcome.OPTED_OUT, web=again)])
    (found,) = of_measure(run_gates(lake), "G15", "opted out")
    assert (found.status, found.metric) == ("fail", 2)  # its web text and its synthetic one


def test_selected_bytes_that_are_not_those_that_were_vetted_fail(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, lambda n: healthy(n, web={"hash_matches": n != 1}))
    select(lake, blip())
    assert verdicts(lake, "G15", "unsafe") == {"fail"}


def test_personal_data_that_gets_into_a_judged_selection_fails(tmp_path: Path) -> None:
    lake = lake_of(tmp_path)
    card = select(lake, blip())
    chosen = rows.read_all(lake, f"selections/{card.id}/*/*.parquet", rows.SELECTIONS)
    wanted = next(row for row in chosen.to_pylist() if row["source"] == "web")["caption_id"]
    for path in lake.glob("captions/ingestion/web/*.parquet"):
        read = rows.read_rows(lake, path).to_pylist()
        marked = [{**row, "pii_flag": row["caption_id"] == wanted} for row in read]
        rows.write_rows(lake, path, rows.table_of(marked, rows.CAPTIONS))
    (found,) = of_measure(run_gates(lake), "G15", "unsafe")
    assert (found.status, found.metric) == ("fail", 1)


@pytest.mark.parametrize(("flipped", "status"), [(0, "fail"), (3, "fail"), (4, "pass")])
def test_a_selected_picture_that_models_are_judged_on_fails(
    tmp_path: Path, flipped: int, status: str
) -> None:
    lake = lake_of(tmp_path)
    # Judged on under another name, and written only after the selection was made.
    human = [Text(text=sentence(0), source="human")]
    write_batch(lake, "judged", [Painted(name="other", texts=human)])
    select(lake, blip(evaluation_batches=("judged",)))
    assert verdicts(lake, "G16", "leaked") == {"pass"}
    (twin,) = [
        row
        for row in rows.read_rows(lake, lake.glob("web/web/00000.parquet")[0]).to_pylist()
        if row["key"] == key_of("web", "p1")
    ]
    bits = [0, 17, 34, 51][:flipped]  # one in each of the bands that find them
    changed = {"phash": twin["phash"] ^ sum(1 << bit for bit in bits), "dhash": twin["dhash"]}
    rewritten(lake, lake.glob("web/judged/00000.parquet")[0], rows.WEB, entropy=7.0, **changed)
    assert verdicts(lake, "G16", "leaked") == {status}


def test_a_thin_and_a_fat_shard_warn(tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "lake")
    lost = {"outcome": rows.Outcome.TOO_SMALL}
    for at, (size, kept) in enumerate([(40, 40), (40, 40), (40, 40), (40, 19), (61, 61)]):
        pictures = [Painted(name=f"s{at}-{n}", **({} if n < kept else lost)) for n in range(size)]  # type: ignore[arg-type]
        write_batch(lake, "web", pictures, per_shard=size, first=at)
    results = run_gates(lake)
    (thin,), (fat,) = (of_measure(results, "G17", name) for name in ("thinnest", "fullest"))
    assert (thin.status, thin.slice) == ("warn", "web/00003")
    assert thin.metric == pytest.approx(19 / 40)
    assert (fat.status, fat.slice) == ("warn", "web/00004")
    assert fat.metric == pytest.approx(61 / 40)
