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
        is_optional: left out while there are no rows.
        folded: rows whose column has one of these values are shown on demand only.
    """

    name: str
    title: str
    statement: str
    reading: str = ""
    draw: Draw | None = None
    only: tuple[str, str] | None = None
    missing: str = ""
    columns: tuple[str, ...] = ()
    is_optional: bool = False
    folded: tuple[str, tuple[str, ...]] | None = None


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

    `columns` are those of its table; `missing` is said in their place while there are no rows.
    """

    figure: Figure
    rows: list[dict[str, Any]]
    columns: tuple[str, ...]
    svg: str
    sql: str
    missing: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnSection:
    """A section with its figures drawn."""

    section: Section
    figures: tuple[Drawn, ...]


def figure_for_each(
    column: str,
    titles: Mapping[str, str],
    *,
    name: str,
    statement: str,
    draw: Draw,
    is_optional: bool = False,
) -> tuple[Figure, ...]:
    """Return a figure of a statement's rows for each value of a column, under the value's title."""
    return tuple(
        Figure(
            name=f"{name}-{value.replace('_', '-')}",
            title=title,
            statement=statement,
            draw=draw,
            only=(column, value),
            is_optional=is_optional,
        )
        for value, title in titles.items()
    )


def drawn_section(database: Database, section: Section, scope: Scope) -> DrawnSection:
    """Ask for the rows of every figure of a section, and draw them."""
    figures = tuple(_drawn(database, one, scope, section.missing) for one in section.figures)
    shown = tuple(one for one in figures if one.rows or not one.figure.is_optional)
    return DrawnSection(section=section, figures=shown)


def _columns(figure: Figure, rows: Rows) -> tuple[str, ...]:
    """Return the columns of the table: all of a statement, or those asked for that hold a value."""
    if not figure.columns:
        return tuple(rows[0]) if rows else ()
    return tuple(name for name in figure.columns if any(row[name] is not None for row in rows))


def runnable(name: str, parameters: Mapping[str, Any]) -> str:
    """Return a statement with its parameters filled in, to be pasted into DuckDB as it stands.

    Lists stay named: a gallery's keys would be longer than what is asked of them.
    """
    text = statement(name)
    for parameter, value in parameters.items():
        said = str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"
        # The two lines at the top speak of the parameters by their names.
        head, body = text.split("\n", 2)[:2], text.split("\n", 2)[2]
        text = "\n".join([*head, body.replace(f"${parameter}", said)])
    return text


def _drawn(database: Database, figure: Figure, scope: Scope, missing: str) -> Drawn:
    parameters = {"selection": scope.selection, "rbm_run": scope.rbm_run}
    rows = database.rows(figure.statement, **parameters)
    if figure.only:
        column, value = figure.only
        rows = [row for row in rows if row[column] == value]
    chart = figure.draw(rows, scope) if figure.draw and rows else None
    label = f"{figure.title}. {figure.reading}".strip()
    return Drawn(
        figure=figure,
        rows=rows,
        columns=_columns(figure, rows),
        svg="" if chart is None else charts.svg(chart, figure.name, label),
        sql=runnable(figure.statement, parameters),
        missing=figure.missing or missing,
    )
