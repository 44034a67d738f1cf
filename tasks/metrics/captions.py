"""The measures of written captions, image by image."""

import numpy as np

from tasks.metrics.bleu import bleu_counts
from tasks.metrics.bootstrap import Measure, bleu_of, mean_of
from tasks.metrics.cider import cider_d
from tasks.metrics.ngrams import Captions, References
from tasks.metrics.rouge import rouge_l


def caption_measures(captions: Captions, references: References) -> dict[str, Measure]:
    """Return `bleu_4`, `rouge_l`, `cider_d` and `exact_match` of one caption an image.

    A match is exact when the caption has the words of one of the references, in order.

    Raises:
        ValueError: as `check_paired`.
    """
    exact = [float(own in set(theirs)) for own, theirs in zip(captions, references, strict=True)]
    return {
        "bleu_4": bleu_of(bleu_counts(captions, references)),
        "rouge_l": mean_of(rouge_l(captions, references)),
        "cider_d": mean_of(cider_d(captions, references)),
        "exact_match": mean_of(np.array(exact)),
    }
