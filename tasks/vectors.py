"""Exported embeddings: their table, and how it is read back as pairs of image and text vectors."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks import rows
from tasks.errors import InputError, LakeError
from tasks.storage import Lake

log = logging.getLogger(__name__)

MAX_BAD_SHARE = 0.01
KEY_BUCKETS = 1000


def vectors_schema(width: int) -> pa.Schema:
    """Embeddings of one model: key, caption, and two unit vectors of `width` floats."""
    vector = pa.list_(pa.float32(), width)
    return pa.schema(
        {
            "key": pa.string(),
            "caption_id": pa.string(),
            "image_embedding": vector,
            "text_embedding": vector,
        }
    )


def vectors_table(
    captions: Sequence[Mapping[str, Any]], images: NDArray[np.float32], texts: NDArray[np.float32]
) -> pa.Table:
    """Build a `vectors_schema` table without a Python object a number.

    Args:
        captions: N rows with key and caption_id.
        images: float32 (N, E).
        texts: float32 (N, E).
    """
    names = [pa.array([row[n] for row in captions], pa.string()) for n in ("key", "caption_id")]
    vectors = [
        pa.FixedSizeListArray.from_arrays(pa.array(side.reshape(-1)), side.shape[1])
        for side in (images, texts)
    ]
    return pa.Table.from_arrays([*names, *vectors], schema=vectors_schema(images.shape[1]))


def read_vectors(
    lake: Lake, vector_run: str, batches: Sequence[str]
) -> tuple[Tensor, list[str], int]:
    """Return the pairs (N, 2 d) with finite values, their keys, and how many were dropped.

    Raises:
        LakeError: a batch has no vectors.
        InputError: shards are of several widths, or too many vectors are not finite.
    """
    found = {b: lake.glob(f"vectors/{vector_run}/{b}/*.parquet") for b in batches}
    missing = [batch for batch, paths in found.items() if not paths]
    read = {path: rows.read_rows(lake, path) for paths in found.values() for path in paths}
    tables = {path: table for path, table in read.items() if len(table)}
    if missing or not tables:
        raise LakeError(
            f"there are no vectors of {vector_run} for {', '.join(missing or batches)} in "
            f"{lake.root}; run embedding first"
        )
    parts = {path: pairs_of(table) for path, table in tables.items()}
    widths = {part.shape[1] // 2: path for path, part in parts.items()}
    if len(widths) > 1:
        told = ", ".join(f"{width} wide in {path}" for width, path in sorted(widths.items()))
        raise InputError(
            f"the vectors of {vector_run} are of several models: {told}; embed all with one"
        )
    pairs = torch.cat(list(parts.values()))
    keys = [key for table in tables.values() for key in table["key"].to_pylist()]
    whole = torch.isfinite(pairs).all(1)
    dropped = int((~whole).sum())
    if dropped > MAX_BAD_SHARE * len(pairs):
        raise InputError(
            f"{dropped} of {len(pairs)} vectors of {vector_run} hold NaN or infinite values; the "
            "model that wrote them is broken: embed again with another"
        )
    if dropped:
        log.warning("dropped %d of %d vectors that are not finite", dropped, len(pairs))
    return pairs[whole], [k for k, good in zip(keys, whole.tolist(), strict=True) if good], dropped


def pairs_of(table: Any) -> Tensor:
    """Return image and text vectors side by side, float64 (N, 2 d)."""
    parts = []
    for name in ("image_embedding", "text_embedding"):
        column = table[name].combine_chunks()
        values = column.flatten().to_numpy(zero_copy_only=False)
        # The width is the column's, not -1: a shard of which nothing was kept has no rows.
        shaped = values.reshape(len(table), column.type.list_size)
        parts.append(torch.from_numpy(shaped.astype(np.float64)))
    return torch.cat(parts, 1)


def held_out(keys: Sequence[str], share: float) -> Tensor:
    """Say of each row, by its picture's key alone, whether it is kept for validation."""
    places = [int(key[:12], 16) % KEY_BUCKETS for key in keys]
    return torch.tensor([place < share * KEY_BUCKETS for place in places])
