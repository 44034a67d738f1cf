"""The filter: how well texts fit an image, judged two ways.

B images of T tokens, G texts for each (the longest list decides), L tokens.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.blip import Blip, uncast
from models.tokenization import Tokenizer

MAX_LENGTH = 35  # BLIP's in retrieval and matching


@dataclass(frozen=True, slots=True)
class PairScore:
    """One text against one image.

    Attributes:
        itm_probability: the matching head's softmax, 0 to 1; CapFilt keeps 0.5 and above.
        itm_logit: its raw score for "matches", what BLIP ranks retrieval by.
        itc_cosine: of the two embeddings, -1 to 1.
    """

    itm_probability: float
    itm_logit: float
    itc_cosine: float


@torch.no_grad()
def score_texts(
    model: Blip,
    tokenizer: Tokenizer,
    images: Tensor,
    texts: Sequence[Sequence[str]],
    max_length: int = MAX_LENGTH,
) -> list[list[PairScore]]:
    """Score each image's own texts; the image is encoded once and its keys are read by all.

    Images with about as many texts go together, and padding within a text costs nothing.

    Texts are read with [ENC] in front for matching, as in training (transformers' class has [CLS]).

    Args:
        model: left in the mode it was in.
        tokenizer: the model's.
        images: normalised pixels (B, 3, S, S), or tokens (B, T, W) that are encoded already.
        texts: B lists, of any lengths.
        max_length: most tokens of a text; a model with fewer positions reads no more than those.

    Returns:
        B lists of scores, in the order of the texts.

    Raises:
        ValueError: images and lists differ in count.
    """
    if len(images) != len(texts):
        raise ValueError(f"each image needs its list of texts: {len(images)} and {len(texts)}")
    longest = min(max_length, model.shape.text.positions)
    was_training = model.training
    model.eval()
    try:
        tokens = images if images.ndim == 3 else model.encode_image(images)
        scores: list[list[PairScore]] = [[] for _ in texts]
        for places in _alike(texts):
            own = [texts[place] for place in places]
            rows = tokens
            if len(places) < len(texts):
                rows = tokens[torch.tensor(places, device=tokens.device)]
            found = _scored(model, tokenizer, rows, own, longest)
            for place, one in zip(places, found, strict=True):
                scores[place] = one
    finally:
        model.train(was_training)
    return scores


def _alike(texts: Sequence[Sequence[str]]) -> list[list[int]]:
    """Group images by how many texts they have, doubling: one with many would make all pad."""
    groups: dict[int, list[int]] = {}
    for place, own in enumerate(texts):
        if own:
            groups.setdefault((len(own) - 1).bit_length(), []).append(place)
    return [groups[size] for size in sorted(groups)]


def _scored(
    model: Blip,
    tokenizer: Tokenizer,
    tokens: Tensor,
    texts: Sequence[Sequence[str]],
    max_length: int,
) -> list[list[PairScore]]:
    """Score the texts of images of about as many texts each."""
    group = max(len(own) for own in texts)
    padded = [text for own in texts for text in (*own, *[""] * (group - len(own)))]
    ids, mask = (t.to(tokens.device) for t in tokenizer.encode(padded, max_length, "cls"))
    embedded = model.embed_text(ids, mask).reshape(len(tokens), group, -1)
    with uncast(tokens):
        cosines = torch.einsum("be,bge->bg", model.image_embedding(tokens), embedded)
    ids[:, 0] = tokenizer.enc
    logits = model.match(ids, mask, model.project_image(tokens)).reshape(len(tokens), group, 2)
    return [
        [_pair_score(*row) for row in zip(two[: len(own)], near[: len(own)], strict=True)]
        for own, two, near in zip(
            texts, logits.double().tolist(), cosines.double().tolist(), strict=True
        )
    ]


def _pair_score(logits: Sequence[float], cosine: float) -> PairScore:
    unmatched, matched = logits
    # The logistic of the difference is the softmax of two, and tanh cannot overflow.
    return PairScore((1 + math.tanh((matched - unmatched) / 2)) / 2, matched, cosine)
