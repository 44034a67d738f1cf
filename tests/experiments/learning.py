"""Did the models of a finished demo learn? Their losses fall, and held-out pictures say how far.

make experiment-learning [SITE=default]   prints two tables and draws docs/learning.svg

What a model must beat: chance, and for captions that of the training picture most alike. It says
so of every pretrained model, and by how many widths of its own 95 % interval.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert
from rich import box
from rich.console import Console
from rich.table import Table

from tasks.catalogue.building import open_catalogue
from tasks.commands import run_command
from tasks.errors import InputError
from tasks.storage import open_lake

FIGURE = Path(__file__).resolve().parents[2] / "docs" / "learning.svg"
LOSSES = ("itc", "itm", "lm")
AVERAGED = 5  # logged points at each end, so that no single batch decides

CURVES = """
    select run, step, name, value
    from training
    where run like 'pretraining-%' and name in ('itc', 'itm', 'lm')
    order by run, name, step
"""
SCORES = """
    select
        regexp_extract(model, 'pretraining-[0-9a-f]+') as run,
        score,
        max(value) filter (baseline is null) as value,
        max(low) filter (baseline is null) as low,
        max(high) filter (baseline is null) as high,
        max(value) filter (baseline = 'chance') as chance,
        max(value) filter (baseline = 'nearest') as nearest
    from v_evaluation
    where model like '%pretraining-%' and score in ('itc_tr_r1', 'itm_tr_r1', 'cider_d')
    group by all
    order by run, score
"""


def main(arguments: Sequence[str]) -> None:
    """Print the tables, draw the curves; exit with 1 when a loss did not fall."""
    (root,) = arguments
    console = Console(width=120)
    with open_catalogue(open_lake(root)) as database:
        points, scores = database.ask(CURVES), database.ask(SCORES)
    if not points or not scores:
        raise InputError(f"{root} has no pretrained and evaluated model; run make demo to its end")
    lowered = falls(points)
    console.print(_losses_table(lowered))
    console.print(_scores_table(scores))
    FIGURE.write_text(vl_convert.vegalite_to_svg(_chart(points).to_dict()) + "\n")
    console.print(f"the curves are in docs/{FIGURE.name}", highlight=False)
    if risen := [f"{run} {name}" for run, name, first, last in lowered if last >= first]:
        raise InputError(f"these losses did not fall: {', '.join(risen)}")


def falls(points: Sequence[dict[str, Any]]) -> list[tuple[str, str, float, float]]:
    """Return run, loss, and the means of its first and of its last logged values."""
    found = []
    for run in dict.fromkeys(point["run"] for point in points):
        for name in LOSSES:
            values = [p["value"] for p in points if (p["run"], p["name"]) == (run, name)]
            ends = (values[:AVERAGED], values[-AVERAGED:])
            first, last = (sum(end) / len(end) for end in ends)
            found.append((run, name, first, last))
    return found


def _losses_table(lowered: Sequence[tuple[str, str, float, float]]) -> Table:
    table = Table("run", "loss", "at first", "at last", box=box.MARKDOWN)
    for run, name, first, last in lowered:
        table.add_row(run, name, f"{first:.3f}", f"{last:.3f}")
    return table


def _scores_table(scores: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=box.MARKDOWN)
    for name in ("run", "score", "held out", "95 % interval", "chance", "nearest", "above both by"):
        table.add_column(name)
    for row in scores:
        best = max(row["chance"] or 0.0, row["nearest"] or 0.0)
        width = max(row["high"] - row["low"], 1e-9)
        table.add_row(
            row["run"],
            row["score"],
            f"{row['value']:.3f}",
            f"{row['low']:.3f} to {row['high']:.3f}",
            "" if row["chance"] is None else f"{row['chance']:.3f}",
            "" if row["nearest"] is None else f"{row['nearest']:.3f}",
            f"{row['value'] - best:+.3f} ({(row['value'] - best) / width:+.1f} widths)",
        )
    return table


def _chart(points: Sequence[dict[str, Any]]) -> Any:
    base = alt.Chart(alt.Data(values=list(points))).mark_line()
    panel = base.encode(
        x=alt.X("step:Q", title="step"),
        y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False)),
        color=alt.Color("run:N", title=None, legend=alt.Legend(orient="bottom")),
    ).properties(width=230, height=170)
    chart = panel.facet(column=alt.Column("name:N", title=None, sort=list(LOSSES)))
    return chart.resolve_scale(y="independent").configure(background="white")


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
