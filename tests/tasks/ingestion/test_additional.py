"""Columns of a URL table that a person names reach the rows and the samples with their types.

They are those of `save_additional_columns`, in every kind of table, through a plan that was stopped
and through a retry; what cannot be kept is refused in one line, before anything is planned.
"""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import rows
from tasks.errors import InputError
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.sources.retrying import retry_source
from tasks.ingestion.stage import plan
from tasks.ingestion.workers import ingest
from tasks.storage import Lake
from tests.drawn import encoded
from tests.ingested import HOW, samples
from tests.web import Answer, web

NOWHERE = "http://127.0.0.1:1"


def carried(lake: Lake, folder: Path, files: dict[str, str], *names: str) -> pa.Schema:
    """Plan tables of these contents; return the types of the columns that the plan carries."""
    for name, content in files.items():
        (folder / name).write_text(content)
    source = Source(
        batch="web",
        tables=tuple(str(folder / name) for name in files),
        save_additional_columns=names,
    )
    plan(lake, source, HOW)
    schema = rows.read_rows(lake, "plans/web/00000.parquet").schema
    return pa.schema([schema.field(name) for name in names])


def values(lake: Lake, batch: str = "web") -> dict[str, dict[str, Any]]:
    """Return the planned rows by the last part of their addresses."""
    tables = [rows.read_rows(lake, path) for path in lake.glob(f"plans/{batch}/*.parquet")]
    listed = [row for table in tables for row in table.to_pylist()]
    return {row["url"].rsplit("/", 1)[1]: row for row in listed}


def test_a_column_of_parquet_keeps_its_type_in_the_plan(lake: Lake, tmp_path: Path) -> None:
    kept = {
        "uid": (pa.string(), ["ü1", None]),
        "similarity": (pa.float32(), [0.25, None]),
        "count": (pa.int8(), [-7, 5]),
        "NSFW": (pa.bool_(), [True, None]),
        "seen": (pa.timestamp("us", "UTC"), [datetime(2026, 11, 21, tzinfo=UTC), None]),
        "day": (pa.date32(), [date(1999, 12, 31), None]),
        "price": (pa.decimal128(7, 2), [Decimal("12345.67"), None]),
        "raw": (pa.binary(), [b"\xff\0", None]),
        "tags": (pa.list_(pa.string()), [["a", "b"], []]),
        "place": (pa.struct([("x", pa.float64())]), [{"x": 1.5}, None]),
        "kind": (pa.dictionary(pa.int32(), pa.string()), ["boat", None]),
    }
    columns = {"url": pa.array([f"{NOWHERE}/1", f"{NOWHERE}/2"])}
    columns |= {name: pa.array(given, kind) for name, (kind, given) in kept.items()}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    given = Source(
        batch="web", tables=(str(tmp_path / "t.parquet"),), save_additional_columns=tuple(kept)
    )
    plan(lake, given, HOW)
    schema = rows.read_rows(lake, "plans/web/00000.parquet").schema
    found = values(lake)
    for name, (kind, expected) in kept.items():
        assert schema.field(name).type == kind
        assert [found[n][name] for n in ("1", "2")] == expected


def test_a_column_of_csv_has_the_narrowest_type_that_all_its_cells_fit(
    lake: Lake, tmp_path: Path
) -> None:
    cells = {
        "whole": ("5", "", "-12", pa.int64(), [5, None, -12]),
        "part": ("5", "2.5e-3", "nan", pa.float64(), [5.0, 0.0025, "nan"]),
        "truth": ("true", "False", "", pa.bool_(), [True, False, None]),
        "zip": ("04109", "10115", "", pa.string(), ["04109", "10115", ""]),
        "long": ("9" * 19, "1", "", pa.string(), ["9" * 19, "1", ""]),
        "mixed": ("5", "true", "", pa.string(), ["5", "true", ""]),
        "words": ("a, b", " c", "", pa.string(), ["a, b", " c", ""]),
        "blank": ("", "", " ", pa.string(), ["", "", " "]),
    }
    lines = [",".join(["url", *cells])]
    for row in range(3):
        quoted = (f'"{cell[row]}"' for cell in cells.values())
        lines += [",".join([f"{NOWHERE}/{row}", *quoted])]
    schema = carried(lake, tmp_path, {"t.csv": "\n".join(lines)}, *cells)
    assert [field.type for field in schema] == [cell[3] for cell in cells.values()]
    found = values(lake)
    for name, cell in cells.items():
        read = [found[str(row)][name] for row in range(3)]
        assert ["nan" if value != value else value for value in read] == cell[4]


