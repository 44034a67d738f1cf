"""Images find texts and texts find images: by embedding, then re-ranked by the matching head.

N images, M captions, U distinct texts. As in BLIP (section 5.1): the ITC cosine orders everything,
the matching head reads the best k of each row, and `itm logit + itc cosine` orders those.

The candidates are the distinct texts, and a text is right for every image that somebody gave it:
where two images share a caption, neither can be told from the other by it. When all captions
differ this is the usual protocol to the letter.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.matcher import PairScore, score_texts
from models.ranking import recall_at, standing
from tasks.checkpoints import LoadedModel
from tasks.errors import ModelError
from tasks.evaluation.gallery import Gallery
from tasks.inference import inference, over_pictures
from tasks.metrics.bootstrap import Measure, mean_of, share_of
from tasks.pictures import Picture
from tasks.storage import Lake

KS = (1, 5, 10)
# An image that many texts point at is read several times instead of padding all to its number.
TEXTS_A_READ = 32


def embed_pictures(
    lake: Lake, loaded: LoadedModel, pictures: Sequence[Picture], batch_size: int
) -> Tensor:
    """Return the pictures' unit vectors, float (N, E), on the CPU."""

    def embed(pixels: Tensor, _: list[None]) -> list[Tensor]:
        vectors = loaded.model.image_embedding(loaded.model.encode_image(pixels))
        return list(vectors.float().cpu())

    items = [(picture, None) for picture in pictures]
    return torch.stack(over_pictures(lake, loaded, items, batch_size, embed))


def embed_texts(
    loaded: LoadedModel, texts: Sequence[str], batch_size: int, max_length: int
) -> Tensor:
    """Return the texts' unit vectors, float (U, E), on the CPU."""
    device = loaded.model.device
    longest = min(max_length, loaded.model.shape.text.positions)
    parts = []
    with inference(device.type):
        for at in range(0, len(texts), batch_size):
            encoded = loaded.tokenizer.encode(texts[at : at + batch_size], longest, "cls")
            ids, mask = (tensor.to(device) for tensor in encoded)
            parts.append(loaded.model.embed_text(ids, mask).float().cpu())
    return torch.cat(parts)


def shortlist(cosines: Tensor, k: int) -> Tensor:
    """Mark the pairs that the matching head reads: the best k of each row and of each column.

    Args:
        cosines: float (N, U).
        k: how many; all where there are fewer.

    Returns:
        bool (N, U) of rows' best, bool (N, U) of columns' best, stacked to (2, N, U).
    """
    marked = torch.zeros(2, *cosines.shape, dtype=torch.bool)
    for which, axis in enumerate((1, 0)):
        best = cosines.topk(min(k, cosines.shape[axis]), dim=axis).indices
        marked[which].scatter_(axis, best, value=True)
    return marked


def match_pairs(
    lake: Lake,
    loaded: LoadedModel,
    gallery: Gallery,
    wanted: Tensor,
    batch_size: int,
    max_length: int,
) -> Tensor:
    """Return the matched logit of the wanted pairs, double (N, U); NaN elsewhere.

    Each picture is encoded and its keys are projected once for all its texts.

    Args:
        lake: where the tars are.
        loaded: the model.
        gallery: pictures and distinct texts.
        wanted: bool (N, U).
        batch_size: pictures on the device at once.
        max_length: most tokens of a text.
    """
    chunks = [
        (image, places[at : at + TEXTS_A_READ])
        for image in range(len(gallery.pictures))
        if (places := wanted[image].nonzero()[:, 0].tolist())
        for at in range(0, len(places), TEXTS_A_READ)
    ]
    # Those with most texts first: lists of one length meet in a batch, which pads to its longest.
    chunks.sort(key=lambda chunk: -len(chunk[1]))

    def judge(pixels: Tensor, texts: list[list[str]]) -> list[list[PairScore]]:
        return score_texts(loaded.model, loaded.tokenizer, pixels, texts, max_length)

    items = [(gallery.pictures[image], [gallery.texts[u] for u in own]) for image, own in chunks]
    judged = over_pictures(lake, loaded, items, batch_size, judge)
    logits = torch.full(wanted.shape, torch.nan, dtype=torch.float64)
    for (image, places), scores in zip(chunks, judged, strict=True):
        logits[image, places] = torch.tensor([score.itm_logit for score in scores]).double()
    return logits


def reranked(cosines: Tensor, logits: Tensor, marked: Tensor) -> Tensor:
    """Return the scores after re-ranking, double (N, U): marked pairs first, by logit + cosine.

    The others keep their order by cosine, below every marked one.
    """
    best = logits + cosines.double()
    bottom = best[marked].min() - 3.0  # cosines span 2
    return torch.where(marked, best, bottom + cosines.double())


def recall_measures(scores: Tensor, gallery: Gallery, prefix: str, axis: int) -> dict[str, Measure]:
    """Return recall@1, 5 and 10 of one direction, by image.

    Args:
        scores: (N, U), higher is better.
        gallery: whose captions are right.
        prefix: begins the names.
        axis: 1 for image to text, where an image is answered by any of its captions; 0 for text to
            image, where every caption is a question of its own.

    Raises:
        ModelError: a score is no number.
    """
    check_numbers(scores)
    if axis == 1:
        found = standing(scores, gallery.is_right)
        return {f"{prefix}_r{k}": mean_of(recall_at(found, k).numpy()) for k in KS}
    found = standing(scores.T, gallery.is_right.T)
    counts = np.array([len(own) for own in gallery.captions], dtype=np.float64)
    return {
        f"{prefix}_r{k}": share_of(_sums(recall_at(found, k).numpy(), gallery), counts) for k in KS
    }


def check_numbers(scores: Tensor) -> None:
    """Refuse scores that are no numbers: nothing can be put in order by them.

    Raises:
        ModelError: a score is NaN.
    """
    if bool(torch.isnan(scores).any()):
        raise ModelError(
            f"{int(torch.isnan(scores).sum()):,} of {scores.numel():,} scores are no number, so "
            "the model is broken: its training diverged, or its weights are damaged; evaluate an "
            "earlier checkpoint"
        )


def _sums(values: NDArray[np.float64], gallery: Gallery) -> NDArray[np.float64]:
    """Add up a value of each distinct text over every image's captions: (U,) to (N,)."""
    return np.array([values[list(own)].sum() for own in gallery.captions])


def chance_measures(gallery: Gallery) -> dict[str, Measure]:
    """Return the recall of scores that say nothing, under the names of those that do."""
    blind = torch.zeros(len(gallery.pictures), len(gallery.texts))
    found: dict[str, Measure] = {}
    for direction, axis in (("tr", 1), ("ir", 0)):
        for stage in ("itc", "itm"):
            found |= recall_measures(blind, gallery, f"{stage}_{direction}", axis)
    return found
