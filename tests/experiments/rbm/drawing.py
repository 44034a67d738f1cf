"""The figure: three measures of every arm, each with its interval."""

from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from tests.experiments.rbm.report import ENDS, Report

PANELS = {
    "r1": "self-retrieval R@1, %",
    "cider_d": "CIDEr-D",
    "hallucinated": "names what is not there, %",
}
COLOURS = {"with the RBM": "#c2410c", "without": "#1d4ed8", "ends of the scale": "#6b7280"}


def draw(report: Report, path: str) -> None:
    """Write an SVG on white ground."""
    panels = [_panel(report, measure, place == 0) for place, measure in enumerate(PANELS)]
    chart = alt.hconcat(*panels, spacing=14).configure_view(stroke="#e5e7eb")
    chart = chart.configure(background="white", font="Helvetica, Arial, sans-serif")
    drawn: str = vl_convert.vegalite_to_svg(chart.to_dict())
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(drawn + "\n")


def _panel(report: Report, measure: str, is_first: bool) -> Any:
    rows = [_row(report, measure, arm) for arm in report.arms]
    order = list(report.arms)
    y = alt.Y("arm:N", sort=order, title=None, axis=alt.Axis(labels=is_first, labelLimit=220))
    colour = alt.Color(
        "kind:N",
        scale=alt.Scale(domain=list(COLOURS), range=list(COLOURS.values())),
        legend=alt.Legend(orient="bottom", title=None) if is_first else None,
    )
    title = PANELS[measure]
    base = alt.Chart(alt.Data(values=rows)).encode(y=y, color=colour)
    scale = alt.Scale(zero=False, nice=True)
    bar = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", scale=scale, title=title), x2="high:Q"
    )
    point = base.mark_circle(size=55, opacity=1).encode(x=alt.X("value:Q", scale=scale))
    return (bar + point).properties(width=210, height=20 * len(order))


def _row(report: Report, measure: str, arm: str) -> dict[str, Any]:
    one = report.resamples[measure].mean(arm)
    scale = 1 if measure == "cider_d" else 100
    kind = "ends of the scale" if arm in ENDS else "without"
    numbers = {"value": scale * one.value, "low": scale * one.low, "high": scale * one.high}
    return {"arm": arm, "kind": "with the RBM" if arm in report.by_rbm else kind, **numbers}
