"""A shard that cannot be read is put aside with its reason, and the run goes on with the others."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks import rows
from tasks.capfilt.engine import capfilt_shards
from tasks.capfilt.quarantine import reasons
from tasks.capfilt.stage import caption_shard
from tasks.catalogue.records import record_tables
from tasks.catalogue.sources import find_sources
from tasks.errors import LakeError
from tasks.storage import Lake, Shard
from tests.capfilt_lake import CAPTIONER, HOW, capfilt_lake, job, read_all
from tests.small_lake import picture_key

SECOND = Shard("web", "00001")
LAST_OF_SECOND = 10  # the number of its last picture: 7 are in the first shard, 4 in this one


def cut(lake: Lake) -> None:
    tar = Path(lake.path(lake.web_tar(SECOND)))
    tar.write_bytes(tar.read_bytes()[: tar.stat().st_size // 3])


def overwritten(lake: Lake) -> None:
    """The last picture of the shard alone is no picture any more."""
    table = rows.read_rows(lake, lake.rows("web", "", SECOND)).to_pylist()
    row = next(one for one in table if one["key"] == picture_key("web", LAST_OF_SECOND))
    with Path(lake.path(lake.web_tar(SECOND))).open("r+b") as tar:
        tar.seek(row["tar_offset"])
        tar.write(bytes(row["tar_size"]))


def gone(lake: Lake) -> None:
    Path(lake.path(lake.web_tar(SECOND))).unlink()


def folder_instead(lake: Lake) -> None:
    gone(lake)
    Path(lake.path(lake.web_tar(SECOND))).mkdir()


def no_rows(lake: Lake) -> None:
    Path(lake.path(lake.rows("web", "", SECOND))).write_bytes(b"PAR1 but no more")


def no_texts(lake: Lake) -> None:
    Path(lake.path(lake.rows("captions", "ingestion", SECOND))).unlink()


def texts_of_others(lake: Lake) -> None:
    other = lake.read_bytes(lake.rows("captions", "ingestion", Shard("web", "00000")))
    Path(lake.path(lake.rows("captions", "ingestion", SECOND))).write_bytes(other)


HARM: dict[Callable[[Lake], None], str] = {
    cut: "cannot be decoded",
    overwritten: f"picture {picture_key('web', LAST_OF_SECOND)} at byte",
    gone: "web/web/00001.tar is missing",
    folder_instead: "web/web/00001.tar",
    no_rows: "is not a readable Parquet file",
    no_texts: "captions/ingestion/web/00001.parquet is missing",
    texts_of_others: "name 7 pictures it does not hold",
}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return capfilt_lake(tmp_path / "lake")


@pytest.mark.parametrize("harm", HARM, ids=lambda harm: harm.__name__)
def test_the_others_are_done_and_the_record_says_why_this_one_is_not(
    lake: Lake, harm: Callable[[Lake], None], caplog: pytest.LogCaptureFixture
) -> None:
    harm(lake)
    reports = {r.shard: r for r in capfilt_shards(lake, job(), lake.planned("web"))}
    assert {shard for shard, report in reports.items() if not report.spoilt} == {
        "web/00000",
        "web/00002",
    }
    assert HARM[harm] in reports["web/00001"].spoilt
    assert reasons(lake, job(), lake.planned("web")) == {"web/00001": reports["web/00001"].spoilt}
    assert [s.name for s in lake.committed("scoring", "s", "web")] == ["00000", "00002"]
    assert not lake.exists(lake.rows("captions", "c", SECOND))
    (line,) = [r.message for r in caplog.records if "put aside" in r.message]
    assert line.startswith("shard web/00001 is put aside: ")
    assert "\n" not in line


def test_a_shard_that_can_be_read_again_leaves_the_quarantine(lake: Lake) -> None:
    tar = Path(lake.path(lake.web_tar(SECOND)))
    whole = tar.read_bytes()
    cut(lake)
    list(capfilt_shards(lake, job(), lake.planned("web")))
    tar.write_bytes(whole)
    (report,) = capfilt_shards(lake, job(), lake.planned("web"))
    assert (report.shard, report.spoilt, report.counts["scores"]) == ("web/00001", "", 12)
    assert reasons(lake, job(), lake.planned("web")) == {}
    captions, scores = read_all(lake)
    assert (len(captions), len(scores)) == (32, 48)


def test_the_catalogue_has_the_shard_with_its_reason(lake: Lake) -> None:
    gone(lake)
    list(capfilt_shards(lake, job(), lake.planned("web")))
    stages = record_tables(find_sources(lake, {}))["stage_run"].to_pylist()
    found = [row for row in stages if row["stage"] == "quarantine"]
    assert sorted(row["run"] for row in found) == ["c", "s"]
    assert {(row["shard"], row["n_failed"]) for row in found} == {("00001", 4)}
    assert "00001.tar is missing" in json.loads(found[0]["versions"])["reason"]


def test_a_shard_asked_for_by_itself_is_an_error_and_leaves_no_record(lake: Lake) -> None:
    gone(lake)
    with pytest.raises(LakeError, match=r"00001\.tar is missing"):
        caption_shard(lake, "c", SECOND, CAPTIONER, HOW)
    assert lake.folders("commits") == ["ingestion"]


def test_every_shard_may_be_unreadable(lake: Lake) -> None:
    for shard in lake.planned("web"):
        Path(lake.path(lake.web_tar(shard))).unlink()
    reports = list(capfilt_shards(lake, job(), lake.planned("web")))
    assert len(reports) == 3
    assert all(report.spoilt for report in reports)
    assert lake.folders("commits") == ["ingestion", "quarantine"]
