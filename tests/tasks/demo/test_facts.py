"""The truth enters the lake as one table whose keys are those ingestion gives the same URLs."""

import hashlib
from pathlib import Path

from tasks.demo.facts import truth_rows, write_truth
from tasks.demo.planting import Site
from tasks.demo.site import build_site
from tasks.rows import TRUTH, read_rows
from tasks.storage import open_lake

HOW = Site(pictures=43, seed_pictures=3, evaluation_pictures=2, port=18041)


def test_truth_is_published_with_a_key_for_every_picture(tmp_path: Path) -> None:
    facts = build_site(tmp_path / "site", HOW)
    lake = open_lake(str(tmp_path / "lake"), create=True)
    relative = write_truth(lake, "web", facts)
    table = read_rows(lake, relative)
    assert relative == "truth/web.parquet"
    assert table.schema.equals(TRUTH)
    assert table.to_pylist() == truth_rows(facts)
    # 43 pictures, and the five that every page repeats.
    assert len(set(table["key"].to_pylist())) == 48


def test_a_key_is_the_start_of_the_hash_of_the_url(tmp_path: Path) -> None:
    row = truth_rows(build_site(tmp_path / "site", HOW))[0]
    assert row["url"] == "http://127.0.0.1:18041/pictures/00/00000.jpg"
    assert row["key"] == hashlib.sha256(row["url"].encode()).hexdigest()[:20]
