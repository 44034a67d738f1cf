"""Pairs to vectors: one unit vector for the picture and one for the text of every caption."""

import logging
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.matcher import MAX_LENGTH
from tasks import rows
from tasks.capfilt.opening import by_picture, shard_captions
from tasks.checkpoints import LoadedModel
from tasks.errors import InputError
from tasks.inference import over_pictures, shared_model
from tasks.samples import selection_digest
from tasks.storage import Commit, Lake, Shard
from tasks.vectors import ROWS_AT_ONCE, vectors_table

log = logging.getLogger(__name__)

STAGE = "embedding"


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedding:
    """How pairs are embedded.

    Attributes:
        batch_size: pictures on the device at once; has no influence on the vectors.
        max_length: most tokens of a text.
    """

    batch_size: int = 64
    max_length: int = MAX_LENGTH

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise InputError(f"batch_size is 1 or more, not {self.batch_size}")
        if self.max_length < 3:
            raise InputError(f"max_length is 3 tokens or more, not {self.max_length}")


def embed_shard(  # noqa: PLR0913  # what, by whom, how and where
    lake: Lake,
    run: str,
    shard: Shard,
    chosen: str | tuple[str, ...],
    model_uri: str,
    how: Embedding,
    device: str = "cpu",
) -> Commit:
    """Embed every pair of a shard; nothing happens when that is done.

    Args:
        lake: where everything lies.
        run: the name of the vectors.
        shard: one shard.
        chosen: a selection's id, or the caption runs whose texts are all embedded ("ingestion"
            for the web's and the humans').
        model_uri: address of the model.
        how: batch size and text length.
        device: "cpu" or "cuda".

    Raises:
        InputError: the selection is missing or unfinished.
        LakeError: a caption run has nothing for the shard.
        ModelError: the model is missing or damaged.
    """
    if lake.is_committed(STAGE, run, shard):
        return lake.commit_of(STAGE, run, shard)
    started = time.monotonic()
    loaded = shared_model(lake, model_uri, device, "filter")
    captions = _chosen(lake, shard, chosen)
    images, texts = _embedded(lake, loaded, shard, captions, how)
    path = lake.rows("vectors", run, shard)
    rows.write_rows(lake, path, vectors_table(captions, images, texts), ROWS_AT_ONCE)
    commit = lake.commit(
        STAGE,
        run,
        shard,
        files=[path],
        rows={"pictures": len({row["key"] for row in captions}), "vectors": len(captions)},
        seconds=time.monotonic() - started,
        versions={
            "torch": torch.__version__,
            "device": device,
            "selection": chosen if isinstance(chosen, str) else "",
            "model": loaded.name,
        },
    )
    pictures, pairs = commit.rows["pictures"], commit.rows["vectors"]
    log.info(
        "%s %s: %d pictures, %d pairs in %.1f s", STAGE, shard, pictures, pairs, commit.seconds
    )
    return commit


def _embedded(
    lake: Lake, loaded: LoadedModel, shard: Shard, captions: list[dict[str, Any]], how: Embedding
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the captions' image and text vectors, each (captions, E); a picture is seen once."""
    items = by_picture(lake, shard, captions)

    def embed(pixels: Tensor, texts: list[list[str]]) -> list[tuple[Tensor, Tensor]]:
        model, flat = loaded.model, [text for own in texts for text in own]
        ids, mask = loaded.tokenizer.encode(flat, how.max_length, "cls")
        images = model.image_embedding(model.encode_image(pixels)).float().cpu()
        found = model.embed_text(ids.to(pixels.device), mask.to(pixels.device)).float().cpu()
        return list(zip(images, torch.split(found, [len(own) for own in texts]), strict=True))

    own_texts = [(p, [captions[at]["text"] for at in places]) for p, places in items]
    vectors = over_pictures(lake, loaded, own_texts, how.batch_size, embed)
    width = loaded.model.shape.embedding
    images, texts = (np.empty((len(captions), width), dtype=np.float32) for _ in range(2))
    for (_, places), (image, found) in zip(items, vectors, strict=True):
        images[places] = image.numpy()
        texts[places] = found.numpy()
    return images, texts


def _chosen(lake: Lake, shard: Shard, chosen: str | tuple[str, ...]) -> list[dict[str, Any]]:
    """Return caption_id, key and text of a selection's or of caption runs' rows."""
    if not isinstance(chosen, str):
        return shard_captions(lake, shard, chosen)
    selection_digest(lake, chosen)
    path = lake.rows("selections", chosen, shard)
    # The selection is whole, so a shard without a file is a shard of which nothing was kept.
    if not lake.exists(path):
        return []
    return list(rows.read_rows(lake, path, ["caption_id", "key", "text"]).to_pylist())
