"""An address has one spelling, and tables of them are read in every format or refused in a line."""

import gzip
import json
import random
import threading
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import InputError
from tasks.ingestion.fetching.guard import is_public
from tasks.ingestion.sources import tables, urls
from tasks.ingestion.sources.columns import Columns
from tasks.ingestion.sources.places import kind_of
from tasks.ingestion.sources.tables import table_candidates
from tasks.ingestion.sources.urls import BadUrlError, normalise
from tasks.rows import key_of
from tests.watched import reading_threads

ROWS = [("http://a.org/1.jpg", "a red boat"), ("http://a.org/2.jpg", "zwei Boote, grün")]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTP://A.Org/x.jpg", "http://a.org/x.jpg"),
        (" http://a.org/x.jpg\n", "http://a.org/x.jpg"),
        ("http://a.org:80/x", "http://a.org/x"),
        ("https://a.org:443/x", "https://a.org/x"),
        ("http://a.org:8080/x", "http://a.org:8080/x"),
        ("http://a.org", "http://a.org/"),
        ("http://a.org/a/../b/./c.jpg", "http://a.org/b/c.jpg"),
        ("http://a.org/x.jpg#top", "http://a.org/x.jpg"),
        ("http://a.org/x.jpg?w=1&h=2", "http://a.org/x.jpg?w=1&h=2"),
        ("http://a.org/a b/ü.jpg", "http://a.org/a%20b/%C3%BC.jpg"),
        ("http://a.org/a%20b.jpg", "http://a.org/a%20b.jpg"),
        ("http://münchen.de/x", "http://xn--mnchen-3ya.de/x"),
        ("http://user:secret@a.org/x", "http://a.org/x"),
        ("http://a.org./x", "http://a.org/x"),
    ],
)
def test_an_address_has_one_spelling(url: str, expected: str) -> None:
    assert normalise(url) == expected
    assert normalise(expected) == expected


def test_what_is_taken_for_spelled_at_a_glance_would_come_out_the_same() -> None:
    drawn = random.Random(3)
    pieces = ["http://", "a.org", "A", "ü", ".", "..", "/", "//", "?", "#", ":80", "%20", "@", "[",
              "]", ";", "-", "_", "x", "=", "&", "~", " ", "\n", "\x00", "a" * 63]  # fmt: skip
    glanced = 0
    for _ in range(20_011):
        url = "http://a" + "".join(drawn.choices(pieces, k=drawn.randrange(6)))
        if urls.SPELLED.fullmatch(url):
            glanced += 1
            assert urls._put_together(url) == url
    assert glanced > 500


@pytest.mark.parametrize(
    "url",
    ["", "x.jpg", "//a.org/x", "ftp://a.org/x", "javascript:alert(1)", "http://", "http://a b/",
     "http://a.org:99999/", "http://[::1/x", "http://" + "a" * 64 + ".org/"],
)  # fmt: skip
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(BadUrlError):
        normalise(url)


def test_a_key_is_the_first_twenty_digits_of_the_hash() -> None:
    # printf 'http://a.org/x.jpg' | sha256sum
    assert key_of("http://a.org/x.jpg") == "c33e41518b7cf20eb045"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("192.168.0.1", False),
        ("172.16.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
    ],
)
def test_only_public_addresses_may_be_asked(address: str, public: bool) -> None:
    assert is_public(address) is public


def write(folder: Path, name: str) -> str:
    path = folder / name
    if ".parquet" in name:
        columns = {"URL": [url for url, _ in ROWS], "TEXT": [text for _, text in ROWS]}
        pq.write_table(pa.table(columns), path)
        return str(path)
    separator = "\t" if ".tsv" in name else ","
    lines = {
        "csv": ["url,caption", *(f'{url},"{text}"' for url, text in ROWS)],
        "tsv": ["url\tcaption", *(separator.join(row) for row in ROWS)],
        "jsonl": [json.dumps({"url": url, "caption": text}) for url, text in ROWS],
        "json": [json.dumps([{"url": url, "caption": text} for url, text in ROWS], indent=2)],
    }
    text = "\n".join(lines[name.split(".")[1]]) + "\n"
    content = text.encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return str(path)


