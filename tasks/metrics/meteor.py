"""METEOR 1.5 (Denkowski and Lavie 2014) from the counts that its own program gives of each image.

    P, R    matched words over words, content words weighing 0.75 and function words 0.25; exact
            matches count 1, stems 0.6, synonyms 0.8, paraphrases 0.6
    score   (1 - 0.6 (chunks / matches)^0.2) * P R / (0.85 P + 0.15 R)

The corpus score is that of the summed counts, so it can be resampled like BLEU.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75
WEIGHTS = np.array([1.0, 0.6, 0.8, 0.6])
# Words of caption and reference, function words of both; four counts of each of four kinds of
# match; chunks and matched words of both.
COUNTS = 23


def meteor(counts: Floats) -> Floats:
    """Return METEOR of summed counts, 0 to 1: float (..., 23) to (...)."""
    precision = _weighed(counts, 0)
    recall = _weighed(counts, 1)
    chunks, matched = counts[..., 20], counts[..., 21:23].mean(axis=-1)
    fragments = chunks / np.maximum(matched, 1e-12)
    penalty = GAMMA * fragments**BETA
    total = ALPHA * precision + (1 - ALPHA) * recall
    mean = precision * recall / np.maximum(total, 1e-12)
    return np.asarray(np.where(matched > 0, mean * (1 - penalty), 0.0))


def summable(counts: Floats) -> Floats:
    """Return the program's counts of N captions, (N, 23), as it adds them up.

    A caption that is all of its reference counts as no chunk: it is not in pieces.
    """
    is_whole = (counts[:, 20] == 1) & (counts[:, 21:23] == counts[:, 0:2]).all(axis=1)
    found = counts.copy()
    found[is_whole, 20] = 0
    return found


def _weighed(counts: Floats, side: int) -> Floats:
    """Return the matched share of the caption's words (side 0) or of the reference's (side 1)."""
    matches = counts[..., 4:20].reshape(*counts.shape[:-1], 4, 4)
    words, function = counts[..., side], counts[..., 2 + side]
    content_hit = matches[..., :, side] @ WEIGHTS
    function_hit = matches[..., :, 2 + side] @ WEIGHTS
    total = DELTA * (words - function) + (1 - DELTA) * function
    hit = DELTA * content_hit + (1 - DELTA) * function_hit
    return np.asarray(hit / np.maximum(total, 1e-12))
