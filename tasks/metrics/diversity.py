"""How varied a set of captions is: what a captioner that always says the same does badly at."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tasks.metrics.tokens import Words

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Diversity:
    """Facts about a set of captions.

    Attributes:
        distinct_1: different words over all words, 0 to 1 (Li et al. 2016, arXiv 1510.03055).
        distinct_2: the same of pairs of neighbouring words.
        vocabulary: different words.
        unique_captions: different captions over all captions, 0 to 1.
        mean_words: words a caption.
        vendi: how many captions that share no word would be as varied (`vendi`), 1 to their number.
    """

    distinct_1: float
    distinct_2: float
    vocabulary: int
    unique_captions: float
    mean_words: float
    vendi: float


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
        vendi=vendi(word_vectors(captions)),
    )


def word_vectors(captions: Sequence[Words]) -> Floats:
    """Return unit vectors of how often each word is said, float (N, V); no encoder is asked.

    So captions of two models compare, which vectors of each model's own would not. A caption
    without a word is the zero vector.
    """
    places: dict[str, int] = {}
    for caption in captions:
        for word in caption:
            places.setdefault(word, len(places))
    found = np.zeros((len(captions), max(1, len(places))))
    for at, caption in enumerate(captions):
        for word in caption:
            found[at, places[word]] += 1
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.where(lengths == 0, 1, lengths))


def vendi(vectors: Floats) -> float:
    """Return the Vendi score of unit vectors (N, D): their effective number, 1 to N.

    It is exp of the entropy of the eigenvalues of K / N, K being the cosines (Friedman and Dieng
    2022, arXiv 2210.02410); the same eigenvalues but zeros are those of the smaller of the two
    products of the matrix with itself.
    """
    n, width = vectors.shape
    product = vectors.T @ vectors if width < n else vectors @ vectors.T
    shares = np.linalg.eigvalsh(product / n).clip(min=0)
    shares = shares[shares > 0] / max(float(shares.sum()), 1e-12)
    return float(np.exp(-(shares * np.log(shares)).sum()))