@pytest.mark.parametrize(
    "name",
    ["t.parquet", "t.csv", "t.tsv", "t.json", "t.jsonl", "t.csv.gz", "t.tsv.gz", "t.jsonl.gz"],
)
def test_every_format_gives_the_same_candidates(tmp_path: Path, name: str) -> None:
    found = [(one.url, one.text) for one in table_candidates(write(tmp_path, name))]
    assert found == ROWS


def test_a_parquet_table_is_read_on_the_thread_that_asks(tmp_path: Path) -> None:
    path = write(tmp_path, "t.parquet")
    with reading_threads() as readers:
        assert len(list(table_candidates(f"watched://{path}"))) == len(ROWS)
    assert readers == {threading.get_ident()}


def candidates(path: object, url: str = "", caption: str = "") -> list[tuple[str, str]]:
    found = table_candidates(str(path), Columns(url, caption))
    return [(one.url, one.text) for one in found]


def test_tables_of_any_store_are_read_one_by_one_by_folder_and_by_pattern() -> None:
    store = fsspec.filesystem("memory")
    store.pipe_file("/tables/b.csv", b"url\nhttp://a.org/2.jpg\n")
    store.pipe_file("/tables/a.csv.gz", gzip.compress(b"url\nhttp://a.org/1.jpg\n"))
    store.pipe_file("/tables/empty.csv", b"url\n")
    store.pipe_file("/tables/_metadata.txt", b"http://a.org/no.jpg\n")
    store.pipe_file("/tables/README.md", b"http://a.org/no.jpg\n")
    both = [("http://a.org/1.jpg", ""), ("http://a.org/2.jpg", "")]
    assert candidates("memory://tables") == both
    assert candidates("memory://tables/*.csv*") == both
    assert candidates("memory://tables/b.csv") == both[1:]


def test_a_table_whose_name_looks_like_a_pattern_is_that_table(tmp_path: Path) -> None:
    path = tmp_path / "urls[1].txt"
    path.write_text("http://a.org/1.jpg\n")
    (tmp_path / "urls1.txt").write_text("http://a.org/no.jpg\n")
    assert candidates(path) == [("http://a.org/1.jpg", "")]


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_columns_are_those_a_person_chooses(tmp_path: Path, kind: str) -> None:
    row = {
        "url": "http://a.org/t",
        "Big": "http://a.org/b",
        "caption": "c",
        "alt": "a",
        "h": "AB" * 32,
    }
    path = tmp_path / f"t.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist([row]), path)
    else:
        text = {"csv": f"{','.join(row)}\n{','.join(row.values())}\n", "jsonl": json.dumps(row)}
        path.write_text(text[kind])
    assert candidates(path) == [("http://a.org/t", "c")]
    assert candidates(path, url="Big", caption="alt") == [("http://a.org/b", "a")]
    assert candidates(path, url="big", caption="none") == [("http://a.org/b", "")]
    (one,) = table_candidates(str(path), Columns(hash="h"))
    assert one.expected_hash == "ab" * 32
    with pytest.raises(InputError, match=r"url, Big, caption, alt, h; .* 'text'; .* caption_col"):
        candidates(path, caption="text")


