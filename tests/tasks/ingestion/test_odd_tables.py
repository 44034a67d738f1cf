"""Tables as people really write them are read whole, or refused before a row of them is lost."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import InputError
from tasks.ingestion.sources.additional import AdditionalColumns
from tasks.ingestion.sources.columns import Columns
from tasks.ingestion.sources.tables import table_candidates

URL = "http://a.org/1.jpg"
LONG = "word " * 100_000


def read(folder: Path, name: str, content: bytes, input_format: str = "") -> list[tuple[str, str]]:
    path = folder / name
    path.write_bytes(content)
    found = table_candidates(str(path), input_format=input_format)
    return [(one.url, one.text) for one in found]


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("lines end as on Windows.csv", f"url,caption\r\n{URL},boat\r\n", "boat"),
        ("lines end as on old Macs.csv", f"url,caption\r{URL},boat\r", "boat"),
        ("blank lines come first.csv", f"\n\r\nurl,caption\n\n{URL},boat\n", "boat"),
        ("no last line end.csv", f"url,caption\n{URL},boat", "boat"),
        ("blanks around names.csv", f" URL , Caption \n {URL} , boat \n", "boat"),
        ("a quoted line break.csv", f'url,caption\n{URL},"a\nboat"', "a\nboat"),
        ("a quote in a cell.tsv", f'url\tcaption\n{URL}\t5" nails\n', '5" nails'),
        ("a long caption.csv", f"url,caption\n{URL},{LONG}\n", LONG.strip()),
        ("a name twice.csv", f"url,url,caption\n{URL},x,boat\n", "boat"),
        ("a missing caption of pandas.jsonl", f'{{"url": "{URL}", "caption": NaN}}\n\n', ""),
        ("an empty list.jsonl", f'{{"url": "{URL}", "captions": []}}', ""),
        ("a list with holes.jsonl", f'{{"url": "{URL}", "captions": ["boat", null]}}', "boat"),
        ("a line break of Unicode.jsonl", f'{{"url": "{URL}", "caption": "a\u2028b"}}', "a\u2028b"),
    ],
)
def test_a_table_is_read_for_what_it_says(
    tmp_path: Path, name: str, content: str, text: str
) -> None:
    found = [one for one in read(tmp_path, name, content.encode()) if one[1] or not text]
    assert found == [(URL, text)]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "t.csv",
            f'url,caption\n{URL},boat\n{URL},"a boat\n{URL},x\n',
            "row 2 of .* opens a quote",
        ),
        ("t.tsv", f'url\tcaption\n{URL}\t"', "row 1 of .* opens a quote that nothing closes"),
        ("t.json", f'[{{"url": "{URL}"}}], {{"url": "{URL}"}}', "goes on after its list: ', {"),
        ("t.csv", f"url;caption\n{URL};boat\n", "has columns url;caption; one of them must be"),
    ],
)
def test_a_table_of_which_rows_would_be_lost_is_one_line(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read(tmp_path, name, content.encode())
    assert "\n" not in str(caught.value)


def test_two_columns_of_one_name_are_one_line_when_they_are_read(tmp_path: Path) -> None:
    path = str(tmp_path / "t.parquet")
    arrays = [pa.array([URL]), pa.array(["a"]), pa.array(["b"]), pa.array([1]), pa.array([2])]
    names = ["url", "caption", "caption", "n", "n"]
    pq.write_table(pa.Table.from_arrays(arrays, names=names), path)
    with pytest.raises(InputError, match="several columns called 'caption'; rename all but one"):
        list(table_candidates(path))
    chosen = Columns(caption="none", additional=AdditionalColumns(["n"]))
    with pytest.raises(InputError, match="several columns called 'n'"):
        list(table_candidates(path, chosen))
    assert [one.text for one in table_candidates(path, Columns(caption="none"))] == [""]


@pytest.mark.parametrize(
    ("input_format", "content"),
    [
        ("csv", f"url,caption\n{URL},boat\n".encode()),
        ("csv.gz", gzip.compress(f"url,caption\n{URL},boat\n".encode())),
        ("jsonl", json.dumps({"url": URL, "caption": "boat"}).encode()),
        ("json.gz", gzip.compress(json.dumps([{"url": URL, "caption": "boat"}]).encode())),
    ],
)
def test_a_format_that_is_said_holds_whatever_a_table_is_called(
    tmp_path: Path, input_format: str, content: bytes
) -> None:
    for name in ("addresses", "addresses.txt", "part-00000.c000.snappy.parquet"):
        assert read(tmp_path, name, content, input_format) == [(URL, "boat")]


def test_of_a_folder_only_tables_of_the_format_that_is_said_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"url\n{URL}\n")
    (tmp_path / "b.txt").write_text("http://a.org/2.jpg\n")
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress(b"url\nhttp://a.org/3.jpg\n"))
    found = [one.url for one in table_candidates(str(tmp_path), input_format="csv")]
    assert found == [URL]
