"""Charts as SVG, the door to altair and vl-convert: drawn here, so a page needs no script for them.

A chart's colours are the page's: each series is painted with a marker that becomes a CSS variable,
and ink becomes `currentColor`, so one drawing is readable on light and on dark ground.
"""

import html
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import vl_convert

Rows = Sequence[Mapping[str, Any]]

# Units of the drawing, about a telephone's width: on one it is shown as it is, elsewhere wider.
WIDTH = 360
HEIGHT = 180
LINE = 27  # characters of a label before it goes on in the next line
ROOM_FOR_TEXT = 1.7  # of the longest bar, where texts stand beside bars

# What the drawing is painted with -> what the page makes of it.
INK = "#010101"
GRID = "#010102"
SERIES = ("#010111", "#010112", "#010113", "#010114", "#010115", "#010116")
PAINT = {
    INK: "currentColor",
    GRID: "var(--grid)",
    **{marker: f"var(--series-{nth})" for nth, marker in enumerate(SERIES, start=1)},
}
SOURCES = ("web", "synthetic", "human")
"""Colours in this order: what the web says is always the first."""

CONFIG: dict[str, Any] = {
    "background": None,
    # The widths that labels are given room for are this family's.
    "font": "Helvetica, Arial, Liberation Sans, sans-serif",
    "aria": False,  # the drawing has one label; its numbers stand in a table beside it
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "domainColor": GRID,
        "tickColor": GRID,
        "gridColor": GRID,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": 170,
    },
    "legend": {
        "labelColor": INK,
        "titleColor": INK,
        "labelFontSize": 12,
        "orient": "top",
        "title": None,
        "columns": 2,
        "labelLimit": 300,
    },
    "text": {"color": INK, "fontSize": 12},
    "bar": {"color": SERIES[0]},
    "line": {"color": SERIES[0], "strokeWidth": 2},
}


def bars(
    rows: Rows,
    category: str,
    value: str,
    *,
    told: str = "",
    series: str = "",
    title: str = "",
) -> Any:
    """One bar a category, in the order of the rows, stacked by series; `told` stands beside it.

    Args:
        rows: a row a category, or a category and series.
        category: column that names the bar.
        value: column of its length.
        told: column of a text to write beside the bar; only without series.
        series: column by which a bar is divided.
        title: of the value axis.
    """
    # Without room to the right, the longest bar's text would be cut off.
    most = max(float(row[value] or 0) for row in rows) or 1.0
    scale = alt.Scale(domain=[0, most * ROOM_FOR_TEXT]) if told else alt.Scale()
    base = _bands(rows, category).encode(
        x=alt.X(f"{value}:Q", title=title or None, scale=scale, axis=_axis(told)),
    )
    drawn = base.mark_bar()
    if series:
        return drawn.encode(color=_colour(rows, series))
    if told:
        return drawn + base.mark_text(align="left", dx=5).encode(text=f"{told}:N")
    return drawn


def grouped_bars(rows: Rows, category: str, value: str, series: str, title: str) -> Any:
    """One bar a category and series, side by side."""
    return (
        _bands(rows, category, 30)
        .mark_bar()
        .encode(
            yOffset=alt.YOffset(f"{series}:N", sort=_named(rows, series)),
            x=alt.X(f"{value}:Q", title=title, axis=alt.Axis(tickCount=4)),
            color=_colour(rows, series),
        )
    )