@pytest.mark.parametrize("kind", ["jsonl", "json"])
def test_a_column_of_json_has_the_type_that_all_its_values_fit(
    lake: Lake, tmp_path: Path, kind: str
) -> None:
    listed: list[dict[str, Any]] = [
        {"url": f"{NOWHERE}/0", "n": 1, "b": True, "o": {"x": [1]}, "s": "\ud800"},
        {"url": f"{NOWHERE}/1", "n": 2.5, "o": {"y": "ü"}, "m": 7},
        {"url": f"{NOWHERE}/2", "n": None},
    ]
    text = json.dumps(listed) if kind == "json" else "\n".join(map(json.dumps, listed))
    schema = carried(lake, tmp_path, {f"t.{kind}": text}, "n", "b", "o", "s", "m")
    assert schema.types[:2] == [pa.float64(), pa.bool_()]
    assert schema.types[2] == pa.struct([("x", pa.list_(pa.int64())), ("y", pa.string())])
    found = values(lake)
    assert [found[str(row)]["n"] for row in range(3)] == [1.0, 2.5, None]
    assert found["0"]["o"] == {"x": [1], "y": None}
    assert (found["0"]["s"], found["1"]["m"], found["2"]["b"]) == ("?", 7, None)


def test_tables_of_several_kinds_agree_on_a_type(lake: Lake, tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"url": [f"{NOWHERE}/0"], "n": pa.array([1], pa.int32()), "t": ["7"]}),
        tmp_path / "a.parquet",
    )
    (tmp_path / "b.csv").write_text(f"URL,N,t\n{NOWHERE}/1,2,8\n")
    (tmp_path / "c.jsonl").write_text(json.dumps({"url": f"{NOWHERE}/2", "n": 3, "t": "9"}))
    tables = tuple(str(tmp_path / name) for name in ("a.parquet", "b.csv", "c.jsonl"))
    given = Source(batch="web", tables=tables, save_additional_columns=("n", "t"))
    plan(lake, given, HOW)
    found = values(lake)
    assert [(found[n]["n"], found[n]["t"]) for n in "012"] == [(1, "7"), (2, "8"), (3, "9")]


def test_of_several_rows_with_one_address_the_first_is_kept_whole(
    lake: Lake, tmp_path: Path
) -> None:
    content = f"url,caption,uid,rank\n{NOWHERE}/x,one,,1\n{NOWHERE}/x#2,two,b,2\n"
    carried(lake, tmp_path, {"t.csv": content}, "uid", "rank")
    row = values(lake)["x"]
    assert (row["uid"], row["rank"]) == ("", 1)
    assert [text["text"] for text in row["texts"]] == ["one", "two"]


