"""The pictures that are evaluated, with the captions people wrote for them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks import rows
from tasks.errors import LakeError
from tasks.metrics.tokens import words
from tasks.pictures import Picture, shard_pictures
from tasks.storage import Lake


@dataclass(frozen=True, slots=True)
class Gallery:
    """The pictures, and their captions as places among the distinct texts.

    Attributes:
        pictures: N.
        captions: N lists of places in `texts`, one for each caption.
        texts: U distinct texts.
    """

    pictures: Sequence[Picture]
    captions: Sequence[Sequence[int]]
    texts: Sequence[str]

    @property
    def is_right(self) -> Tensor:
        """Bool (N, U): somebody gave this image this text."""
        right = torch.zeros(len(self.pictures), len(self.texts), dtype=torch.bool)
        for image, own in enumerate(self.captions):
            right[image, list(own)] = True
        return right


def gallery_of(pictures: Sequence[Picture], captions: Sequence[Sequence[str]]) -> Gallery:
    """Collect the distinct texts of N pictures' captions, in the order they come."""
    places: dict[str, int] = {}
    own = [[places.setdefault(text, len(places)) for text in texts] for texts in captions]
    return Gallery(pictures, own, list(places))


def evaluation_gallery(lake: Lake, batch: str, max_images: int = 0) -> Gallery:
    """Return the batch's pictures that have captions, by key; of duplicates the keeper alone.

    Raises:
        LakeError: there are none.
    """
    listed = f"duplicates/ingestion/{batch}/*.parquet"
    twins = rows.read_all(lake, listed, rows.DUPLICATES).to_pylist()
    # A keeper in another batch is not evaluated here and stands for nothing.
    dropped = {twin["key"] for twin in twins if twin["keeper_batch"] in (None, batch)}
    pictures: dict[str, Picture] = {}
    texts: dict[str, list[str]] = {}
    for shard in lake.planned(batch):
        pictures |= {one.key: one for one in shard_pictures(lake, shard)}
        path = lake.rows("captions", "ingestion", shard)
        for row in rows.read_rows(lake, path, ["key", "text"]).to_pylist():
            if words(row["text"]):
                texts.setdefault(row["key"], []).append(row["text"])
    keys = sorted((pictures.keys() & texts.keys()) - dropped)[: max_images or None]
    if not keys:
        raise LakeError(
            f"batch {batch} of {lake.root} has no picture with a caption to evaluate on; was it "
            "ingested from a table with a caption column?"
        )
    return gallery_of([pictures[key] for key in keys], [texts[key] for key in keys])
