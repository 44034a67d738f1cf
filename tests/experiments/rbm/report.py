"""The table and the verdict, made of the numbers alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from rich import box
from rich.table import Table

from tests.experiments.rbm.arms import BASELINE, EVEN, EVEN_RBM, MIX, WITH_GAUSSIAN, WITH_RBM
from tests.experiments.rbm.outcomes import LEVEL
from tests.experiments.rbm.sureness import Compared, Resamples, holm

ENDS = ("random candidate", "oracle")


@dataclass(frozen=True, slots=True)
class Report:
    """What the experiment found.

    Attributes:
        pictures: of the reported half.
        seeds: of what was fitted.
        models: addresses by part.
        weights: by arm, as chosen on the other half.
        by_rbm: arms in which the RBM has a say.
        resamples: by measure.
    """

    pictures: int
    seeds: int
    models: Mapping[str, str]
    weights: Mapping[str, str]
    by_rbm: tuple[str, ...]
    resamples: Mapping[str, Resamples]

    @property
    def arms(self) -> tuple[str, ...]:
        """Names in the order of the table."""
        return tuple(self.resamples["r1"].means)


COLUMNS = (
    "arm",
    "self-retrieval R@1, %",
    f"less {BASELINE}, points",
    "p (Holm)",
    "R@1 at equal length",
    "MRR",
    "CIDEr-D",
    "hallucinates, %",
    "facts said, %",
    "ITM",
    "words",
)


def rows_of(report: Report) -> list[list[str]]:
    """Return the cells of the table, an arm a row."""
    r1 = report.resamples["r1"]
    against = {arm: r1.difference(arm, BASELINE) for arm in report.arms if arm != BASELINE}
    # The two ends of the scale are no hypotheses.
    adjusted = holm({arm: one.p for arm, one in against.items() if arm not in ENDS})
    return [
        [
            arm,
            percent(r1.mean(arm)),
            points(against[arm]) if arm in against else "",
            f"{adjusted[arm]:.3f}" if arm in adjusted else "",
            *_guards(report, arm),
        ]
        for arm in report.arms
    ]


def _guards(report: Report, arm: str) -> list[str]:
    def mean(measure: str) -> float:
        return report.resamples[measure].means[arm]

    return [
        f"{100 * mean(LEVEL):.1f}",
        f"{mean('mrr'):.3f}",
        f"{mean('cider_d'):.2f}",
        f"{100 * mean('hallucinated'):.1f}",
        f"{100 * mean('details'):.1f}",
        f"{mean('itm'):.2f}",
        f"{mean('words'):.1f}",
    ]


def percent(one: Compared) -> str:
    """Return a share with its interval, in per cent."""
    return f"{100 * one.value:.1f} [{100 * one.low:.1f}, {100 * one.high:.1f}]"


def points(one: Compared) -> str:
    """Return a difference of shares with its interval, in points."""
    return f"{100 * one.value:+.1f} [{100 * one.low:+.1f}, {100 * one.high:+.1f}]"


def rich_table(report: Report) -> Table:
    """Return the table for a terminal."""
    table = Table(box=box.SIMPLE_HEAD)
    for place, name in enumerate(COLUMNS):
        table.add_column(name, justify="right" if place else "left", no_wrap=place < 3)
    for row in rows_of(report):
        table.add_row(*row, style="bold" if row[0] in report.by_rbm else "")
    return table


def markdown(report: Report) -> str:
    """Return the table, what it was made with, and the verdict, as Markdown."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|" + "---:|" * (len(COLUMNS) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in rows_of(report)]
    return "\n".join([*lines, "", told_with(report), "", verdict(report), ""])


def told_with(report: Report) -> str:
    """Say who did what, and which weights were chosen."""
    parts = ", ".join(
        f"{part} {'/'.join(uri.split('/')[-2:])}" for part, uri in report.models.items()
    )
    weights = "; ".join(f"{arm} ({told})" for arm, told in report.weights.items())
    return (
        f"{report.pictures:,} pictures reported, {report.seeds} seeds of RBM and NCE; {parts}. "
        f"Weights chosen on the other half: {weights}."
    )


def verdict(report: Report) -> str:
    """Say in words what the RBM term is worth; "no effect" where the interval holds 0."""
    r1 = report.resamples["r1"]
    gain = r1.difference(WITH_RBM, MIX)
    said = {True: "adds" if gain.value > 0 else "costs", False: "has no effect"}[gain.is_clear]
    same = ": both choose the same" if gain.low == gain.high == 0 else ""
    sentences = [
        f"The RBM term {said}: with it the mix finds {percent(r1.mean(WITH_RBM))} % of "
        f"{report.pictures:,} pictures first, without it {percent(r1.mean(MIX))} %, a difference "
        f"of {points(gain)} points{same}.",
        _beside("Against the Gaussian's PMI in its place:", r1, WITH_RBM, WITH_GAUSSIAN),
        _beside("Made to count as much as LM, ITM and ITC each:", r1, EVEN_RBM, EVEN),
        _beside("Alone, against the Gaussian's PMI,", r1, "RBM PMI", "Gaussian PMI"),
        _beside(f"Alone, against {BASELINE},", r1, "RBM PMI", BASELINE),
        _beside("Ranking by -F against a candidate at random:", r1, "RBM -F", ENDS[0]),
    ]
    for measure, name, scale in (("cider_d", "CIDEr-D", 1), ("hallucinated", "hallucination", 100)):
        change = report.resamples[measure].difference(WITH_RBM, MIX)
        told = (
            f"{scale * change.value:+.2f} [{scale * change.low:+.2f}, {scale * change.high:+.2f}]"
        )
        sentences.append(f"The RBM term changes {name} by {told}{'' if scale == 1 else ' points'}.")
    return " ".join(sentences)


def _beside(opening: str, r1: Resamples, arm: str, other: str) -> str:
    one = r1.difference(arm, other)
    told = f"{points(one)} points"
    if not one.is_clear:
        return f"{opening} no clear difference ({told})."
    return f"{opening} it is {'better' if one.value > 0 else 'worse'} ({told})."
