"""robots.txt means what RFC 9309 says, to one crawler, at a bounded price."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.ingestion.fetching.rules import Rules


def allows(text: str, target: str = "/a/b.jpg", agent: str = "caplift") -> bool:
    return Rules.parse(text, agent).allow(target)


@pytest.mark.parametrize(
    ("text", "is_allowed"),
    [
        ("", True),
        ("<html>not here</html>", True),
        ("Disallow: /", True),  # addressed to nobody
        ("User-agent: *\nDisallow: /", False),
        ("User-agent: *\nDisallow:", True),
        ("user-AGENT : *\nDISALLOW : /a", False),
        ("User-agent: *\rDisallow: /a", False),
        ("User-agent: *\r\n\r\nDisallow: /a\r\n", False),
        ("\ufeffUser-agent: *\nDisallow: /a", False),
        ("User-agent: * # all\nDisallow: /a # of it", False),
        ("User-agent: *\n#Disallow: /a", True),
        ("User-agent: *\nDisallow: a", False),
        ("User-agent: *\nDisallow: /a/c", True),
        ("User-agent: *\nDisallow: /A", True),
    ],
)
def test_lines_are_read_leniently(text: str, is_allowed: bool) -> None:
    assert allows(text) is is_allowed


@pytest.mark.parametrize(
    ("text", "is_allowed"),
    [
        ("User-agent: caplift\nDisallow: /", False),
        ("User-agent: CapLift/0.1\nDisallow: /", False),
        ("User-agent: caplift (images)\nDisallow: /", False),
        ("User-agent: cap\nDisallow: /", True),
        ("User-agent: lift\nDisallow: /", True),
        ("User-agent: capliftbot\nDisallow: /", True),
        ("User-agent: x\nUser-agent: caplift\nDisallow: /", False),
        ("User-agent: caplift\nUser-agent: x\nDisallow: /", False),
        ("User-agent: x\nDisallow: /\nUser-agent: caplift\nAllow: /", True),
        # Its own group counts alone, wherever it stands.
        ("User-agent: *\nDisallow: /\n\nUser-agent: caplift\nDisallow: /c", True),
        ("User-agent: caplift\nDisallow: /c\n\nUser-agent: *\nDisallow: /", True),
        ("User-agent: caplift\n\nUser-agent: x\nAllow: /\n\nUser-agent: *\nDisallow: /a", True),
        # Groups of one name are one.
        ("User-agent: caplift\nDisallow: /c\n\nUser-agent: caplift\nDisallow: /a", False),
        # Records of another kind end no group (section 2.2.4).
        ("User-agent: x\nCrawl-delay: 3\nUser-agent: caplift\nDisallow: /", False),
        ("User-agent: caplift\nSitemap: https://a.org/s.xml\nDisallow: /", False),
    ],
)
def test_the_groups_that_name_the_crawler_count(text: str, is_allowed: bool) -> None:
    assert allows(text) is is_allowed


@pytest.mark.parametrize(
    ("rules", "target", "is_allowed"),
    [
        ("Disallow: /a\nAllow: /a/b", "/a/b.jpg", True),
        ("Allow: /a\nDisallow: /a/b", "/a/b.jpg", False),
        ("Disallow: /a\nAllow: /a", "/a", True),
        ("Allow: /a\nDisallow: /a", "/a", True),
        ("Disallow: /*.jpg$", "/a/b.jpg", False),
        ("Disallow: /*.jpg$", "/a/b.jpg?x=1", True),
        ("Disallow: /*.jpg", "/a/b.jpg?x=1", False),
        ("Disallow: /a$", "/a", False),
        ("Disallow: /a$", "/ab", True),
        ("Disallow: /$", "/", False),
        ("Disallow: /$", "/a", True),
        ("Disallow: *", "/", False),
        ("Disallow: /a*c*d", "/abcbd", False),
        ("Disallow: /a*c*d", "/abdbc", True),
        ("Disallow: /a**b", "/axb", False),
        ("Disallow: /*b*b$", "/ab", True),
        ("Disallow: /*?x=", "/a?x=1", False),
        ("Disallow: /a/*\nAllow: /a/b", "/a/b", True),
        ("Disallow: /a/*\nAllow: /a/b", "/a/c", False),
        ("Disallow: /a/b*\nAllow: /a/b.", "/a/b.jpg", True),  # as long: the permissive one
        # One spelling for what is escaped and what is not (section 2.2.2, table 1).
        ("Disallow: /%61", "/a", False),
        ("Disallow: /a", "/%61", False),
        ("Disallow: /é", "/%C3%A9", False),
        ("Disallow: /%c3%a9", "/%C3%A9", False),
        ("Disallow: /a%2Fb", "/a/b", True),
        ("Disallow: /%2A", "/*", False),
        ("Disallow: /%2A", "/x", True),
        ("Disallow: /a$b", "/a$b", False),
        ("Disallow: /%zz", "/%zz", False),
    ],
)
def test_the_longest_pattern_that_matches_decides(
    rules: str, target: str, is_allowed: bool
) -> None:
    assert allows(f"User-agent: *\n{rules}", target) is is_allowed


def slowly(rules: list[tuple[bool, str]], target: str) -> bool:
    """The same by regular expressions, for patterns of `/`, `a`, `b`, stars and a last `$`."""
    best = (-1, True)
    for is_allowed, pattern in rules:
        spelled = re.sub(r"\*+", "*", pattern)
        body = ".*".join(map(re.escape, spelled.removesuffix("$").split("*")))
        if re.match(body + (r"\Z" if spelled.endswith("$") else ""), target):
            best = max(best, (len(spelled), is_allowed))
    return best[1]


PATTERNS = st.tuples(st.booleans(), st.from_regex(r"/[ab/*]{0,6}\$?", fullmatch=True))


@given(st.lists(PATTERNS, max_size=6), st.from_regex(r"/[ab/]{0,7}", fullmatch=True))
def test_matching_agrees_with_regular_expressions(
    rules: list[tuple[bool, str]], target: str
) -> None:
    lines = "".join(f"{'Allow' if a else 'Disallow'}: {pattern}\n" for a, pattern in rules)
    assert allows(f"User-agent: *\n{lines}", target) is slowly(rules, target)


@pytest.mark.parametrize(
    ("line", "is_allowed"),
    [
        ("Disallow: /" + "*a" * 200_000, True),
        ("Disallow: /" + "*a" * 1900, False),
        ("".join(f"Disallow: /{'a' * n}b\n" for n in range(900)), True),
        ("User-agent: *\n" * 35_000 + "Disallow: /a", False),
        (":" * 500_000, True),
        ("Disallow: /" + "%zz" * 160_000, True),
    ],
    ids=["stars", "fewer-stars", "lengths", "agents", "colons", "escapes"],
)
def test_half_a_megabyte_of_the_worst_still_has_an_answer(line: str, is_allowed: bool) -> None:
    assert allows(f"User-agent: *\n{line}", f"/{'a' * 2000}") is is_allowed


def test_patterns_beyond_the_bound_forbid_more_and_never_less() -> None:
    # 25,000 of them cost Protego 36 ms for every URL.
    lines = "".join(f"Disallow: /shop/*{n:05}\n" for n in range(1500))
    rules = Rules.parse(f"User-agent: *\n{lines}", "caplift")
    assert not rules.allow("/shop/x00000")
    assert not rules.allow("/shop/x01499")
    assert rules.allow("/pictures/a.jpg")
