"""CIDEr-D (Vedantam et al. 2015, arXiv 1411.5726): agreement in the words that tell images apart.

Every run of n words weighs term frequency times log(images / images whose references have it), so
a run that all references share counts nothing. For each n the score is the cosine of caption and
reference, with the caption's weights clipped to the reference's and a Gaussian penalty on the
difference in length; mean over references and n, times 10.

The weights come from the references that are evaluated: scores on a subset do not compare with
those on the whole, and one image alone scores 0.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.metrics.ngrams import MAX_N, Captions, References, check_paired, count_ngrams
from tasks.metrics.tokens import Words

SIGMA = 6.0
SCALE = 10.0

Weights = dict[Words, float]


@dataclass(frozen=True, slots=True)
class _Vector:
    """A caption as weights, norms and length; length counts runs of two, as the reference does."""

    weights: list[Weights]
    norms: list[float]
    length: int


def cider_d(captions: Captions, references: References) -> NDArray[np.float64]:
    """Return each image's CIDEr-D, 0 to 10, as float (N,); the corpus has their mean.

    Raises:
        ValueError: as `check_paired`.
    """
    check_paired(captions, references)
    counted = [[count_ngrams(own) for own in image] for image in references]
    images_with = document_frequency(counted)
    log_images = math.log(len(references))

    def vector(counts: list[Counter[Words]]) -> _Vector:
        weights = [
            {g: n * (log_images - math.log(max(1, images_with[g]))) for g, n in grams.items()}
            for grams in counts
        ]
        norms = [math.sqrt(sum(w * w for w in own.values())) for own in weights]
        return _Vector(weights, norms, sum(counts[1].values()))

    scores = []
    for caption, own in zip(captions, counted, strict=True):
        against = vector(count_ngrams(caption))
        scores.append(sum(_similarity(against, vector(one)) for one in own) / len(own) * SCALE)
    return np.array(scores)


def document_frequency(references: Sequence[Sequence[list[Counter[Words]]]]) -> Counter[Words]:
    """Count for each run of words the images that have it in any reference."""
    found: Counter[Words] = Counter()
    for image in references:
        found.update({gram for caption in image for grams in caption for gram in grams})
    return found


def _similarity(caption: _Vector, reference: _Vector) -> float:
    """Return the mean over n of the clipped cosine, with the penalty on length."""
    total = 0.0
    for n in range(MAX_N):
        theirs = reference.weights[n]
        dot = sum(
            min(weight, theirs[gram]) * theirs[gram]
            for gram, weight in caption.weights[n].items()
            if gram in theirs
        )
        norms = caption.norms[n] * reference.norms[n]
        total += dot / norms if norms else 0.0
    difference = caption.length - reference.length
    return total / MAX_N * math.exp(-(difference**2) / (2 * SIGMA**2))
