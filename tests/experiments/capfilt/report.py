"""What came of it: the table of the arms, the answer, and the figure."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert
from rich import box
from rich.table import Table

from tests.experiments.capfilt.arms import CAPFILT, ORACLE, RAW, Arm

Scores = Mapping[str, float]
Found = Mapping[str, Sequence[Scores]]

PRIMARY = "itm_tr_r1"
SCORES = {
    "itm_tr_r1": "R@1 picture to text, ITM",
    "itm_ir_r1": "R@1 text to picture, ITM",
    "itc_tr_r1": "R@1 picture to text, ITC",
    "cider_d": "CIDEr-D",
    "self_r1": "self-retrieval R@1",
}
ENOUGH = 2  # pooled standard deviations
OTHERS = "others"
COLOURS = {CAPFILT: "#c2410c", ORACLE: "#6b7280", OTHERS: "#1d4ed8"}


def pooled(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the pooled standard deviation of two samples of equal size, two values or more."""
    return math.sqrt((statistics.variance(first) + statistics.variance(second)) / 2)


def arms_table(arms: Sequence[Arm], found: Found) -> Table:
    """Return a row an arm: how much is chosen, how much of it is right, mean and sd of scores."""
    table = Table("arm", box=box.MARKDOWN)
    for name in ("texts", "right of the web's", *SCORES.values()):
        table.add_column(name, justify="right")
    for arm in arms:
        cells = [_spread(_values(found, arm.name, score)) for score in SCORES]
        table.add_row(arm.name, f"{arm.texts:,}", f"{100 * arm.right:.1f} %", *cells)
    return table


def verdicts(found: Found) -> Iterator[str]:
    """Yield a line a score: captioner+filter against raw, and the primary one against each arm."""
    for score, name in SCORES.items():
        yield f"{name}: {_against(found, score, RAW)}"
    for other in found:
        if other not in (RAW, CAPFILT):
            yield f"{SCORES[PRIMARY]}: {_against(found, PRIMARY, other)}"


def _against(found: Found, score: str, other: str) -> str:
    ours, theirs = _values(found, CAPFILT, score), _values(found, other, score)
    gain = statistics.fmean(ours) - statistics.fmean(theirs)
    spread = pooled(ours, theirs)
    clear = abs(gain) > ENOUGH * spread
    word = ("better" if gain > 0 else "worse") if clear else "no clear difference"
    seeds = ", ".join(f"{a - b:+.3f}" for a, b in zip(ours, theirs, strict=True))
    return (
        f"{CAPFILT} - {other} = {gain:+.3f} (by seed {seeds}), pooled sd {spread:.3f}: {word}, "
        f"by the rule of {ENOUGH} pooled standard deviations"
    )


def _values(found: Found, arm: str, score: str) -> list[float]:
    return [one[score] for one in found[arm]]


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.3f} ± {statistics.stdev(values):.3f}"


def draw(found: Found, path: str) -> None:
    """Write an SVG on white ground: every seed a point, mean and standard deviation a bar."""
    panels = [_panel(found, score, place == 0) for place, score in enumerate(SCORES)]
    chart = alt.hconcat(*panels, spacing=14).configure_view(stroke="#e5e7eb")
    chart = chart.configure(background="white", font="Helvetica, Arial, sans-serif")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(vl_convert.vegalite_to_svg(chart.to_dict()) + "\n")


def _panel(found: Found, score: str, is_first: bool) -> Any:
    seeds = [
        {"arm": arm, "kind": arm if arm in COLOURS else OTHERS, "value": value}
        for arm in found
        for value in _values(found, arm, score)
    ]
    scale = alt.Scale(domain=list(COLOURS), range=list(COLOURS.values()))
    y = alt.Y("arm:N", sort=list(found), title=None, axis=alt.Axis(labels=is_first))
    x = alt.X("value:Q", scale=alt.Scale(zero=False, nice=True), title=SCORES[score])
    base = alt.Chart(alt.Data(values=seeds)).encode(
        y=y, color=alt.Color("kind:N", scale=scale, legend=None)
    )
    bar = base.mark_errorbar(extent="stdev", thickness=2).encode(x=x)
    mean = base.mark_tick(thickness=3, size=14).encode(x="mean(value):Q")
    point = base.mark_circle(size=22, opacity=0.7).encode(x=x)
    return (bar + mean + point).properties(width=150, height=22 * len(found))
