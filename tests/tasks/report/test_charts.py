"""A chart is one SVG element in the page's own colours, and its labels stay text."""

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

from tasks.report import charts
from tasks.report.numbers import counted, plain, spoken

BINS = [
    {"source": source, "low": low / 10, "high": (low + 1) / 10, "share": 0.25}
    for source in ("synthetic", "web")
    for low in (1, 2, 5, 8)
]


def drawn(chart: object, name: str = "a-name") -> str:
    text = charts.svg(chart, name, 'bars & "bins" <of> scores')
    ElementTree.fromstring(text.replace("<svg ", '<svg xmlns:xlink="x" ', 1))
    return text


def test_a_drawing_is_painted_with_the_pages_colours_only() -> None:
    text = drawn(charts.histogram(BINS, "ITM", threshold=0.5))
    painted = set(re.findall(r'(?:fill|stroke)="([^"]+)"', text)) - {"none", "transparent"}
    assert painted == {"currentColor", "var(--grid)", "var(--series-1)", "var(--series-2)"}


def test_the_web_has_the_same_colour_in_every_chart() -> None:
    alone = drawn(charts.histogram([row for row in BINS if row["source"] == "web"], "ITM"))
    both = drawn(charts.histogram(BINS, "ITM"))
    assert "var(--series-1)" in alone
    assert "var(--series-2)" not in alone
    # In the legend's order the web comes first, whatever the rows' order is.
    assert both.index(">web<") < both.index(">synthetic<")


def test_labels_full_of_markup_stay_text() -> None:
    hostile = '</text><script>alert("x")</script>'
    text = drawn(charts.bars([{"domain": hostile, "n": 3}], "domain", "n"))
    assert "<script" not in text
    assert "alert" in text


def test_a_bar_is_as_long_as_its_number() -> None:
    rows = [{"name": "a", "n": 2}, {"name": "b", "n": 6}]
    text = drawn(charts.bars(rows, "name", "n"))
    bars = re.findall(r'd="M0,[\d.]+h([\d.]+)v[\d.]+h[-\d.]+Z" fill="var\(--series-1\)"', text)
    short, long = (float(length) for length in bars)
    assert abs(long / short - 3) < 0.01


def test_ids_of_two_drawings_do_not_meet() -> None:
    chart = charts.lines(
        [{"step": s, "value": s, "run": "a"} for s in (1, 2, 3)], "step", "value", "run", ("", "")
    )
    ids = [set(re.findall(r'\bid="([^"]+)"', drawn(chart, name))) for name in ("one", "two")]
    assert not ids[0] & ids[1]


def test_a_label_is_escaped_where_it_names_the_drawing() -> None:
    assert 'aria-label="bars &amp; &quot;bins&quot; &lt;of&gt; scores"' in drawn(
        charts.histogram(BINS, "ITM")
    )


def test_numbers_are_said_as_a_person_reads_them() -> None:
    assert [spoken(v) for v in (None, float("nan"), True, 12_345, 999, 0.123456, ["a", 2], "")] == [
        *("-", "-", "yes", "12,345", "999", "0.1235", "a, 2", "-")
    ]
    assert plain({"a": [float("nan"), float("inf"), 1.5]}) == {"a": [None, None, 1.5]}


def test_one_bin_alone_does_not_fill_the_chart() -> None:
    alone = [{"low": 96.0, "high": 97.0, "share": 1.0}]
    text = drawn(charts.histogram(alone, "pixels"))
    assert ">95.0<" in text
    assert ">98.0<" in text


def test_a_column_of_numbers_is_one_whatever_else_is_missing_in_it() -> None:
    rows: list[dict[str, Any]] = [
        {"n": None, "share": 0.5, "is_green": True, "name": "a.b", "none": None},
        {"n": 3, "share": None, "is_green": False, "name": "c", "none": None},
    ]
    assert counted(rows, list(rows[0])) == {"n", "share"}
