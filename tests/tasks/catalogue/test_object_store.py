"""A lake on an object store has its catalogue there: read by fsspec, put whole, built upon."""

from pathlib import Path

import fsspec
import pytest

from tasks.catalogue.building import CATALOGUE, build_catalogue, open_catalogue
from tasks.errors import LakeError
from tasks.selection import select
from tasks.storage import Lake, open_lake
from tests.lakes import Painted, Text, new_lake, write_batch
from tests.object_store import STORES, empty_store
from tests.selecting import GOOD, blip


@pytest.fixture
def local(tmp_path: Path) -> Lake:
    lake = new_lake(tmp_path / "lake")
    texts = [Text(text=GOOD, itm=0.9)]
    write_batch(lake, "web", [Painted(name=f"p{n}", texts=texts) for n in range(7)], per_shard=3)
    select(lake, blip(caption_runs=()))
    return lake


def pictures(lake: Lake) -> tuple[int, int]:
    """Return the rows of sample, and how many files the last build read."""
    with open_catalogue(lake) as database:
        (row,) = database.ask("select count(*) as n from sample")
        (built,) = database.rows("schema/build")
    return row["n"], built["files_read"]


@pytest.mark.slow
@pytest.mark.parametrize("store", STORES)
# gcsfs puts a whole file in one request.
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
def test_the_catalogue_of_a_store_lies_in_the_store(
    store: str, monkeypatch: pytest.MonkeyPatch, local: Lake, tmp_path: Path
) -> None:
    with empty_store(store, monkeypatch) as address:
        built_in(f"{address}/lake", local, tmp_path)


def built_in(root: str, local: Lake, tmp_path: Path) -> None:
    fs = fsspec.core.url_to_fs(root)[0]
    fs.put(f"{local.root}/", f"{root}/", recursive=True)
    lake = open_lake(root)
    with pytest.raises(LakeError, match="run the quality stage"):
        pictures(lake)
    build_catalogue(lake)
    assert lake.exists(CATALOGUE)
    first = pictures(lake)
    assert first[0] == 7
    more = new_lake(tmp_path / "more")
    write_batch(more, "late", [Painted(name="q", texts=[Text(text=GOOD, itm=None)])])
    fs.put(f"{more.root}/", f"{root}/", recursive=True)
    build_catalogue(lake)
    # plan.json, the plan, the rows, the captions and the record of one shard
    assert pictures(lake) == (8, 5)
    lake.fs.rm(lake.path("web/late/00000.parquet"))
    with pytest.raises(LakeError, match=r"web/late/00000\.parquet is missing"):
        build_catalogue(lake)
    assert pictures(lake) == (8, 5)
