"""Tags and texts are those that a browser's parser finds, and nothing is read twice."""

import random
import re

import pytest
from selectolax.lexbor import LexborHTMLParser

from tasks.ingestion.sources import markup
from tasks.ingestion.sources.markup import Tag, tokens

# Pieces that a page may be made of in any order; no tables, whose content a browser moves.
PIECES = (
    "<div>", "</div>", "<p>", "</p>", "<b class=x>", "</b>", "<ul><li>", "</LI>", "</ul>",
    "<!-- <img src=comment> -->", "<!-->", "<!--->", "<!--x--!>", "<!doctype html>", "<?php x ?>",
    "</ bogus>", "<![CDATA[x]]>",
    "<script>if (a < b) '<img src=script>'</script>", "<STYLE>/* <img src=style> */</style >",
    "<textarea><img src=textarea></textarea>", "<iframe><img src=iframe></iframe>",
    "a < b ", "&lt;img&gt; ", "&amp;amp; ", "&notit; ", "&#65;&#x42; ", "&#xd800; ", "tail & ",
    "<img src=a.jpg>", '<img src="b.jpg" alt="x > y">', "<img src='c.jpg'alt='it''s'/>",
    "<IMG SRC = d.jpg ALT=\n'two\nlines' alt=no>", "<img src=e.jpg?a=1&copy=2&amp;b=3>",
    '<img alt="&copy; &lt &ltx &copy=1 &unknown; &#8364;" src=f>', "<img/src=g/alt=h/>",
    '<img src="i" title=\'"\' data-x>', "<img =x src=j>", "<img src=k?x=\"y z>", "<img src alt>",
    "<image-like src=no>", "<imgx src=no>",
)  # fmt: skip


def images(html: str) -> list[dict[str, str]]:
    found = tokens(html, frozenset({"img"}))
    return [token.attributes for token in found if isinstance(token, Tag) and not token.is_end]


def images_of_a_browser(html: str) -> list[dict[str, str]]:
    nodes = LexborHTMLParser(html).css("img")
    return [{name: value or "" for name, value in node.attributes.items()} for node in nodes]


def test_the_images_of_any_page_are_those_of_a_parser_that_builds_a_tree() -> None:
    drawn = random.Random(11)
    for _ in range(997):
        html = "".join(drawn.choices(PIECES, k=drawn.randrange(1, 23)))
        assert images(html) == images_of_a_browser(html), html


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a <b>bold</b> word", "a bold word"),
        ("<title>A &amp; <b>B</b></title> C", "A & <b>B</b> C"),
        ("a<script>b</script>c<style>d</style>e", "ace"),
        ("AT&ampT &eacute; &#233; &#xE9; &#0; &#xd800;", "AT&T é é é � �"),
        ("a < b > c", "a < b > c"),
        ("cut off <img src=", "cut off "),
    ],
)
def test_texts_are_what_a_reader_sees(html: str, text: str) -> None:
    found = tokens(html, frozenset({"title"}))
    assert "".join(token for token in found if isinstance(token, str)) == text


def test_a_number_of_a_million_digits_is_not_read_as_one() -> None:
    (text, *_) = tokens("&#" + "9" * 1_000_000 + ";", frozenset())
    assert str(text).endswith("999;")


def test_no_group_is_repeated_possessively() -> None:
    # Python 3.11.2 loses what such a group should match, and the tests may run on a later one.
    patterns = [one.pattern for one in vars(markup).values() if isinstance(one, re.Pattern)]
    assert len(patterns) > 5
    group = re.compile(r"(?<!\\)\)(?:[*+?]|\{[0-9,]*\})\+")
    assert group.search(r"(?:a|b)*+")
    assert not [pattern for pattern in patterns if group.search(pattern)]


@pytest.mark.parametrize("part", [" a=b", " a='>'", "=", "/", "<!-", '"'])
def test_a_tag_of_a_million_parts_is_one_tag(part: str) -> None:
    (tag,) = tokens(f"<img src=x {part * (1_000_000 // len(part))}>", frozenset({"img"}))
    assert isinstance(tag, Tag)
    assert tag.attributes["src"] == "x"
