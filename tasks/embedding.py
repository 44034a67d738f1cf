"""Pairs to vectors: one unit vector for the picture and one for the text of every caption."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.matcher import MAX_LENGTH
from tasks import rows
from tasks.aside import put_aside, reasons, take_back
from tasks.capfilt.opening import by_picture, shard_captions
from tasks.checkpoints import LoadedModel
from tasks.errors import InputError, LakeError
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

    A shard that cannot be read, or that one of the chosen runs has put aside, is put aside.

    Args:
        lake: where everything lies.
        run: the name of the vectors.
        shard: one shard.
        chosen: a selection's id, or the caption runs whose texts are all embedded ("ingestion"
            for the web's and the humans').
        model_uri: address of the model.
        how: batch size and text length.
        device: "cpu" or "cuda".

    Returns:
        The record that the shard is embedded, or that it is in quarantine and why.

    Raises:
        InputError: the selection is missing or unfinished.
        LakeError: a caption run has nothing for the shard's batch.
        ModelError: the model is missing or damaged.
    """
    if lake.is_committed(STAGE, run, shard):
        return lake.commit_of(STAGE, run, shard)
    started = time.monotonic()
    loaded = shared_model(lake, model_uri, device, "filter")
    caption_runs = () if isinstance(chosen, str) else chosen
    _refuse_absent(lake, shard.batch, caption_runs)
    lacking = reasons(lake, caption_runs, [shard])
    if lacking:
        return _aside(lake, run, shard, lacking[str(shard)], 1)
    captions: list[dict[str, Any]] = []
    try:
        captions = _chosen(lake, shard, chosen)
        images, texts = _embedded(lake, loaded, shard, captions, how)
    except LakeError as error:
        return _aside(lake, run, shard, str(error), len(captions))
    versions = {
        "torch": torch.__version__,
        "device": device,
        "selection": chosen if isinstance(chosen, str) else "",
        "model": loaded.name,
    }
    commit = _publish(lake, run, shard, vectors_table(captions, images, texts), started, versions)
    take_back(lake, run, shard)
    return commit


def _publish(  # which shard of what, and what is said of it
    lake: Lake, run: str, shard: Shard, table: pa.Table, started: float, versions: dict[str, str]
) -> Commit:
    """Write the vectors of a shard, then the record that makes it done."""
    path = lake.rows("vectors", run, shard)
    rows.write_rows(lake, path, table, ROWS_AT_ONCE)
    pictures, pairs = pc.count_distinct(table["key"]).as_py(), len(table)
    commit = lake.commit(
        STAGE,
        run,
        shard,
        files=[path],
        rows={"pictures": pictures, "vectors": pairs},
        seconds=time.monotonic() - started,
        versions=versions,
    )
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
        longest = min(how.max_length, model.shape.text.positions)
        ids, mask = loaded.tokenizer.encode(flat, longest, "cls")
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


def _aside(lake: Lake, run: str, shard: Shard, reason: str, failed: int) -> Commit:
    log.warning("shard %s is put aside: %s", shard, reason)
    return put_aside(lake, run, shard, reason, failed=failed)


def _refuse_absent(lake: Lake, batch: str, caption_runs: Sequence[str]) -> None:
    for name in caption_runs:
        if not lake.names(f"captions/{name}/{batch}", ".parquet"):
            known = ", ".join(lake.folders("captions")) or "none"
            raise LakeError(
                f"there are no captions of run {name} for batch {batch} in {lake.root} "
                f"(runs there: {known})"
            )


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
