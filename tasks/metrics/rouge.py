"""ROUGE-L (Lin 2004): how much of a caption is, in order, in a reference.

    caption    a cat on red         longest common subsequence "a cat red": 3
    reference  a small cat in red   precision 3/4, recall 3/5
    ROUGE-L = (1 + b^2) P R / (R + b^2 P) = 0.6536 with b = 1.2

With several references the best precision and the best recall are taken, each by itself, as the
published caption scores do.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.metrics.ngrams import Captions, References, check_paired
from tasks.metrics.tokens import Words

BETA = 1.2


def rouge_l(captions: Captions, references: References) -> NDArray[np.float64]:
    """Return each image's ROUGE-L, 0 to 1, as float (N,); the corpus has their mean.

    Raises:
        ValueError: as `check_paired`.
    """
    check_paired(captions, references)
    return np.array([_score(c, own) for c, own in zip(captions, references, strict=True)])


def _score(caption: Words, references: Sequence[Words]) -> float:
    # The reference scorer splits an empty string to one empty word; so is a length at least 1.
    common = [common_length(caption, own) for own in references]
    precision = max(common) / max(1, len(caption))
    recall = max(n / max(1, len(own)) for n, own in zip(common, references, strict=True))
    if precision == 0 or recall == 0:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def common_length(one: Words, other: Words) -> int:
    """Return the length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for word in one:
        diagonal = 0
        for at, against in enumerate(other, start=1):
            above = row[at]
            row[at] = diagonal + 1 if word == against else max(above, row[at - 1])
            diagonal = above
    return row[-1]
