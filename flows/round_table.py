"""The rounds of a run side by side: a line a number, a column a round."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from flows.tables import SCORES, bare_table, difference_told

COUNTS = {
    "web_captions": "web texts",
    "web_kept": "web texts kept",
    "synthetic_captions": "synthetic texts",
    "synthetic_kept": "synthetic texts kept",
}
SHARES = {
    "web_accepted": "web texts the filter accepts",
    "synthetic_accepted": "synthetic texts the filter accepts",
    "filter_precision": "filter's precision on known noise",
    "filter_recall": "filter's recall of known noise",
}
WRITER = {"captioner_cider_d": "captioner's CIDEr-D"}
NUMBER = "number"


def round_rows(rounds: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the table as Prefect's pages take it: a dictionary a line.

    Args:
        rounds: as `flows.rounds.Round` has them; a number that no round has gets no line.
    """
    labels = {**COUNTS, **SHARES, **WRITER, **SCORES}
    return [
        {NUMBER: label, **{_title(one): _cell(one, name) for one in rounds}}
        for name, label in labels.items()
        if any(name in one["numbers"] for one in rounds)
    ]


def round_table(rounds: Sequence[Mapping[str, Any]]) -> Table:
    """Return the table as a terminal shows it; what follows a score is its gain on raw pairs."""
    table = bare_table(NUMBER, "Rounds side by side; with its 95 % interval, the gain on raw pairs")
    for one in rounds:
        table.add_column(_title(one), justify="right")
    for row in round_rows(rounds):
        table.add_row(*row.values())
    return table


def _title(one: Mapping[str, Any]) -> str:
    return f"round {one['number']}" if one["number"] else "raw pairs"


def _cell(one: Mapping[str, Any], name: str) -> str:
    value = one["numbers"].get(name)
    if value is None:
        return ""
    if name in COUNTS:
        return f"{value:,.0f}"
    if name in SHARES:
        return f"{value:.1%}"
    gain = difference_told(one["against_raw"].get(name, {}).get("difference"))
    return f"{value:.3f} {gain}".strip()