@pytest.mark.parametrize(
    ("files", "names", "said"),
    [
        ({"t.csv": "url,a\nx,1\n"}, ("b",), "columns url, a, and no 'b', which save_additional"),
        ({"t.jsonl": '{"url": "x"}\n{"url": "y", "a": 1}'}, ("b",), "columns url, a, and no 'b'"),
        ({"t.txt": "http://a.org/x\n"}, ("a",), "t.txt has columns url, and no 'a'"),
        ({"s.csv": "url,a\nx,1\n", "t.csv": "url\nx\n"}, ("a",), "t.csv has columns url, and no"),
        ({"t.jsonl": '{"url": "x", "a": 1}\n{"url": "y", "a": "b"}'}, ("a",), "of several kinds"),
        ({"t.jsonl": '{"url": "x", "a": 99999999999999999999}'}, ("a",), "beyond 64 bits"),
        (
            {"s.jsonl": '{"url": "x", "a": 1}', "t.jsonl": '{"url": "y", "a": "b"}'},
            ("a",),
            "t.jsonl is string, and int64 in rows before",
        ),
        (
            {"s.jsonl": '{"url": "x", "a": 1}', "t.csv": "url,a\ny,b\n"},
            ("a",),
            "'a' is int64 in one table and text in a CSV",
        ),
        ({"t.csv": "url,key\nx,1\n"}, ("key",), "cannot keep 'key': the rows have columns of"),
        ({"t.csv": "url,outcome\nx,1\n"}, ("a", "outcome"), "cannot keep 'outcome'"),
        ({"t.csv": "url,md5\nx,1\n"}, ("md5",), "cannot keep 'md5'"),
        ({}, ("a",), "neither pages nor tables"),
    ],
)
def test_what_cannot_be_kept_is_one_line_and_plans_nothing(
    lake: Lake, tmp_path: Path, files: dict[str, str], names: tuple[str, ...], said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        carried(lake, tmp_path, files, *names)
    assert "\n" not in str(caught.value)
    assert lake.glob("plans/*/*") == []


def test_columns_of_tables_want_a_table() -> None:
    with pytest.raises(InputError, match="columns of URL tables, and batch 'web' has none"):
        Source(batch="web", pages=("x.html",), save_additional_columns=("a",))


def test_rows_and_samples_have_them_after_a_stop_and_in_a_retry(lake: Lake, tmp_path: Path) -> None:
    answers = {f"/{n}.jpg": Answer(body=encoded(seed=n)) for n in range(3)}
    answers["/3.jpg"] = Answer(status=503)
    given = tmp_path / "t.parquet"
    how = Ingestion(allow_private_hosts=("127.0.0.1",), shard_size=2, retries=0)
    with web(answers) as site:
        columns = {
            "url": [f"{site.url}/{n}.jpg" for n in range(4)],
            "WIDTH": pa.array([n * 11 for n in range(4)], pa.int16()),
            "punsafe": pa.array([n / 8 or float("nan") for n in range(4)], pa.float32()),
            "raw": [b"a"] * 4,
        }
        pq.write_table(pa.table(columns), given)
        source = Source(
            batch="web", tables=(str(given),), save_additional_columns=("WIDTH", "punsafe", "raw")
        )
        first, second = plan(lake, source, how)
        ingest(lake, [first], how)
        given.unlink()  # the plan has all
        assert plan(lake, source, how) == [first, second]
        ingest(lake, [first, second], how)
        site.answers["/3.jpg"] = Answer(body=encoded(seed=3))
        again = retry_source(lake, "web")
        ingest(lake, plan(lake, again, how), how)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for path in lake.glob("web/*/*.parquet"):
        table = rows.read_rows(lake, path)
        assert table.schema.field("WIDTH").type == pa.int16()
        assert table.schema.field("punsafe").type == pa.float32()
        found |= {(path.split("/")[1], row["url"][-5]): row for row in table.to_pylist()}
    assert {key: row["WIDTH"] for key, row in found.items()} == {
        ("web", "0"): 0,
        ("web", "1"): 11,
        ("web", "2"): 22,
        ("web", "3"): 33,
        (again.batch, "3"): 33,
    }
    assert found["web", "3"]["outcome"] == "http_error"
    told = {one["url"][-5]: (one["WIDTH"], one["punsafe"], one["raw"]) for one, _ in samples(lake)}
    assert told == {
        "0": (0, None, "a"),
        "1": (11, 0.125, "a"),
        "2": (22, 0.25, "a"),
        "3": (33, 0.375, "a"),
    }
