"""The plan of a batch: which candidates are in which shard, fixed before anything is fetched.

One row for every address, its texts merged, in the order of the keys: so the same candidates give
the same shards whatever order the pages were read in, and a rerun sees what the first run saw.
Memory does not grow with the candidates: they are sorted on disk.
"""

import contextlib
import itertools
import json
import logging
import pickle
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tasks import rows
from tasks.disk import writable
from tasks.errors import InputError
from tasks.ingestion.pictures.blurring import Box
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.sources.additional import AdditionalColumns, read_as
from tasks.ingestion.sources.candidates import Candidate
from tasks.ingestion.sources.spilling import Row, in_key_order
from tasks.ingestion.sources.urls import BadUrlError, normalise
from tasks.storage import Lake, Shard

log = logging.getLogger(__name__)

STAGE = "ingestion"
RUN = "ingestion"  # its captions are the web's and the humans' own texts
MAX_TEXTS = 1000  # of one address: a logo has another alt on each of a million pages


@dataclass(slots=True)
class Planned:
    """One address with every text that any page gave its picture.

    Attributes:
        key: of the address.
        url: in its one spelling, or as it was given when it is no address.
        page_url: the first page that shows it.
        expected_hash: hex digits of the body's md5, sha1, sha256 or sha512, or empty.
        texts: each text with the page that gave it and what stood around it there.
        body_path: the WARC in which the body lies, or empty.
        body_offset: of the body's record in it, in bytes.
        additional: the columns that are carried along, of the first row of a table.
        boxes: parts of the picture that are blurred, of all rows.
    """

    key: str
    url: str
    page_url: str
    expected_hash: str = ""
    texts: dict[str, tuple[str, str]] = field(default_factory=dict)
    body_path: str = ""
    body_offset: int = 0
    additional: dict[str, Any] = field(default_factory=dict)
    boxes: list[Box] = field(default_factory=list)


def plan_candidates(
    lake: Lake,
    source: Source,
    candidates: Iterable[Candidate],
    how: Ingestion,
    additional: AdditionalColumns | None = None,
) -> list[Shard]:
    """Publish the plan of a batch from its candidates as they are found.

    Args:
        lake: where to.
        source: what the candidates come from.
        candidates: in any order.
        how: entries a shard, and digits of its name.
        additional: columns that the candidates carry; their types are known when all are found.

    Raises:
        InputError: there is nothing to plan, or what `candidates` raises; nothing is written then.
        LakeError: the lake cannot be written or its disk is full.
    """
    with _scratch(lake, source.batch) as folder:
        return write_plan(lake, source, merged(candidates, folder), how, additional)


@contextlib.contextmanager
def _scratch(lake: Lake, batch: str) -> Iterator[Path]:
    """Give an empty folder, beside the plans where they are local; what a kill left there goes."""
    if not lake.is_local:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
        return
    folder_here = lake.local_path(f".planning-{batch}")
    shutil.rmtree(folder_here, ignore_errors=True)
    with writable(lake.root):
        folder_here.mkdir(parents=True)
    try:
        yield folder_here
    finally:
        shutil.rmtree(folder_here, ignore_errors=True)


def merged(candidates: Iterable[Candidate], folder: Path) -> Iterator[Planned]:
    """Yield one entry for every address, in the order of keys; equal texts count once.

    What is said of an address first holds: the page, the hash, the place of the body, and of the
    additional columns the first row that has any, whole. What any row wants blurred is blurred.

    Args:
        candidates: in the order they were found.
        folder: an empty one for what does not fit in memory.
    """
    in_order = in_key_order(map(_sortable, candidates), folder)
    for key, of_one in itertools.groupby(in_order, key=lambda row: row[0]):
        yield _entry(key, of_one)


def _sortable(candidate: Candidate) -> Row:
    url = spelled(candidate.url)
    return (
        rows.key_of(url),
        url,
        candidate.text,
        candidate.page_url,
        candidate.context,
        candidate.expected_hash,
        candidate.body_path,
        str(candidate.body_offset),
        pickle.dumps((candidate.additional, candidate.boxes)) if candidate.additional else b"",
    )


