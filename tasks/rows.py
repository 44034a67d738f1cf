"""The tables of the lake: their schemas, and the door to pyarrow.

A key is for ever: the first 20 hex digits of sha256 of the normalised URL. A caption's id is the
same of key, source, run and index, so ids never meet across runs.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import LakeError
from tasks.older import selected
from tasks.storage import Lake


class Outcome(StrEnum):
    """What became of a candidate; every attempted one has exactly one."""

    KEPT = "kept"
    BAD_URL = "bad_url"
    BAD_SCHEME = "bad_scheme"
    SSRF_BLOCKED = "ssrf_blocked"
    ROBOTS_TXT = "robots_txt"
    OPTED_OUT = "opted_out"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    CONNECTION_RESET = "connection_reset"
    PROTOCOL = "protocol"
    TOO_MANY_REDIRECTS = "too_many_redirects"
    HTTP_ERROR = "http_error"  # the row's http_status says which
    INCOMPLETE_BODY = "incomplete_body"
    EMPTY_BODY = "empty_body"
    TOO_LARGE = "too_large"
    HASH_MISMATCH = "hash_mismatch"
    NOT_AN_IMAGE = "not_an_image"
    UNKNOWN_FORMAT = "unknown_format"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_SMALL = "too_small"
    ASPECT_RATIO = "aspect_ratio"
    ANIMATED = "animated"


class TextSource(StrEnum):
    """Who wrote a caption."""

    WEB = "web"
    SYNTHETIC = "synthetic"
    HUMAN = "human"


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind) for name, kind in columns.items()])


TEXTS = pa.list_(
    pa.struct([("text", pa.string()), ("page_url", pa.string()), ("context", pa.string())])
)

PLANS = _schema(
    key=pa.string(),
    url=pa.string(),
    page_url=pa.string(),
    source=pa.string(),
    texts=TEXTS,
    expected_hash=pa.string(),
    body_path=pa.string(),
    body_offset=pa.int64(),
    boxes=pa.list_(pa.list_(pa.float64())),  # parts to blur: x_min, y_min, x_max, y_max
)

WEB = _schema(
    key=pa.string(),
    url=pa.string(),
    page_url=pa.string(),
    domain=pa.string(),
    source=pa.string(),
    batch=pa.string(),
    shard=pa.string(),
    caption=pa.string(),
    texts=TEXTS,
    outcome=pa.string(),
    status=pa.string(),
    error_message=pa.string(),
    http_status=pa.int16(),
    attempts=pa.int16(),
    final_url=pa.string(),
    fetched_at=pa.timestamp("ms", tz="UTC"),
    seconds=pa.float32(),
    bytes=pa.int64(),
    content_type=pa.string(),
    sha256=pa.string(),
    hash_matches=pa.bool_(),  # the hash that the table expected; null when it expected none
    format=pa.string(),
    mode=pa.string(),
    n_frames=pa.int32(),
    exif=pa.string(),
    original_width=pa.int32(),
    original_height=pa.int32(),
    width=pa.int32(),
    height=pa.int32(),
    tar_offset=pa.int64(),
    tar_size=pa.int64(),
    phash=pa.uint64(),
    dhash=pa.uint64(),
    trimmed_phash=pa.uint64(),
    trimmed_dhash=pa.uint64(),
    lap_var=pa.float32(),
    entropy=pa.float32(),
    bright_p1=pa.float32(),
    bright_p50=pa.float32(),
    bright_p99=pa.float32(),
    colorfulness=pa.float32(),
    flat_frac=pa.float32(),
    edge_frac=pa.float32(),
    axis_frac=pa.float32(),
)

DUPLICATES = _schema(
    key=pa.string(),
    keeper=pa.string(),
    keeper_batch=pa.string(),
    method=pa.string(),
    distance=pa.int16(),
)

CAPTIONS = _schema(
    caption_id=pa.string(),
    key=pa.string(),
    batch=pa.string(),
    shard=pa.string(),
    run=pa.string(),
    source=pa.string(),
    index=pa.int16(),
    text=pa.string(),
    context=pa.string(),
    model=pa.string(),
    decoding=pa.string(),
    seed=pa.int64(),
    lm_logprob=pa.float32(),
    n_tokens=pa.int16(),
    degenerate=pa.bool_(),
    n_chars=pa.int32(),
    n_words=pa.int32(),
    lang=pa.string(),
    lang_conf=pa.float32(),
    alpha_ratio=pa.float32(),
    digit_ratio=pa.float32(),
    special_ratio=pa.float32(),
    upper_ratio=pa.float32(),
    char_rep=pa.float32(),
    word_rep=pa.float32(),
    has_stop_phrase=pa.bool_(),
    is_filename=pa.bool_(),
    url_in_text=pa.bool_(),
    pii_flag=pa.bool_(),
    complexity=pa.int16(),
    text_norm_hash=pa.uint64(),
)

SCORES = _schema(
    caption_id=pa.string(),
    key=pa.string(),
    batch=pa.string(),
    shard=pa.string(),
    run=pa.string(),
    model=pa.string(),
    itc_cosine=pa.float32(),
    itm_probability=pa.float32(),
    rbm_pmi=pa.float32(),
    gaussian_pmi=pa.float32(),
    free_energy=pa.float32(),
    lm_part=pa.float32(),
    itm_part=pa.float32(),
    itc_part=pa.float32(),
    pmi_part=pa.float32(),
    rerank_score=pa.float32(),
    rerank_place=pa.int16(),
)

SELECTIONS = _schema(key=pa.string(), caption_id=pa.string(), text=pa.string(), source=pa.string())

DECISIONS = _schema(
    caption_id=pa.string(),
    key=pa.string(),
    batch=pa.string(),
    shard=pa.string(),
    selection=pa.string(),
    rule=pa.string(),
    version=pa.int32(),
    reason=pa.string(),
    signal=pa.string(),
    value=pa.float64(),
    threshold=pa.float64(),
    order=pa.int16(),
    verdict=pa.string(),
)

TRUTH = _schema(
    url=pa.string(),
    key=pa.string(),
    text=pa.string(),
    right_text=pa.string(),
    noise=pa.string(),
    is_noise=pa.bool_(),
)


def key_of(normalised_url: str) -> str:
    """Return the first 20 hex digits of sha256(normalised URL)."""
    return hashlib.sha256(normalised_url.encode()).hexdigest()[:20]


def caption_id_of(key: str, source: str, run: str, index: int) -> str:
    """Return the id of the `index`-th text that `run` gave this image from this source."""
    return hashlib.sha256(f"{key}\0{source}\0{run}\0{index}".encode()).hexdigest()[:20]


def table_of(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Build a table; a column a row lacks is null, a column the schema lacks is an error.

    Raises:
        KeyError: a row has a column that the schema does not know.
    """
    listed = list(rows)
    unknown = {name for row in listed for name in row} - set(schema.names)
    if unknown:
        raise KeyError(f"columns {sorted(unknown)} are not in the schema {schema.names}")
    return pa.Table.from_pylist([dict(row) for row in listed], schema=schema)


