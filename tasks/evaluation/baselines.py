"""What a caption must beat: one drawn at random, and that of the training picture most alike.

Alike is measured without any model, on thumbnails of 16 by 16 pixels: a captioner that cannot
beat it has learned colours.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks import rows
from tasks.metrics.bootstrap import Measure
from tasks.metrics.captions import caption_measures
from tasks.metrics.tokens import Words, words_of_all
from tasks.pictures import Picture, read_pictures, shard_pictures
from tasks.samples import selected_shards
from tasks.storage import Lake

THUMBNAIL = 16
MAX_NEIGHBOURS = 20_000
PICTURES_A_READ = 512


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Training pictures and the first selected text of each; `total` counts those left out too."""

    pictures: list[Picture]
    texts: list[str]
    total: int


def training_pictures(lake: Lake, selection_ids: Sequence[str]) -> Neighbours:
    """Return the pictures of these selections, at most 20,000 of them, evenly spaced by key."""
    found: dict[str, tuple[Picture, str]] = {}
    for name in selection_ids:
        for shard in selected_shards(lake, name):
            stored = {picture.key: picture for picture in shard_pictures(lake, shard)}
            columns = ["key", "text"]
            path = lake.rows("selections", name, shard)
            for row in rows.read_rows(lake, path, columns).to_pylist():
                found.setdefault(row["key"], (stored[row["key"]], row["text"]))
    # A key is a hash, so its order is random with regard to what the picture shows.
    ordered = [found[key] for key in sorted(found)][:MAX_NEIGHBOURS]
    return Neighbours([p for p, _ in ordered], [text for _, text in ordered], len(found))


def thumbnails(lake: Lake, pictures: Sequence[Picture]) -> Tensor:
    """Return float (N, 768): the pictures at 16 by 16 pixels, 0 to 1."""
    parts = [
        read_pictures(lake, pictures[at : at + PICTURES_A_READ], THUMBNAIL).flatten(1).float() / 255
        for at in range(0, len(pictures), PICTURES_A_READ)
    ]
    return torch.cat(parts)


def nearest(queries: Tensor, candidates: Tensor) -> list[int]:
    """Return for each of (N, D) the place of the closest of (M, D); the first where several are."""
    found: list[int] = []
    for at in range(0, len(queries), PICTURES_A_READ):
        distances = torch.cdist(queries[at : at + PICTURES_A_READ], candidates)
        found += distances.argmin(dim=1).tolist()
    return found


def drawn_texts(texts: Sequence[str], keys: Sequence[str], seed: int) -> list[str]:
    """Return one of the texts for each key, at random, whatever the other keys are."""
    return [random.Random(f"{seed} {key}").choice(texts) for key in keys]


def baseline_measures(
    exam: tuple[Lake, Sequence[Picture], Sequence[Sequence[Words]]],
    training: tuple[Lake, Neighbours],
    seed: int,
) -> tuple[dict[str, dict[str, Measure]], list[dict[str, str]]]:
    """Score the two baselines' captions.

    Args:
        exam: where the evaluated pictures lie, N of them, and their N lists of human captions.
        training: where the training pictures lie, and they: at least one.
        seed: of the draw.

    Returns:
        The measures of `chance` and `nearest`, and of every picture its nearest neighbour's
        `nearest_key` and `nearest_caption`.
    """
    place, pictures, references = exam
    lake, known = training
    drawn = drawn_texts(known.texts, [picture.key for picture in pictures], seed)
    places = nearest(thumbnails(place, pictures), thumbnails(lake, known.pictures))
    texts = [known.texts[at] for at in places]
    found = {
        "chance": caption_measures(words_of_all(drawn), references),
        "nearest": caption_measures(words_of_all(texts), references),
    }
    return found, [
        {"nearest_key": known.pictures[at].key, "nearest_caption": text}
        for at, text in zip(places, texts, strict=True)
    ]
