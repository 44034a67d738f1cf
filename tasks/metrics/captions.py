"""The measures of written captions, image by image."""

from collections.abc import Sequence

import numpy as np

from tasks.metrics.bleu import bleu_counts
from tasks.metrics.bootstrap import Measure, bleu_of, mean_of, share_of
from tasks.metrics.cider import cider_d
from tasks.metrics.ngrams import Captions, References
from tasks.metrics.rouge import rouge_l


def caption_measures(
    captions: Captions, references: References, domains: Sequence[str] = ()
) -> dict[str, Measure]:
    """Return `bleu_4`, `rouge_l`, `cider_d` and `exact_match` of one caption an image.

    A match is exact when the caption has the words of one of the references, in order.

    Args:
        captions: N captions.
        references: N lists of references.
        domains: of each image, N or none; each adds `cider_d_<domain>` over its images alone,
            whose references then give the weights of words, as the NoCaps server computes it.

    Raises:
        ValueError: as `check_paired`.
    """
    exact = [float(own in set(theirs)) for own, theirs in zip(captions, references, strict=True)]
    return {
        "bleu_4": bleu_of(bleu_counts(captions, references)),
        "rouge_l": mean_of(rouge_l(captions, references)),
        "cider_d": mean_of(cider_d(captions, references)),
        "exact_match": mean_of(np.array(exact)),
        **{
            f"cider_d_{name.replace('-', '_')}": _within(captions, references, domains, name)
            for name in sorted(set(domains) - {""})
        },
    }


def _within(
    captions: Captions, references: References, domains: Sequence[str], domain: str
) -> Measure:
    """Return CIDEr-D over the images of a domain; the others add nothing."""
    places = [at for at, one in enumerate(domains) if one == domain]
    sums, counts = np.zeros(len(captions)), np.zeros(len(captions))
    sums[places] = cider_d([captions[at] for at in places], [references[at] for at in places])
    counts[places] = 1
    return share_of(sums, counts)