def histogram(
    rows: Rows,
    title: str,
    *,
    threshold: float | None = None,
    span: tuple[float, float] | None = None,
) -> Any:
    """Overlaid bins from `low` to `high`, as a share of each `source`, with a threshold's line.

    Args:
        rows: columns low, high, share and, where there are several, source.
        title: of the value axis.
        threshold: where a dashed line stands.
        span: ends of the value axis; None takes those of the bins.
    """
    scale = alt.Scale(domain=list(span or _around(rows)), nice=span is None)
    by_source = "source" in rows[0]
    drawn = (
        alt.Chart(_values(rows))
        .mark_bar(fillOpacity=0.55 if by_source else 0.9, binSpacing=0)
        .encode(
            x=alt.X("low:Q", title=title, axis=alt.Axis(tickCount=6), scale=scale),
            x2="high:Q",
            y=alt.Y("share:Q", title="share", stack=None, axis=alt.Axis(format="%", tickCount=4)),
            y2=alt.Y2Datum(0),
            **({"color": _colour(rows, "source")} if by_source else {}),
        )
    )
    return _tall(drawn if threshold is None else drawn + _threshold(threshold))


def lines(rows: Rows, across: str, up: str, series: str, titles: tuple[str, str]) -> Any:
    """One line a series; titles of the two axes."""
    return _tall(
        alt.Chart(_values(rows))
        .mark_line(point={"size": 12} if len(rows) < 200 else False)
        .encode(
            x=alt.X(f"{across}:Q", title=titles[0], axis=alt.Axis(tickCount=6)),
            y=alt.Y(f"{up}:Q", title=titles[1], axis=alt.Axis(tickCount=5)),
            color=_colour(rows, series),
            strokeDash=alt.StrokeDash(f"{series}:N", sort=_named(rows, series), legend=None),
        )
    )


def sweep(rows: Rows, threshold: float | None) -> Any:
    """Share kept at each threshold, a line a source, with the line of the threshold in use."""
    drawn = lines(rows, "threshold", "keep_rate", "source", ("ITM threshold", "share kept"))
    drawn = drawn.encode(y=alt.Y("keep_rate:Q", title="share kept", axis=alt.Axis(format="%")))
    return _tall(drawn if threshold is None else drawn + _threshold(threshold))


def against_diagonal(rows: Rows, across: str, up: str, titles: tuple[str, str]) -> Any:
    """Points of two shares, joined, beside the line on which they are equal."""
    ends = alt.Scale(domain=[0, 1])
    drawn = (
        alt.Chart(_values(rows))
        .mark_line(point={"size": 30})
        .encode(
            x=alt.X(f"{across}:Q", title=titles[0], scale=ends, axis=alt.Axis(tickCount=6)),
            y=alt.Y(f"{up}:Q", title=titles[1], scale=ends, axis=alt.Axis(format="%", tickCount=5)),
        )
    )
    equal = alt.Chart(alt.Data(values=[{across: 0, up: 0}, {across: 1, up: 1}]))
    line = equal.mark_line(color=INK, strokeDash=[5, 4], strokeWidth=1.5)
    return _tall(drawn + line.encode(x=f"{across}:Q", y=f"{up}:Q"))


def intervals(rows: Rows, title: str) -> Any:
    """A point and its interval a label, in the order of the rows."""
    base = _bands(rows, "label")
    across = alt.X("value:Q", title=title, axis=alt.Axis(tickCount=4))
    colour = alt.Color(
        "is_baseline:N", scale=alt.Scale(domain=[False, True], range=list(SERIES[:2])), legend=None
    )
    span = base.mark_rule(strokeWidth=3, opacity=0.6).encode(x=alt.X("low:Q"), x2="high:Q")
    return span.encode(color=colour) + base.mark_point(filled=True, size=70, opacity=1).encode(
        x=across, color=colour
    )


def heat(rows: Rows, across: str, up: str, titles: tuple[str, str]) -> Any:
    """Cells of a grid, the fuller the more solid; columns `<across>_low`, `_high`, likewise up."""
    return _tall(
        alt.Chart(_values(rows))
        .mark_rect(fill=SERIES[0])
        .encode(
            x=alt.X(f"{across}_low:Q", title=titles[0], scale=alt.Scale(zero=False)),
            x2=f"{across}_high:Q",
            y=alt.Y(f"{up}_low:Q", title=titles[1]),
            y2=f"{up}_high:Q",
            fillOpacity=alt.FillOpacity(
                "n:Q", scale=alt.Scale(type="sqrt", range=[0.12, 1]), legend=None
            ),
        )
    )


