"""How varied a set of captions is: what a captioner that always says the same does badly at."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tasks.metrics.tokens import Words


@dataclass(frozen=True, slots=True)
class Diversity:
    """Facts about a set of captions.

    Attributes:
        distinct_1: different words over all words, 0 to 1 (Li et al. 2016, arXiv 1510.03055).
        distinct_2: the same of pairs of neighbouring words.
        vocabulary: different words.
        unique_captions: different captions over all captions, 0 to 1.
        mean_words: words a caption.
    """

    distinct_1: float
    distinct_2: float
    vocabulary: int
    unique_captions: float
    mean_words: float


def diversity(captions: Sequence[Words]) -> Diversity:
    """Describe how varied captions are.

    Raises:
        ValueError: there are none.
    """
    if not captions:
        raise ValueError("there are no captions to describe")
    words = Counter(word for caption in captions for word in caption)
    pairs = Counter(pair for own in captions for pair in pairwise(own))
    return Diversity(
        distinct_1=len(words) / max(1, words.total()),
        distinct_2=len(pairs) / max(1, pairs.total()),
        vocabulary=len(words),
        unique_captions=len(set(captions)) / len(captions),
        mean_words=words.total() / len(captions),
    )
