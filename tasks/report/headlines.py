"""The numbers that are asked for first, taken from the figures that show them."""

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.report.figures import DrawnSection, Headline

# Figure, what its row is known by, the column of the number, what it is called.
ASKED = (
    ("keep-rates", ("source", "web"), "keep_rate", "of web texts kept"),
    ("keep-rates", ("source", "synthetic"), "keep_rate", "of synthetic texts kept"),
    ("filter-truth", ("noise", "all"), "noise_precision", "of dropped texts are wrong"),
    ("filter-truth", ("noise", "all"), "noise_recall", "of wrong texts dropped"),
    ("auc", ("signal", "itm_probability"), "auc", "AUC of ITM on texts of known truth"),
    ("canary-kinds", ("noise", "all"), "auc", "AUC of ITM on the canary"),
)
BEST = (("score-cider-d", "CIDEr-D"), ("score-itm-ir-r1", "text to picture R@1"))


def headlines(sections: Sequence[DrawnSection], selection: str) -> tuple[Headline, ...]:
    """Return those that have been measured.

    Args:
        sections: every section of the report.
        selection: id; scores are those of the model that was trained on it.
    """
    rows = {one.figure.name: one.rows for section in sections for one in section.figures}
    found = []
    for figure, (column, wanted), number, name in ASKED:
        value = _number(rows[figure], column, wanted, number)
        if value is not None:
            share = number != "auc"
            found.append(Headline(name=name, value=value, figure=figure, is_share=share))
    for figure, name in BEST:
        trained = [row for row in rows[figure] if selection in (row["trained_on"] or ())]
        if trained and trained[-1]["value"] is not None:
            told = f"{name}, {trained[-1]['label']}"
            value = float(trained[-1]["value"])
            found.append(Headline(name=told, value=value, figure=figure, is_share=False))
    return tuple(found)


def _number(
    rows: Sequence[Mapping[str, Any]], column: str, wanted: str, number: str
) -> float | None:
    values = [row[number] for row in rows if row[column] == wanted]
    return None if not values or values[0] is None else float(values[0])