def svg(chart: Any, name: str, label: str) -> str:
    """Draw a chart as one `<svg>` element that may stand in an HTML page.

    Args:
        chart: what a function above returned.
        name: unique in the page; ids inside the drawing begin with it.
        label: what the drawing shows, for those who do not see it.
    """
    sized = chart.properties(
        width=WIDTH, autosize=alt.AutoSizeParams(type="fit-x", contains="padding")
    )
    drawn: str = vl_convert.vegalite_to_svg({**sized.to_dict(), "config": CONFIG})
    drawn = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{name}-", drawn)
    for marker, paint in PAINT.items():
        drawn = drawn.replace(f'"{marker}"', f'"{paint}"')
    (box,) = re.findall(r'viewBox="[\d. ]+"', drawn[:600])
    opening = f'<svg class="chart" role="img" aria-label="{html.escape(label)}" {box}'
    return re.sub(r"^<svg [^>]*", opening, drawn, count=1)


def _bands(rows: Rows, category: str, step: int = 20) -> Any:
    """Return a chart with a band a category, named at its left in lines that a telephone has."""
    wrapped = [{**row, category: textwrap.fill(str(row[category]), LINE)} for row in rows]
    tall = max(step, 32) if any("\n" in row[category] for row in wrapped) else step
    lines_of = alt.Axis(labelExpr="split(datum.label, '\\n')", labelLineHeight=13)
    return (
        alt.Chart(_values(wrapped))
        .properties(height=alt.Step(tall, **{"for": "position"}))
        .encode(y=alt.Y(f"{category}:N", sort=None, title=None, axis=lines_of))
    )


def _values(rows: Rows) -> Any:
    return alt.Data(values=[dict(row) for row in rows])


def _named(rows: Rows, column: str) -> list[str]:
    """Return the series in the order that gives each its colour."""
    found = list(dict.fromkeys(str(row[column]) for row in rows))
    known = [name for name in SOURCES if name in found]
    return known + [name for name in found if name not in known]


def _colour(rows: Rows, column: str) -> Any:
    named = _named(rows, column)
    if set(named) <= set(SOURCES):
        named = list(SOURCES)
        present = [name for name in SOURCES if any(row[column] == name for row in rows)]
        legend = alt.Legend(values=present)
    else:
        long = max(len(name) for name in named) > LINE - 4  # two such names are wider than a chart
        legend = alt.Legend(columns=1) if long else alt.Legend()
    first = 0 if named[0] in SOURCES else len(SOURCES)  # no other thing in the sources' colours
    # A series that is counted keeps its colour in every chart of a section.
    counted = {str(row[column]): int(row.get("nth", named.index(str(row[column])))) for row in rows}
    places = [counted.get(name, nth) for nth, name in enumerate(named)]
    painted = [SERIES[(first + place) % len(SERIES)] for place in places]
    return alt.Color(f"{column}:N", scale=alt.Scale(domain=named, range=painted), legend=legend)


def _around(rows: Rows) -> tuple[float, float]:
    """Return the ends of an axis of bins; one bin alone has as much room on either side."""
    low, high = min(row["low"] for row in rows), max(row["high"] for row in rows)
    alone = all(row["low"] == low for row in rows)
    return (2 * low - high, 2 * high - low) if alone else (low, high)


def _threshold(value: float) -> Any:
    marked = alt.Chart(alt.Data(values=[{"at": value}]))
    return marked.mark_rule(color=INK, strokeDash=[5, 4], strokeWidth=1.5).encode(x="at:Q")


def _axis(told: str) -> Any:
    return None if told else alt.Axis(tickCount=5)


def _tall(chart: Any) -> Any:
    """Give a chart without bands its height; bands take what they need."""
    return chart.properties(height=HEIGHT)
