"""The quick way to take an address apart agrees with the one spelling that keys are made of."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.ingestion.fetching.addresses import NORMAL, Address, address_of
from tasks.ingestion.sources.urls import BadUrlError, forward_slashed, normalise

PARTS = st.lists(
    st.sampled_from(
        ["/", ".", "..", "a", "B", "%41", "%", "?", "&x=1", "#f", ":", ";", " ", "é", "[", "]", "@"]
    ),
    max_size=9,
)
HOSTS = st.sampled_from(["a.org", "A.org", "a.org.", "127.1", "[::1]", "a..b", "münchen.de"])
PORTS = st.sampled_from(["", ":80", ":443", ":081", ":8080", ":99999", ":0", ":", ":x"])


@given(st.sampled_from(["http://", "https://", "HTTP://", "ftp://", "//"]), HOSTS, PORTS, PARTS)
@example("http://", "a.org", "", ["/", "a"])
@example("http://", "a.org", "", ["/", "..", "/", "a"])
def test_what_is_taken_for_normal_is(scheme: str, host: str, port: str, parts: list[str]) -> None:
    url = scheme + host + port + "".join(parts)
    try:
        expected = normalise(url)
    except BadUrlError:
        with pytest.raises(BadUrlError):
            address_of(url)
        return
    found = address_of(url)
    assert found.url == expected
    assert found.origin + found.target == expected
    if NORMAL.fullmatch(url):
        assert address_of(f" {url}") == found  # by the slow way


def test_an_address_has_its_parts() -> None:
    assert address_of("https://a.org:8443/b/c.jpg?d=1") == Address(
        "https://a.org:8443/b/c.jpg?d=1", "a.org", "https://a.org:8443", "/b/c.jpg?d=1"
    )
    assert address_of("http://[::1]:81") == Address(
        "http://[::1]:81/", "::1", "http://[::1]:81", "/"
    )
    assert address_of("http://A.org:80/#x").url == "http://a.org/"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://a.org\\x\\y.jpg", "http://a.org/x/y.jpg"),
        ("http:\\\\a.org\\x", "http://a.org/x"),
        ("http://a.org/x\\..\\y", "http://a.org/y"),
        ("http://a.org/x?y=\\z", "http://a.org/x?y=%5Cz"),
        ("http://a.org\\@b.org/x", "http://a.org/@b.org/x"),
    ],
)
def test_backslashes_lean_forward_in_a_path_as_in_browsers(url: str, expected: str) -> None:
    assert normalise(url) == expected


@pytest.mark.parametrize("address", ["data:x,\\", "C:\\x.jpg", "/x?\\", "x#\\"])
def test_backslashes_elsewhere_stay(address: str) -> None:
    assert forward_slashed(address) == address
