"""What a figure of the report is: a statement of `sql/reports`, how to draw it, how to read it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sql.statements import statement
from tasks.database import Database
from tasks.report import charts

Rows = Sequence[dict[str, Any]]
Draw = Callable[[Rows, "Scope"], Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """What a report is about; statements take these as parameters.

    Attributes:
        selection: id of a selection; empty when there is none yet.
        rbm_run: the RBM whose scores are shown; empty when there is none yet.
        itm_threshold: the matching head's threshold in that selection; None without one.
    """

    selection: str
    rbm_run: str
    itm_threshold: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One statement's rows, drawn, tabled, or both.

    Attributes:
        name: unique in the report: an anchor on the page, a key in report.json.
        title: what is shown.
        reading: how to read it.
        statement: under `sql/`.
        draw: makes a chart of the rows; None shows the table alone.
        only: keeps the rows whose column has this value.
        missing: what fills it, said while there are no rows; empty says what its section says.
        columns: of the table, in order; empty for all.
        folded: rows whose column has this value are shown on demand only.
    """

    name: str
    title: str
    statement: str
    reading: str = ""
    draw: Draw | None = None
    only: tuple[str, str] | None = None
    missing: str = ""
    columns: tuple[str, ...] = ()
    folded: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A heading with its figures.

    Attributes:
        name: unique in the report: an anchor on the page.
        title: the heading.
        intro: said below it.
        figures: in order.
        missing: what fills them, said by each figure that has no rows and no words of its own.
    """

    name: str
    title: str
    intro: str
    figures: tuple[Figure, ...]
    missing: str = "not measured yet"


@dataclass(frozen=True, kw_only=True, slots=True)
class Headline:
    """One number in large print: what it is, and the figure it is from."""

    name: str
    value: float
    figure: str
    is_share: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """What a report says of itself.

    Attributes:
        run: its name.
        lake: the lake's root.
        written_at: when, in UTC.
        revision: of the code; empty when not known.
        selection: the row of the selection it is about; empty when there is none.
        rbm_run: the RBM whose scores are shown.
        gates: how many gates have each status.
        headlines: the numbers that are asked for first.
    """

    run: str
    lake: str
    written_at: datetime
    revision: str
    selection: dict[str, Any]
    rbm_run: str
    gates: dict[str, int]
    headlines: tuple[Headline, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """A figure with its rows, its drawing (empty without one) and the SQL that gave them.

    `missing` is said in their place while there are no rows.
    """

    figure: Figure
    rows: list[dict[str, Any]]
    svg: str
    sql: str
    missing: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnSection:
    """A section with its figures drawn."""

    section: Section
    figures: tuple[Drawn, ...]


def figure_for_each(
    column: str, titles: Mapping[str, str], *, name: str, statement: str, draw: Draw
) -> tuple[Figure, ...]:
    """Return a figure of a statement's rows for each value of a column, under the value's title."""
    return tuple(
        Figure(
            name=f"{name}-{value.replace('_', '-')}",
            title=title,
            statement=statement,
            draw=draw,
            only=(column, value),
        )
        for value, title in titles.items()
    )


def drawn_section(database: Database, section: Section, scope: Scope) -> DrawnSection:
    """Ask for the rows of every figure of a section, and draw them."""
    figures = tuple(_drawn(database, one, scope, section.missing) for one in section.figures)
    return DrawnSection(section=section, figures=figures)


def _drawn(database: Database, figure: Figure, scope: Scope, missing: str) -> Drawn:
    rows = database.rows(figure.statement, selection=scope.selection, rbm_run=scope.rbm_run)
    if figure.only:
        column, value = figure.only
        rows = [row for row in rows if row[column] == value]
    chart = figure.draw(rows, scope) if figure.draw and rows else None
    label = f"{figure.title}. {figure.reading}".strip()
    return Drawn(
        figure=figure,
        rows=rows,
        svg="" if chart is None else charts.svg(chart, figure.name, label),
        sql=statement(figure.statement),
        missing=figure.missing or missing,
    )