def write_rows(
    lake: Lake, relative: str, table: pa.Table, group: int | None = None, **how: Any
) -> None:
    """Publish a Parquet file (zstd) whole or not at all, in row groups of at most `group` rows."""
    with lake.publishing(relative) as temporary:  # `how` is for pyarrow.parquet.write_table
        pq.write_table(table, temporary, group, compression="zstd", **how)


def read_rows(lake: Lake, relative: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read one Parquet file; what an older lake lacks is null.

    Raises:
        LakeError: it is missing or damaged; names the file and what to do.
    """
    with readable(lake, relative) as file:
        # On this thread: a thread of pyarrow's that lets go of a Python file while the
        # interpreter ends aborts the process, after all has been done and said.
        table = pq.ParquetFile(file, pre_buffer=False).read(
            list(columns) if columns else None, use_threads=False
        )
        return selected(table, columns) if columns else table


@contextlib.contextmanager
def readable(lake: Lake, relative: str) -> Iterator[Any]:
    """Open a Parquet file for reading, and say in one line when it cannot be read.

    Raises:
        LakeError: it is missing or damaged; names the file and what to do.
    """
    try:
        with lake.fs.open(lake.path(relative), "rb") as file:
            yield file
    except FileNotFoundError as error:
        raise LakeError(
            f"{relative} is missing in {lake.root}; run the stage that writes it first"
        ) from error
    except (pa.ArrowInvalid, KeyError, OSError) as error:
        # Of a page that cannot be decompressed Arrow says so by a bare OSError; those of disks and
        # networks have a number or a type of their own, and may pass by themselves.
        if isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None):
            raise
        raise LakeError(
            f"{relative} in {lake.root} is not a readable Parquet file ({error}); remove it with "
            "its commit record and run its stage again"
        ) from error


def read_all(lake: Lake, pattern: str, schema: pa.Schema) -> pa.Table:
    """Read every Parquet file that matches, in path order; an empty table when none does."""
    tables = [read_rows(lake, relative, schema.names) for relative in lake.glob(pattern)]
    return pa.concat_tables(tables) if tables else schema.empty_table()


def fingerprint(value: Any) -> str:
    """Return 12 hex digits that name a JSON-like value: settings, digests, versions."""
    canonical = json.dumps(value, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