def _entry(key: str, of_one: Iterator[Row]) -> Planned:
    entry: Planned | None = None
    for _, url, text, page_url, context, expected_hash, body_path, body_offset, more in of_one:
        if entry is None:
            entry = Planned(key, url, page_url)
        entry.page_url = entry.page_url or page_url
        entry.expected_hash = entry.expected_hash or expected_hash
        if body_path and not entry.body_path:
            entry.body_path, entry.body_offset = body_path, int(body_offset)
        if more:
            additional, boxes = pickle.loads(more)
            entry.additional = entry.additional or additional
            entry.boxes += [box for box in boxes if box not in entry.boxes]
        if text and len(entry.texts) < MAX_TEXTS:
            entry.texts.setdefault(text, (page_url, context))
    assert entry is not None
    if len(entry.texts) == MAX_TEXTS:
        log.warning("%s has %d texts or more; the first are planned", entry.url[:200], MAX_TEXTS)
    return entry


def write_plan(
    lake: Lake,
    source: Source,
    entries: Iterable[Planned],
    how: Ingestion,
    additional: AdditionalColumns | None = None,
) -> list[Shard]:
    """Publish the plan of a batch; its record comes last and makes it whole.

    Args:
        lake: where to.
        source: what the entries came from.
        entries: in the order of keys; they may come one by one.
        how: entries a shard, and digits of its name.
        additional: columns that the entries carry; asked for their types after the first entry.

    Raises:
        InputError: there is nothing to plan, or a column has values of several kinds.
    """
    batch = source.batch
    columns = additional or AdditionalColumns()
    waiting = iter(entries)
    count = 0
    for number in itertools.count():
        some = list(itertools.islice(waiting, how.shard_size))
        if not some:
            break
        count += len(some)
        kinds = columns.schema()
        listed = [_row(entry, source.kind) | _typed(entry.additional, kinds) for entry in some]
        relative = lake.rows("plans", "", Shard(batch, f"{number:0{how.oom_shard_count}d}"))
        rows.write_rows(lake, relative, rows.table_of(listed, columns.beside(rows.PLANS)))
    if not count:
        raise InputError(f"batch {batch!r} would be empty: its sources hold no picture at all")
    record = {
        "batch": batch,
        "candidates": count,
        "shards": number,
        "digits": how.oom_shard_count,
        "source": asdict(source),
    }
    lake.publish_json(lake.plan_record(batch), record)
    log.info("planned %s: %d candidates in %d shards", batch, count, number)
    return lake.planned(batch)


def existing_plan(lake: Lake, source: Source) -> list[Shard] | None:
    """Return the shards of a batch that is planned already, or None when it is not.

    Raises:
        InputError: it was planned from other sources than these.
    """
    record = lake.plan_record(source.batch)
    if not lake.exists(record):
        return None
    # A plan of the time before a setting came to be was made as its default says.
    usual = {f.name: f.default for f in fields(source) if f.default is not MISSING}
    before = json.loads(json.dumps(usual)) | lake.read_json(record)["source"]
    now = json.loads(json.dumps(asdict(source)))
    if differing := [name for name in now if now[name] != before.get(name)]:
        said = "; ".join(f"{n} {before.get(n)!r} there, {now[n]!r} now" for n in differing)
        raise InputError(
            f"batch {source.batch!r} of {lake.root} was planned from another source ({said:.300}) "
            "and keeps that plan; give this source another batch name or another lake"
        )
    return lake.planned(source.batch)


def candidates_left(lake: Lake, batch: str) -> int:
    """Return how many candidates of a planned batch have no committed row yet."""
    planned = int(lake.read_json(lake.plan_record(batch))["candidates"])
    done = lake.committed(STAGE, RUN, batch)
    return planned - sum(lake.commit_of(STAGE, RUN, shard).rows["planned"] for shard in done)


def spelled(url: str) -> str:
    """Return an address in its one spelling, or as it was given when it is none."""
    try:
        return normalise(url)
    except BadUrlError:
        return url  # its row will say bad_url or bad_scheme; its key is of the text as given


def _row(entry: Planned, kind: str) -> dict[str, object]:
    return {
        "key": entry.key,
        "url": entry.url,
        "page_url": entry.page_url,
        "source": kind,
        "texts": texts_of(entry),
        "expected_hash": entry.expected_hash,
        "body_path": entry.body_path or None,
        "body_offset": entry.body_offset if entry.body_path else None,
        "boxes": entry.boxes or None,
    }


def _typed(additional: dict[str, Any], kinds: Any) -> dict[str, Any]:
    return {name: read_as(value, kinds.field(name).type) for name, value in additional.items()}


def texts_of(entry: Planned) -> list[dict[str, str]]:
    """Return an entry's texts as the rows hold them, in the order they were found."""
    return [
        {"text": text, "page_url": page_url, "context": context}
        for text, (page_url, context) in entry.texts.items()
    ]
