"""Marks of a batch are written once, with it; evaluations are safe from copies in any order."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tasks import rows
from tasks.ingestion.dedup import LOOKED_AT
from tasks.ingestion.duplicates import mark_duplicates
from tasks.older import LATER
from tasks.selection import Selection, select
from tasks.storage import Lake, Shard
from tests.ingested import HOW
from tests.lakes import Painted, Text, key_of, new_lake, speckled, write_batch
from tests.selecting import ALSO_GOOD, GOOD, reasons

RAW = Selection(policy="raw", batches=("web",))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return new_lake(tmp_path / "lake")


def drawn(name: str) -> NDArray[np.uint8]:
    """209 pixels square: with a border around it still measured at its own scale."""
    return speckled(name, 19)


def compressed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 70])[1]
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), dtype=np.uint8)


def framed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    white = (255, 255, 255)
    return np.asarray(
        cv2.copyMakeBorder(pixels, 15, 15, 15, 15, cv2.BORDER_CONSTANT, value=white), dtype=np.uint8
    )


def given(name: str, pixels: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    return drawn(name) if pixels is None else pixels


def found(name: str, pixels: NDArray[np.uint8] | None = None, text: str = GOOD) -> Painted:
    return Painted(name=name, pixels=given(name, pixels), texts=[Text(text=text)])


def judged(name: str, pixels: NDArray[np.uint8] | None = None) -> Painted:
    texts = [Text(text=ALSO_GOOD, source="human")]
    return Painted(name=name, pixels=given(name, pixels), texts=texts)


def ingest(lake: Lake, batch: str, *pictures: Painted) -> None:
    write_batch(lake, batch, pictures, per_shard=2)
    mark_duplicates(lake, batch, HOW)


def marks(lake: Lake, batch: str) -> dict[str, tuple[str, str]]:
    """Key of a copy -> batch and key of its keeper."""
    path = lake.rows("duplicates", "ingestion", Shard(batch, "00000"))
    return {
        row["key"]: (row["keeper_batch"], row["keeper"])
        for row in rows.read_rows(lake, path).to_pylist()
    }


def test_a_later_batch_is_compared_with_earlier_ones_and_leaves_their_marks(lake: Lake) -> None:
    ingest(lake, "one", found("a"), found("b"), found("copy", compressed(drawn("a"))))
    file = Path(lake.path(lake.rows("duplicates", "ingestion", Shard("one", "00000"))))
    written = file.read_bytes()
    (kept,) = {key_of("one", "a"), key_of("one", "copy")} - marks(lake, "one").keys()
    repeats = [
        found("c", compressed(drawn("a"))),
        found("d", framed(drawn("b"))),
        found("e"),
    ]
    ingest(lake, "two", *repeats)
    assert marks(lake, "two") == {
        key_of("two", "c"): ("one", kept),
        key_of("two", "d"): ("one", key_of("one", "b")),
    }
    ingest(lake, "three", found("f", compressed(drawn("e"))), found("g", drawn("b")))
    assert marks(lake, "three") == {
        key_of("three", "f"): ("two", key_of("two", "e")),
        key_of("three", "g"): ("one", key_of("one", "b")),
    }
    assert file.read_bytes() == written
    record = lake.commit_of("duplicates", "ingestion", Shard("three", "00000"))
    assert record.versions == {"compared_with": "one two"}
    assert record.rows == {"pictures": 2, "duplicates": 2}


def test_marks_that_are_written_again_are_the_same(lake: Lake) -> None:
    ingest(lake, "one", found("a"), found("b", compressed(drawn("a"))))
    first = marks(lake, "one")
    ingest(lake, "two", found("c", compressed(drawn("a"))))
    shard = Shard("one", "00000")
    # As a kill between the rows and their record leaves it.
    Path(lake.path(lake.commit_path("duplicates", "ingestion", shard))).unlink()
    mark_duplicates(lake, "one", HOW)
    assert marks(lake, "one") == first
    assert lake.is_committed("duplicates", "ingestion", shard)


def test_a_batch_that_is_not_marked_yet_takes_no_picture_from_another(lake: Lake) -> None:
    write_batch(lake, "one", [found("a")])
    ingest(lake, "two", found("b", drawn("a")))
    assert marks(lake, "two") == {}
    mark_duplicates(lake, "one", HOW)
    assert marks(lake, "one") == {key_of("one", "a"): ("two", key_of("two", "b"))}


def test_human_captions_are_compared_within_their_batch_alone(lake: Lake) -> None:
    ingest(lake, "web", found("a"))
    pictures = (judged("b", drawn("a")), judged("c"), judged("d", compressed(drawn("c"))))
    ingest(lake, "people", *pictures)
    ((copy, keeper),) = marks(lake, "people").items()
    assert keeper[0] == "people"
    assert {copy, keeper[1]} == {key_of("people", "c"), key_of("people", "d")}


@pytest.mark.parametrize("first", ["evaluation", "web"])
@pytest.mark.parametrize("change", [compressed, framed])
def test_an_evaluation_picture_on_the_web_is_not_selected_whichever_came_first(
    lake: Lake, first: str, change: object
) -> None:
    assert callable(change)
    batches = {
        "evaluation": (judged("seen"), judged("alone")),
        "web": (found("seen", change(drawn("seen"))), found("other", None, ALSO_GOOD)),
    }
    for batch in sorted(batches, key=lambda batch: batch != first):
        ingest(lake, batch, *batches[batch])
    key, keeper = key_of("web", "seen"), ("evaluation", key_of("evaluation", "seen"))
    assert marks(lake, "web") == ({key: keeper} if first == "evaluation" else {})
    assert marks(lake, "evaluation") == {}
    assert reasons(lake, RAW, "seen") == {"evaluation_leakage": "drop"}
    path = lake.rows("selections", select(lake, RAW).id, Shard("web", "00000"))
    assert rows.read_rows(lake, path)["key"].to_pylist() == [key_of("web", "other")]


def test_a_lake_from_before_borders_were_looked_at_is_compared_by_what_it_has(lake: Lake) -> None:
    ingest(lake, "old", found("a"), found("b"))
    path = lake.rows("web", "", Shard("old", "00000"))
    table = rows.read_rows(lake, path)
    older = table.drop_columns(sorted(LATER.keys() & set(table.column_names)))
    assert set(LOOKED_AT.names) - set(older.column_names) == {"trimmed_phash", "trimmed_dhash"}
    rows.write_rows(lake, path, older)
    marked = lake.rows("duplicates", "ingestion", Shard("old", "00000"))
    rows.write_rows(lake, marked, rows.read_rows(lake, marked).drop_columns(["keeper_batch"]))
    ingest(lake, "new", found("c", compressed(drawn("a"))), found("d", framed(drawn("b"))))
    assert marks(lake, "new") == {
        key_of("new", "c"): ("old", key_of("old", "a")),
        key_of("new", "d"): ("old", key_of("old", "b")),
    }
