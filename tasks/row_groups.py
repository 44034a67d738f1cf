"""Parquet a few rows at a time: files larger than memory, on any file system of fsspec."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.rows import readable
from tasks.storage import Lake

# Column chunks are decoded through a buffer of this size instead of being read whole.
BUFFER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Footer:
    """What the end of a Parquet file says of it.

    Attributes:
        path: in the lake.
        group_rows: rows of each row group.
        schema: names and types of the columns.
        digest: sha256 of the footer, which holds the size, the least and the largest value of every
            column of every row group, and what the writer has said of the whole.
    """

    path: str
    group_rows: tuple[int, ...]
    schema: pa.Schema
    digest: str


def read_footer(lake: Lake, path: str) -> Footer:
    """Read the footer alone.

    Raises:
        LakeError: the file is missing or damaged.
    """
    with readable(lake, path) as file:
        found = pq.ParquetFile(file, pre_buffer=False)
        counts = tuple(
            found.metadata.row_group(n).num_rows for n in range(found.metadata.num_row_groups)
        )
        # Behind the footer stand its length, four bytes, and the magic "PAR1".
        file.seek(-8 - found.metadata.serialized_size, 2)
        digest = hashlib.sha256(file.read()).hexdigest()
        return Footer(path, counts, found.schema_arrow, digest)


def stream_rows(
    lake: Lake, path: str, group: int, columns: Sequence[str], at_once: int
) -> Iterator[pa.RecordBatch]:
    """Yield a row group's rows in order, at most `at_once` at a time, reading no more than that.

    Raises:
        LakeError: the file is missing or damaged.
    """
    with readable(lake, path) as file:
        found = pq.ParquetFile(file, pre_buffer=False, buffer_size=BUFFER_BYTES)
        yield from found.iter_batches(at_once, [group], list(columns), use_threads=False)
