"""Shards are the same bytes for the same samples, reached by offset or streamed by webdataset."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from tasks import rows
from tasks.errors import InputError, LakeError
from tasks.shards import ShardWriter, publish_selection, stream
from tasks.storage import Lake, Shard, open_lake

# webdataset leaves the files it reads open for the collector to close.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SAMPLES = [("k1", b"\xff\xd8" + b"a" * 511, "a red boat"), ("k2", b"b" * 1024, "zwei Boote, grün")]


def written(path: Path) -> list[tuple[int, int]]:
    with ShardWriter(path) as writer:
        return [writer.add(key, jpeg, text, {"url": key}) for key, jpeg, text in SAMPLES]


def test_a_picture_is_where_its_offset_says(tmp_path: Path) -> None:
    places = written(tmp_path / "s.tar")
    content = (tmp_path / "s.tar").read_bytes()
    assert [content[at : at + size] for at, size in places] == [jpeg for _, jpeg, _ in SAMPLES]
    # 512 of header, 513 of picture in two blocks, then two members of a header and a block each,
    # then the next header.
    assert [at for at, _ in places] == [512, 512 + 2 * 512 + 2 * 1024 + 512]


def test_a_shard_is_an_ordinary_tar_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    written(tmp_path / "s.tar")
    written(tmp_path / "again.tar")
    assert (tmp_path / "s.tar").read_bytes() == (tmp_path / "again.tar").read_bytes()
    with tarfile.open(tmp_path / "s.tar") as tar:
        assert tar.getnames() == [f"k{n}.{kind}" for n in (1, 2) for kind in ("jpg", "txt", "json")]
        assert {member.mtime for member in tar} == {0}


def test_webdataset_reads_what_was_written(tmp_path: Path) -> None:
    written(tmp_path / "s.tar")
    found = [(s["__key__"], s["jpg"], s["txt"].decode()) for s in stream(str(tmp_path / "s.tar"))]
    assert found == SAMPLES


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """One shard of two pictures, and a selection of two texts of the second, one of the first."""
    lake = open_lake(str(tmp_path / "lake"), create=True)
    shard = Shard("web", "00000")
    with lake.publishing(lake.web_tar(shard)) as temporary:
        places = written(temporary)
    web = [
        {"key": key, "url": f"http://a.org/{key}", "sha256": key, "tar_offset": at, "tar_size": n}
        for (key, _, _), (at, n) in zip(SAMPLES, places, strict=True)
    ]
    lost = {"key": "k3", "url": "http://a.org/k3"}
    rows.write_rows(lake, lake.rows("web", "", shard), rows.table_of([*web, lost], rows.WEB))
    select(lake, "chosen", ["k2", "k1", "k2"])
    return lake


def select(lake: Lake, name: str, keys: list[str]) -> None:
    selected = [
        {"key": key, "caption_id": f"c{n}", "text": f"text {n}", "source": "web"}
        for n, key in enumerate(keys)
    ]
    relative = lake.rows("selections", name, Shard("web", "00000"))
    rows.write_rows(lake, relative, rows.table_of(selected, rows.SELECTIONS))
    counts = {"captions": 3, "selected": len(keys), "dropped": 3 - len(keys)}
    lake.publish_json(f"selections/{name}/selection.json", {"id": name, "counts": counts})


def test_a_selection_becomes_shards_that_anybody_reads(lake: Lake, tmp_path: Path) -> None:
    assert publish_selection(lake, "chosen", tmp_path / "out") == 3
    samples = list(stream(str(tmp_path / "out" / "web-00000.tar")))
    pictures = {key: jpeg for key, jpeg, _ in SAMPLES}
    assert [(s["__key__"], s["txt"].decode()) for s in samples] == [
        ("k2_0", "text 0"),
        ("k1_0", "text 1"),
        ("k2_1", "text 2"),
    ]
    assert all(s["jpg"] == pictures[s["__key__"][:2]] for s in samples)
    assert json.load(io.BytesIO(samples[0]["json"])) == {
        "caption_id": "c0",
        "sha256": "k2",
        "source": "web",
        "url": "http://a.org/k2",
    }


def test_published_shards_are_not_written_again_and_never_mixed(lake: Lake, tmp_path: Path) -> None:
    publish_selection(lake, "chosen", tmp_path / "out")
    tar = tmp_path / "out" / "web-00000.tar"
    before = tar.stat().st_mtime_ns
    assert publish_selection(lake, "chosen", tmp_path / "out") == 3
    assert tar.stat().st_mtime_ns == before
    select(lake, "other", ["k1"])
    with pytest.raises(InputError, match="holds the shards of selection chosen"):
        publish_selection(lake, "other", tmp_path / "out")


def test_a_selection_that_is_not_there_is_one_line(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no selection absent in .* \(there: chosen\)"):
        publish_selection(lake, "absent", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_selection_of_nothing_is_one_line_and_writes_nothing(lake: Lake, tmp_path: Path) -> None:
    select(lake, "empty", [])
    with pytest.raises(InputError, match="selection empty keeps no caption"):
        publish_selection(lake, "empty", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_selected_picture_that_is_not_stored_publishes_nothing(
    lake: Lake, tmp_path: Path
) -> None:
    select(lake, "lost", ["k1", "k3"])
    with pytest.raises(LakeError, match="k3 of web/00000 is selected but not stored"):
        publish_selection(lake, "lost", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["selection.json"]