@pytest.mark.parametrize("digits", [32, 40, 64, 128])
def test_a_hash_is_told_by_its_length(tmp_path: Path, digits: int) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"url,md5\nhttp://a.org/1.jpg,{'0aF1' * (digits // 4)}\nhttp://a.org/2.jpg,\n")
    found = [one.expected_hash for one in table_candidates(str(path))]
    assert found == ["0af1" * (digits // 4), ""]


def test_of_parquet_only_the_columns_in_use_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    rows = 40_009
    drawn = random.Random(5)
    columns = {
        "url": [f"http://a.org/{n}" for n in range(rows)],
        "rest": [drawn.randbytes(500) for n in range(rows)],
    }
    pq.write_table(pa.table(columns), path)
    del columns
    before = pa.total_allocated_bytes()
    most = count = 0
    for _ in table_candidates(str(path)):
        count += 1
        most = max(most, pa.total_allocated_bytes() - before)
    assert count == rows
    assert most < 5_000_000  # of 20 MB


def test_a_json_list_is_read_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.json"
    rows = [{"url": f"http://a.org/{n}.jpg", "caption": "]},{ " * n} for n in range(13)]
    path.write_text(json.dumps(rows, indent=1))
    for chars in (1, 7, 1000):
        monkeypatch.setattr(tables, "CHARS_A_READ", chars)
        assert candidates(path) == [(row["url"], str(row["caption"]).strip()) for row in rows]


def test_short_and_long_lines_of_csv_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("n,url,caption\n1,http://a.org/1.jpg\n\n2,http://a.org/2.jpg,two,more\n3\n")
    assert candidates(path) == [("http://a.org/1.jpg", ""), ("http://a.org/2.jpg", "two"), ("", "")]


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["a.csv", "b.parquet"], "tables"),
        (["a.warc.gz", "b.wat"], "archives"),
        (["a.html", "b.csv"], "pages"),
        (["a.html"], "pages"),
        ([], "pages"),
    ],
)
def test_a_folder_is_what_all_of_its_files_are(tmp_path: Path, names: list[str], kind: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    assert kind_of(str(tmp_path)) == kind


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("s3://no-such-bucket/urls.PARQUET", "tables"),
        ("https://a.org/t.csv.gz?signed=x.html", "tables"),
        ("https://a.org/CC-MAIN-1.warc.gz", "archives"),
        ("data/*.warc.wat.gz", "archives"),
        ("https://a.org/gallery?x=t.csv", "pages"),
        ("no/such/folder", "pages"),
    ],
)
def test_a_place_is_what_its_name_says(place: str, kind: str) -> None:
    assert kind_of(place) == kind


def test_a_text_file_is_a_list_of_addresses(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("http://a.org/1.jpg\n\n  http://a.org/2.jpg\n")
    found = [(one.url, one.text) for one in table_candidates(str(path))]
    assert found == [(url, "") for url, _ in ROWS]


def test_a_list_of_captions_gives_one_candidate_each(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({"url": "http://a.org/1.jpg", "captions": ["one", "two"]}) + "\n")
    assert [one.text for one in table_candidates(str(path))] == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"", "is empty"),
        ("t.csv", b"url,caption\n", "is empty"),
        ("t.csv", b"address,caption\nx,y\n", "one of them must be called url"),
        ("t.parquet", b"PAR1 not really", "cannot be read after 0 rows"),
        ("t.csv.gz", b"url,caption\n", "cannot be read after 0 rows"),
        ("t.jsonl", b'{"url": "http://a.org"}\n[1]\n', "row 2 of .* is no JSON object"),
        ("t.jsonl", b'{"url": \n', "cannot be read after 0 rows"),
        ("t.csv", b"url,caption\nhttp://a.org/1.jpg,\xff\xfe\n", "cannot be read after"),
        ("t.xlsx", b"", "is no URL table; its name ends in one of"),
        ("t.json", b'{"url": "http://a.org"}', "a .json table is one list of objects"),
        ("t.json", b'[{"url": "http://a.org"}, {"url"', "cannot be read after 1 rows"),
        ("t.json", b"[" * 100_000, "cannot be read after 0 rows"),
        ("t.csv", b"url,md5\nhttp://a.org,12345\n", "row 1 of .* hash '12345', which is no md5"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_line(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        list(table_candidates(str(path)))
    assert "\n" not in str(caught.value)
