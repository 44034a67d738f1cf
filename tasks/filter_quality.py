"""How well scores tell right captions from wrong ones, where the truth is known.

The demo plants noise and writes down what it planted; here the scores of a run are held against
it. A caption is called noise when the matching head gives it less than one half, as CapFilt does.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from models.ranking import auc
from tasks import rows
from tasks.errors import LakeError
from tasks.storage import Lake, Shard

THRESHOLD = 0.5
# Each signal with its sign: an energy is lower for what is likelier.
SIGNALS = {
    "itm_probability": 1.0,
    "itc_cosine": 1.0,
    "rbm_pmi": 1.0,
    "gaussian_pmi": 1.0,
    "free_energy": -1.0,
}


@dataclass(frozen=True, slots=True)
class KindQuality:
    """One kind of noise: how much of it is found, and how well each signal ranks it.

    Attributes:
        pairs: captions of this kind that were scored.
        recall: share called noise; None without ITM scores.
        auc: by signal, the probability that a clean caption scores above one of this kind.
    """

    pairs: int
    recall: float | None
    auc: dict[str, float]


@dataclass(frozen=True, slots=True)
class FilterQuality:
    """A filter against the truth; precision, recall and F1 are those of calling something noise.

    Attributes:
        score_run: whose scores.
        batch: of which pictures.
        threshold: an ITM probability below it says noise.
        pairs: scored captions whose truth is known.
        unknown: scored web captions that the truth does not mention.
        noise: of `pairs`, those that are wrong.
        precision: of those called noise, the share that is; None without ITM scores.
        recall: of the noise, the share called so.
        f1: their harmonic mean.
        clean_kept: of the right captions, the share not called noise.
        auc: by signal, the probability that a clean caption scores above a wrong one.
        kinds: the same for each kind of noise.
    """

    score_run: str
    batch: str
    threshold: float
    pairs: int
    unknown: int
    noise: int
    precision: float | None
    recall: float | None
    f1: float | None
    clean_kept: float | None
    auc: dict[str, float]
    kinds: dict[str, KindQuality]


@dataclass(frozen=True, slots=True)
class Judged:
    """A caption whose truth is known, with its signals: `itm_probability` at least."""

    noise: str
    is_noise: bool
    signals: Mapping[str, float | None]


def filter_quality(
    lake: Lake, score_run: str, batch: str, threshold: float = THRESHOLD
) -> FilterQuality:
    """Hold a run's scores of a batch's web captions against `truth/<batch>.parquet`.

    A caption is found in the truth by its picture's key and its text.

    Raises:
        LakeError: the truth, the captions or the scores are missing, or nothing joins.
    """
    truth = rows.read_rows(lake, f"truth/{batch}.parquet").to_pylist()
    known = {(row["key"], _plain(row["text"])): row for row in truth}
    judged: list[Judged] = []
    unknown = 0
    for shard in lake.planned(batch):
        for key, text, signals in _scored(lake, score_run, shard):
            row = known.get((key, _plain(text)))
            if row is None:
                unknown += 1
            else:
                judged.append(Judged(row["noise"], row["is_noise"], signals))
    if not judged:
        raise LakeError(
            f"none of the {unknown} captions that {score_run} scored in batch {batch} is in "
            f"truth/{batch}.parquet of {lake.root}; was the site built again after it was crawled?"
        )
    return quality_of(judged, score_run, batch, threshold, unknown)


def _plain(text: str) -> str:
    return " ".join(text.split())


def _scored(lake: Lake, run: str, shard: Shard) -> list[tuple[str, str, dict[str, float | None]]]:
    """Return key, text and signals of every scored caption that ingestion found."""
    path = lake.rows("captions", "ingestion", shard)
    texts = {
        row["caption_id"]: (row["key"], row["text"])
        for row in rows.read_rows(lake, path, ["caption_id", "key", "text"]).to_pylist()
    }
    columns = ["caption_id", *SIGNALS]
    scores = rows.read_rows(lake, lake.rows("scores", run, shard), columns).to_pylist()
    return [
        (*texts[row["caption_id"]], {name: row[name] for name in SIGNALS})
        for row in scores
        if row["caption_id"] in texts
    ]


def quality_of(
    judged: Sequence[Judged], score_run: str, batch: str, threshold: float, unknown: int = 0
) -> FilterQuality:
    """Count what calling a caption noise below a threshold gets right.

    Args:
        judged: captions whose truth is known.
        score_run: whose scores.
        batch: of which pictures.
        threshold: of `itm_probability`.
        unknown: scored captions whose truth is not known.
    """
    clean = [one for one in judged if not one.is_noise]
    wrong = [one for one in judged if one.is_noise]
    by_kind: dict[str, list[Judged]] = defaultdict(list)
    for one in wrong:
        by_kind[one.noise].append(one)
    called = Counter(
        (one.is_noise, probability < threshold)
        for one in judged
        if (probability := one.signals["itm_probability"]) is not None
    )
    precision = _share(called[True, True], called[False, True])
    recall = _share(called[True, True], called[True, False])
    return FilterQuality(
        score_run=score_run,
        batch=batch,
        threshold=threshold,
        pairs=len(judged),
        unknown=unknown,
        noise=len(wrong),
        precision=precision,
        recall=recall,
        f1=_harmonic(precision, recall),
        clean_kept=_share(called[False, False], called[False, True]),
        auc=_aucs(clean, wrong),
        kinds={kind: _kind(own, clean, threshold) for kind, own in sorted(by_kind.items())},
    )


def _kind(own: Sequence[Judged], clean: Sequence[Judged], threshold: float) -> KindQuality:
    found = Counter(
        probability < threshold
        for one in own
        if (probability := one.signals["itm_probability"]) is not None
    )
    return KindQuality(len(own), _share(found[True], found[False]), _aucs(clean, own))


def _share(these: int, others: int) -> float | None:
    return these / (these + others) if these + others else None


def _harmonic(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return None
    return 2 * one * other / (one + other) if one + other else 0.0


def _aucs(clean: Sequence[Judged], wrong: Sequence[Judged]) -> dict[str, float]:
    """Return the AUC of each signal that both classes have."""
    found: dict[str, float] = {}
    for name, sign in SIGNALS.items():
        values: list[list[Any]] = [
            [v for one in group if (v := one.signals.get(name)) is not None]
            for group in (clean, wrong)
        ]
        if all(values):
            scores = torch.tensor(values[0] + values[1], dtype=torch.float64) * sign
            found[name] = auc(scores, torch.arange(len(scores)) < len(values[0]))
    return found
