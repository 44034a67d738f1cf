"""An address has one spelling, and tables of them are read in every format or refused in a line."""

import gzip
import json
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import InputError
from tasks.ingestion.guard import is_public
from tasks.ingestion.tables import table_candidates
from tasks.ingestion.urls import BadUrlError, normalise
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
    }
    text = "\n".join(lines[name.split(".")[1]]) + "\n"
    content = text.encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return str(path)


@pytest.mark.parametrize(
    "name", ["t.parquet", "t.csv", "t.tsv", "t.jsonl", "t.csv.gz", "t.jsonl.gz"]
)
def test_every_format_gives_the_same_candidates(tmp_path: Path, name: str) -> None:
    found = [(one.url, one.text) for one in table_candidates(write(tmp_path, name))]
    assert found == ROWS


def test_a_parquet_table_is_read_on_the_thread_that_asks(tmp_path: Path) -> None:
    path = write(tmp_path, "t.parquet")
    with reading_threads() as readers:
        assert len(list(table_candidates(f"watched://{path}"))) == len(ROWS)
    assert readers == {threading.get_ident()}


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
        ("t.jsonl", b'{"url": "http://a.org"}\n[1]\n', "line 2 of .* is no JSON object"),
        ("t.jsonl", b'{"url": \n', "cannot be read after 0 rows"),
        ("t.csv", b"url,caption\nhttp://a.org/1.jpg,\xff\xfe\n", "cannot be read after"),
        ("t.xlsx", b"", "is no URL table; its name ends in one of"),
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
