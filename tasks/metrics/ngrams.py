"""Runs of n words and how often each comes: what BLEU and CIDEr-D count."""

from collections import Counter
from collections.abc import Sequence

from tasks.metrics.tokens import Words

MAX_N = 4

# What the measures of written captions take: of N images one caption each, and one or more others
# that people wrote.
Captions = Sequence[Words]
References = Sequence[Sequence[Words]]


def count_ngrams(caption: Words, max_n: int = MAX_N) -> list[Counter[Words]]:
    """Return one counter for each n from 1 to `max_n`."""
    return [
        Counter(caption[i : i + n] for i in range(len(caption) - n + 1))
        for n in range(1, max_n + 1)
    ]


def check_paired(captions: Captions, references: References) -> None:
    """Refuse what no score is defined for.

    Raises:
        ValueError: the counts differ, there are none, or an image has no reference.
    """
    if len(captions) != len(references) or not captions:
        raise ValueError(
            f"each image needs one caption and its references: got {len(captions)} captions and "
            f"references of {len(references)} images"
        )
    bare = sum(not own for own in references)
    if bare:
        raise ValueError(f"{bare} of {len(references)} images have no reference caption")
