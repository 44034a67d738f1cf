"""Whether a model has stopped looking: one text for all pictures, or "post post post".

Judged on pictures that were held out of training, so that a caption learned by heart does not pass
for a good one.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch

from models.answering import answer
from models.captioner import generate
from models.decoding import Decoding
from models.preprocessing import pixels_for
from models.questions import parted
from tasks.checkpoints import LoadedAnswerer, LoadedModel
from tasks.degenerate import is_degenerate
from tasks.metrics.vqa import vqa_accuracy
from tasks.samples import Sample, Samples

log = logging.getLogger(__name__)

Item = TypeVar("Item")

PICTURES_LOOKED_AT = 64
COLLAPSED_SHARE = 0.8  # of pictures with the same caption, or with one that is a loop or empty
COLLAPSED_NGRAMS = 0.5  # of pairs of words that stood in the same caption before
FEWEST_HELD_OUT = 3


def hold_out(samples: Samples, share: float) -> list[Sample]:
    """Take the texts of a share of the pictures out of what is trained on.

    Which ones is a function of the pictures' keys alone, so a resumed run holds out the same.

    Args:
        samples: changed in place.
        share: 0 to 1; at least three pictures unless there are fewer than twice as many, or it
            is 0.

    Returns:
        What was taken out; all there is, when none could be spared.
    """
    keys = np.unique(samples.keys)
    if share == 0 or len(keys) < 2 * FEWEST_HELD_OUT:
        return samples.samples
    wanted = max(round(share * len(keys)), FEWEST_HELD_OUT)
    held = keys[: min(wanted, len(keys) - 1)]  # keys are hashes, so any of them will do
    return samples.take_out(np.isin(samples.keys, held))


def caption_collapse(
    loaded: LoadedModel, samples: Samples, held_out: Sequence[Sample], decoding: Decoding
) -> dict[str, Any]:
    """Write a caption for some pictures and say whether the captioner has collapsed; see `judged`.

    Args:
        loaded: the captioner.
        samples: where the pictures are.
        held_out: which of them to look at; 64 at most, evenly spread.
        decoding: how to write.
    """
    looked_at = _spread(sorted({sample.image for sample in held_out}))
    pixels = _pixels(loaded, samples, looked_at)
    written = generate(
        loaded.model, loaded.tokenizer, pixels, decoding, torch.arange(len(looked_at))
    )
    return judged([caption.text for caption in written], decoding.prompt)


def judged(texts: Sequence[str], prompt: str = "") -> dict[str, Any]:
    """Say of captions of different pictures whether their writer has collapsed, and warn if so.

    Returns:
        `pictures`, `distinct` captions, the `commonest` and its share (`identical_captions`), the
        share of word pairs that stood in the same caption before (`repeated_ngrams`), that of
        captions that are loops or empty (`degenerate_captions`), and `collapsed`.
    """
    n = len(texts)
    commonest, count = Counter(texts).most_common(1)[0]
    degenerate = sum(is_degenerate(text, prompt) for text in texts) / n
    repeated = repeated_ngrams(texts)
    alike = count / n if n > 1 else 0.0
    collapsed = max(alike, degenerate) > COLLAPSED_SHARE or repeated > COLLAPSED_NGRAMS
    if collapsed:
        log.warning(
            "the captioner has collapsed: of %d pictures held out %d are called %r, %.0f %% of "
            "captions are loops or empty and %.0f %% of word pairs repeat one of the same caption; "
            "lower learning_rate or steps, or give it more captions",
            n,
            count,
            commonest,
            100 * degenerate,
            100 * repeated,
        )
    return {
        "pictures": n,
        "distinct": len(set(texts)),
        "commonest": commonest,
        "identical_captions": alike,
        "repeated_ngrams": repeated,
        "degenerate_captions": degenerate,
        "collapsed": collapsed,
    }


def repeated_ngrams(texts: Sequence[str], size: int = 2) -> float:
    """Return the share of runs of `size` words that stood in the same text before; 0 for none.

    "post post post post" has three pairs, of which two repeat the first.
    """
    runs, fresh = 0, 0
    for text in texts:
        words = text.lower().split()
        own = [tuple(words[at : at + size]) for at in range(len(words) - size + 1)]
        runs += len(own)
        fresh += len(set(own))
    return 1 - fresh / runs if runs else 0.0


def answer_collapse(
    loaded: LoadedAnswerer, samples: Samples, held_out: Sequence[Sample]
) -> dict[str, Any]:
    """Answer held-out questions; say how well, and whether all get one answer.

    Args:
        loaded: the model.
        samples: where the pictures are.
        held_out: questions with people's answers below, as they are trained on.

    Returns:
        `questions`, `vqa_accuracy` (agreement with the people, 0 to 1), the `commonest` answer and
        its share (`identical_answers`), and `collapsed`: that share is above 0.8 though people's
        is not.
    """
    chosen = _spread(held_out)
    asked = [parted(sample.text) for sample in chosen]
    pixels = _pixels(loaded, samples, [sample.image for sample in chosen])
    written = answer(loaded.model, loaded.tokenizer, pixels, [question for question, _ in asked])
    texts = [one.text for one in written]
    accuracy = sum(vqa_accuracy(t, own) for t, (_, own) in zip(texts, asked, strict=True))
    commonest, share = _commonest(texts)
    _, people = _commonest([own[0] for _, own in asked])
    collapsed = len(texts) > 1 and share > COLLAPSED_SHARE >= people
    if collapsed:
        log.warning(
            "the model has collapsed: it answers %r to %.0f %% of %d questions held out; lower "
            "learning_rate or steps, or give it more questions",
            commonest,
            100 * share,
            len(texts),
        )
    return {
        "questions": len(texts),
        "vqa_accuracy": accuracy / len(texts),
        "commonest": commonest,
        "identical_answers": share,
        "collapsed": collapsed,
    }


def _commonest(texts: Sequence[str]) -> tuple[str, float]:
    text, count = Counter(texts).most_common(1)[0]
    return text, count / len(texts)


def _spread(several: Sequence[Item]) -> list[Item]:
    n = min(PICTURES_LOOKED_AT, len(several))
    return [several[i * len(several) // n] for i in range(n)]


def _pixels(
    loaded: LoadedModel | LoadedAnswerer, samples: Samples, places: Sequence[int]
) -> torch.Tensor:
    images = samples.images(places).to(loaded.model.device)
    return pixels_for(loaded.model.shape.vision, images)
