"""Exported embeddings: their table, and how it is read back as pairs of image and text vectors.

Files may together be larger than memory: `VectorFiles` reads them a piece at a time.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.errors import InputError, LakeError
from tasks.row_groups import Footer, read_footer, stream_rows
from tasks.rows import fingerprint
from tasks.storage import Lake

SIDES = ("image_embedding", "text_embedding")
ROWS_AT_ONCE = 4096
KEY_BUCKETS = 1000
KEY = re.compile("[0-9a-f]{20}")


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
    # In the footer, so that who reads it alone knows that no number has changed.
    digest = hashlib.sha256(images.tobytes() + texts.tobytes()).hexdigest()
    schema = vectors_schema(images.shape[1]).with_metadata({"vectors_sha256": digest})
    return pa.Table.from_arrays([*names, *vectors], schema=schema)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of one file: their pairs, float32 (N, 2 E), and their pictures' keys."""

    path: str
    pairs: Tensor
    keys: list[str]


@dataclass(frozen=True, slots=True)
class VectorFiles:
    """The vectors of some batches as they lie in the lake, in the order of batches and shards.

    Attributes:
        lake: where they lie.
        run: of the vectors.
        groups: path and number of every row group that has rows.
        group_rows: how many rows each has.
        width: E, of one vector.
        digest: of all footers; changes when rows are written anew.
    """

    lake: Lake
    run: str
    groups: tuple[tuple[str, int], ...]
    group_rows: tuple[int, ...]
    width: int
    digest: str

    def pieces(self, group: int, columns: Sequence[str] = ("key", *SIDES)) -> Iterator[Piece]:
        """Yield the rows of the `group`-th row group in order, a few thousand at a time.

        Args:
            group: place in `groups`.
            columns: without "key" the pieces have no keys.

        Raises:
            LakeError: the file is missing or damaged.
        """
        path, number = self.groups[group]
        for batch in stream_rows(self.lake, path, number, columns, ROWS_AT_ONCE):
            keys = batch.column("key").to_pylist() if "key" in columns else []
            yield Piece(path, torch.cat([_side(batch.column(name)) for name in SIDES], 1), keys)


def open_vectors(lake: Lake, vector_run: str, batches: Sequence[str]) -> VectorFiles:
    """Find the vectors of these batches, reading their footers alone.

    Raises:
        LakeError: a batch has no vectors, or a file is damaged.
        InputError: a column is no vector, or shards are of several widths.
    """
    found = {b: lake.glob(f"vectors/{vector_run}/{b}/*.parquet") for b in batches}
    missing = [batch for batch, paths in found.items() if not paths]
    footers = [read_footer(lake, path) for paths in found.values() for path in paths]
    used = [footer for footer in footers if sum(footer.group_rows)]
    if missing or not used:
        raise LakeError(
            f"there are no vectors of {vector_run} for {', '.join(missing or batches)} in "
            f"{lake.root}; run embedding first"
        )
    widths = {_width(footer): footer.path for footer in used}
    if len(widths) > 1:
        told = ", ".join(f"{width} wide in {path}" for width, path in sorted(widths.items()))
        raise InputError(
            f"the vectors of {vector_run} are of several models: {told}; embed all with one"
        )
    groups = [(f.path, nth, count) for f in used for nth, count in enumerate(f.group_rows) if count]
    return VectorFiles(
        lake,
        vector_run,
        groups=tuple((path, nth) for path, nth, _ in groups),
        group_rows=tuple(count for _, _, count in groups),
        width=next(iter(widths)),
        digest=fingerprint([(footer.path, footer.digest) for footer in footers]),
    )


def read_vectors(
    lake: Lake, vector_run: str, batches: Sequence[str]
) -> tuple[Tensor, list[str], int]:
    """Read all that is finite at once: pairs float64 (N, 2 E), keys, and how many were left out.

    Raises:
        LakeError: a batch has no vectors.
        InputError: they are of several models.
    """
    files = open_vectors(lake, vector_run, batches)
    pieces = [piece for group in range(len(files.groups)) for piece in files.pieces(group)]
    pairs = torch.cat([piece.pairs for piece in pieces]).double()
    whole = torch.isfinite(pairs).all(1)
    keys = [key for piece in pieces for key in piece.keys]
    kept = [key for key, good in zip(keys, whole.tolist(), strict=True) if good]
    return pairs[whole], kept, int((~whole).sum())


def embedded_by(lake: Lake, vector_run: str, batches: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the models that made these vectors; empty where no record says so.

    One record a batch is read: the name of a run covers its model.
    """
    firsts = [shard for b in batches for shard in lake.committed("embedding", vector_run, b)[:1]]
    told = (lake.commit_of("embedding", vector_run, one).versions.get("model") for one in firsts)
    return tuple(sorted({name for name in told if name}))


def weights_of(names: Iterable[str]) -> set[str]:
    """Return the digits of the weights behind models' names: one model has several addresses."""
    return {name.rpartition("#")[2] for name in names}


def _width(footer: Footer) -> int:
    """Return E as the file's schema has it."""
    if footer.schema.get_field_index("key") < 0:
        raise InputError(f"key of {footer.path} is missing, so no picture can be held out by it")
    widths = []
    for name in SIDES:
        place = footer.schema.get_field_index(name)
        kind = footer.schema.field(place).type if place >= 0 else pa.null()
        if not pa.types.is_fixed_size_list(kind) or not pa.types.is_floating(kind.value_type):
            told = kind if place >= 0 else "missing"
            raise InputError(
                f"{name} of {footer.path} is {told}, wanted is a fixed-size list of floats; embed "
                "with this version, or write the column as one"
            )
        widths.append(int(kind.list_size))
    if len(set(widths)) > 1:
        raise InputError(
            f"{footer.path} has image vectors of {widths[0]} columns and text vectors of "
            f"{widths[1]}; both come from one model and are as wide"
        )
    return widths[0]


def _side(column: Any) -> Tensor:
    """Return a column of vectors as float32 (N, E)."""
    values = column.flatten().to_numpy(zero_copy_only=False)
    # The width is the column's, not -1: a shard of which nothing was kept has no rows.
    shaped = values.reshape(len(column), column.type.list_size)
    return torch.from_numpy(shaped.astype(np.float32))


def pairs_of(table: Any) -> Tensor:
    """Return image and text vectors side by side, float64 (N, 2 E)."""
    sides = [_side(table[name].combine_chunks()) for name in SIDES]
    return torch.cat(sides, 1).double()


def held_out(keys: Sequence[str], share: float) -> Tensor:
    """Say of each row, by its picture's key alone, whether it is kept from training.

    Raises:
        InputError: a key is not 20 hex digits.
    """
    wrong = [key for key in keys if not KEY.fullmatch(str(key))][:1]
    if wrong:
        raise InputError(
            f"{wrong[0]!r} is no picture's key, which has 20 hex digits: write keys as "
            "tasks.rows.key_of makes them of an address"
        )
    places = [int(key[:12], 16) % KEY_BUCKETS for key in keys]
    return torch.tensor([place < share * KEY_BUCKETS for place in places], dtype=torch.bool)
