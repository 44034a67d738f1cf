"""BLEU (Papineni et al. 2002): the share of a caption's word runs that its references have.

    caption    a red cat            1-grams 3, in the reference 2:  2/3
    reference  a red dog runs       2-grams 2, in the reference 1:  1/2
                                    brevity exp(1 - 4/3)
    BLEU-2 = exp(1 - 4/3) * sqrt(2/3 * 1/2) = 0.4137

Corpus-level: counts and lengths are summed over images before any ratio is taken; the reference
length of an image is the one closest to the caption's, the shorter of two equally close.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.metrics.ngrams import MAX_N, Captions, References, check_paired, count_ngrams
from tasks.metrics.tokens import Words

# The published scorer's guards against 0 / 0; with them a score equals its to the last digit.
SMALL, TINY = 1e-9, 1e-15

Floats = NDArray[np.float64]


def bleu_counts(captions: Captions, references: References) -> Floats:
    """Return what BLEU is a function of; sums of rows belong to the corpus of those rows.

    Returns:
        float (N, 10): caption length, closest reference length, then correct n-grams and n-grams
        for n = 1 to 4.

    Raises:
        ValueError: as `check_paired`.
    """
    check_paired(captions, references)
    return np.array(
        [_row(caption, own) for caption, own in zip(captions, references, strict=True)],
        dtype=np.float64,
    )


def bleu(counts: Floats) -> Floats:
    """Return BLEU-1 to BLEU-4 of summed counts, each from 0 to 1.

    Args:
        counts: float (..., 10); leading dimensions are corpora of their own.

    Returns:
        float (..., 4).
    """
    caption_length, reference_length = counts[..., 0], counts[..., 1]
    correct, total = counts[..., 2 : 2 + MAX_N], counts[..., 2 + MAX_N :]
    precision = (correct + TINY) / (total + SMALL)
    mean = np.cumprod(precision, axis=-1) ** (1.0 / np.arange(1, MAX_N + 1))
    ratio = (caption_length + TINY) / (reference_length + SMALL)
    brevity = np.exp(np.minimum(0.0, 1.0 - 1.0 / ratio))
    return np.asarray(mean * brevity[..., None])


def corpus_bleu(captions: Captions, references: References) -> Floats:
    """Return BLEU-1 to BLEU-4 of all images together, float (4,)."""
    return bleu(bleu_counts(captions, references).sum(axis=0))


def _row(caption: Words, references: Sequence[Words]) -> list[int]:
    length = len(caption)
    closest = min((abs(len(own) - length), len(own)) for own in references)[1]
    counted = [count_ngrams(own) for own in references]
    correct, total = [], []
    for n, grams in enumerate(count_ngrams(caption)):
        most = {gram: max(own[n][gram] for own in counted) for gram in grams}
        correct.append(sum(min(count, most[gram]) for gram, count in grams.items()))
        total.append(sum(grams.values()))
    return [length, closest, *correct, *total]
