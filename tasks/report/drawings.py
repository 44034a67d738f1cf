"""How the rows of each figure become a chart; what is drawn with what is decided in charts.py."""

from collections.abc import Callable
from typing import Any

from tasks.report import charts
from tasks.report.figures import Draw, Rows, Scope

MOST_DRIFTING = 12
IMAGE_UNITS = {
    "sharpness": "log10 of the variance of the Laplacian",
    "entropy": "entropy of the grey histogram, bits",
    "brightness": "median brightness",
    "short_side": "shorter side as fetched, pixels",
}


def told(rows: Rows, form: Callable[[dict[str, Any]], str]) -> list[dict[str, Any]]:
    """Return the rows with a text `told` that is written beside their bars."""
    return [{**row, "told": form(row)} for row in rows]


def histogram(title: str) -> Draw:
    """Return the drawing of bins over an axis of this title."""
    return lambda rows, _scope: charts.histogram(rows, title)


def image_signal(rows: Rows, _scope: Scope) -> Any:
    """Bins of one signal of the pictures, over an axis in its unit."""
    return charts.histogram(rows, IMAGE_UNITS[rows[0]["signal"]])


def itm_histogram(rows: Rows, scope: Scope) -> Any:
    """ITM probabilities with the threshold in use."""
    return charts.histogram(rows, "ITM probability", threshold=scope.itm_threshold, span=(0.0, 1.0))


def funnel(rows: Rows, _scope: Scope) -> Any:
    """Pictures left after each step."""
    shown = told(rows, lambda row: f"{row['n'] or 0:,} ({row['total_yield'] or 0:.0%})")
    return charts.bars(shown, "label", "n", told="told")


def outcomes(rows: Rows, _scope: Scope) -> Any:
    """Candidates by outcome, divided by batch."""
    return charts.bars(rows, "outcome", "n", series="batch", title="candidates")


def keep_rates(rows: Rows, _scope: Scope) -> Any:
    """Share kept of each source."""
    shown = told(rows, lambda row: f"{row['keep_rate']:.1%} of {row['captions']:,}")
    return charts.bars(shown, "source", "keep_rate", told="told")


def reasons(rows: Rows, _scope: Scope) -> Any:
    """Captions by first reason and source."""
    return charts.grouped_bars(rows, "reason", "n_first", "source", "captions dropped first for it")


def unique_reasons(rows: Rows, _scope: Scope) -> Any:
    """Captions a reason finds, and those that it alone finds."""
    names = {"n_any": "for any rule", "n_only": "for this alone"}
    counted: dict[tuple[str, str], int] = {}
    for row in rows:
        for column, name in names.items():
            counted[row["reason"], name] = counted.get((row["reason"], name), 0) + row[column]
    long = [{"reason": r, "counted": name, "n": n} for (r, name), n in counted.items()]
    return charts.grouped_bars(long, "reason", "n", "counted", "captions")


def languages(rows: Rows, _scope: Scope) -> Any:
    """Texts by language, divided by source."""
    return charts.bars(rows, "language", "n", series="source", title="texts")


def sweep(rows: Rows, scope: Scope) -> Any:
    """Share kept at each ITM threshold."""
    return charts.sweep(rows, scope.itm_threshold)


def heat(rows: Rows, _scope: Scope) -> Any:
    """Pairs by ITC and ITM."""
    return charts.heat(rows, "itc", "itm", ("ITC cosine", "ITM probability"))


def domains(rows: Rows, _scope: Scope) -> Any:
    """Share of web text dropped, by domain."""
    shown = told(rows, lambda row: f"{row['noise_rate']:.0%} of {row['n']:,}")
    return charts.bars(shown, "domain", "noise_rate", told="told")


def truth(rows: Rows, _scope: Scope) -> Any:
    """Kept and dropped web captions by kind of noise."""
    long = [
        {"noise": row["noise"], "verdict": verdict, "n": (row[noise] or 0) + (row[clean] or 0)}
        for row in rows
        if row["noise"] != "all"
        for verdict, noise, clean in (
            ("kept", "noise_kept", "clean_kept"),
            ("dropped", "noise_dropped", "clean_dropped"),
        )
    ]
    return charts.bars(long, "noise", "n", series="verdict", title="web captions")


def auc(rows: Rows, _scope: Scope) -> Any:
    """AUC by signal."""
    shown = told([row for row in rows if row["auc"] is not None], lambda row: f"{row['auc']:.3f}")
    return charts.bars(shown, "signal", "auc", told="told") if shown else None


def drift(rows: Rows, _scope: Scope) -> Any:
    """Population stability index by signal and batch."""
    shown = [{**row, "signal": f"{row['signal']}, {row['batch']}"} for row in rows[:MOST_DRIFTING]]
    return charts.bars(told(shown, lambda row: f"{row['psi']:.3f}"), "signal", "psi", told="told")


def drift_since(rows: Rows, _scope: Scope) -> Any:
    """How far signals have moved, with the two marks of the convention."""
    shown = told(rows[:MOST_DRIFTING], lambda row: f"{row['moved']:.3f}")
    return charts.bars(shown, "signal", "moved", told="told")


def deciles(rows: Rows, _scope: Scope) -> Any:
    """The deciles of one signal, then and now."""
    return charts.lines(rows, "value", "share", "run", (rows[0]["signal"], "% lie below"))


def calibration(rows: Rows, _scope: Scope) -> Any:
    """Right texts by probability, beside the diagonal."""
    return charts.against_diagonal(rows, "expected", "right_share", ("ITM probability", "right"))


def training(rows: Rows, _scope: Scope) -> Any:
    """A loss by step, a line a run."""
    return charts.lines(rows, "step", "value", "label", ("step", "nats"))


def evaluation(rows: Rows, _scope: Scope) -> Any:
    """A score and its interval by model and baseline."""
    shown = [{**row, "is_baseline": row["baseline"] is not None} for row in rows]
    return charts.intervals(shown, "")
