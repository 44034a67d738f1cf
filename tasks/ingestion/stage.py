"""Ingestion: sources -> a plan -> shards of pictures, with one row for every planned candidate.

A batch is planned, ingested by `workers.ingest` and looked through for duplicates, in this order.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import asdict

from tasks import rows
from tasks.errors import LakeError
from tasks.ingestion import planning
from tasks.ingestion.candidates import Candidate
from tasks.ingestion.dedup import twins_of
from tasks.ingestion.pages import page_candidates
from tasks.ingestion.recording import RUN, STAGE
from tasks.ingestion.retrying import failed_candidates
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.tables import Columns, table_candidates
from tasks.ingestion.warc import archive_candidates
from tasks.rows import Outcome
from tasks.storage import Commit, Lake, Shard

log = logging.getLogger(__name__)

DUPLICATES = "duplicates"


def plan(lake: Lake, source: Source, how: Ingestion) -> list[Shard]:
    """Fix the candidates of a batch, once; a batch that is planned keeps its plan.

    Raises:
        InputError: a source cannot be read, holds no picture, or is not the one that the batch was
            planned from; nothing has been written.
    """
    if (existing := planning.existing_plan(lake, source)) is not None:
        log.info("batch %s is planned: %d shards", source.batch, len(existing))
        return existing
    if source.retry_of:
        entries = failed_candidates(lake, source.retry_of)
        return planning.write_plan(lake, source, entries, how.shard_size)
    candidates = candidates_of(source, how)
    return planning.plan_candidates(lake, source, candidates, how.shard_size)


def candidates_of(source: Source, how: Ingestion) -> Iterator[Candidate]:
    """Yield the candidates of a source's pages, archives and tables, as they are read.

    Raises:
        InputError: a page, an archive or a table cannot be read.
    """
    yield from page_candidates(source, how)
    for place in source.archives:
        yield from archive_candidates(place, how)
    columns = Columns(url=source.url_col, caption=source.caption_col, hash=source.hash_col)
    for place in source.tables:
        yield from table_candidates(place, columns)


def mark_duplicates(lake: Lake, batch: str, how: Ingestion) -> Commit:  # noqa: ARG001  # the stage's form
    """Name the keeper of every picture of a batch that repeats another one.

    Raises:
        LakeError: the batch is not planned, or a shard of it is not ingested.
    """
    shard = Shard(batch, "00000")
    if lake.is_committed(DUPLICATES, RUN, shard):
        return lake.commit_of(DUPLICATES, RUN, shard)
    planned = lake.planned(batch)
    missing = set(planned) - set(lake.committed(STAGE, RUN, batch))
    if missing:  # of a shard that is being redone, other pictures may be kept than lie there now
        raise LakeError(
            f"{len(missing)} of {len(planned)} shards of batch {batch} are not ingested yet "
            f"({min(missing)} is the first); run ingestion on it again"
        )
    started = time.monotonic()
    columns = ["key", "outcome", "sha256", "phash", "dhash", "entropy", "flat_frac"]
    columns += ["original_width", "original_height"]
    pictures = [
        row
        for one in planned
        for row in rows.read_rows(lake, lake.rows("web", "", one), columns).to_pylist()
        if row["outcome"] == Outcome.KEPT
    ]
    twins = twins_of(pictures)
    relative = lake.rows("duplicates", RUN, shard)
    rows.write_rows(lake, relative, rows.table_of(map(asdict, twins), rows.DUPLICATES))
    log.info("batch %s: %d of %d pictures repeat another", batch, len(twins), len(pictures))
    return lake.commit(
        DUPLICATES,
        RUN,
        shard,
        files=[relative],
        rows={"pictures": len(pictures), "duplicates": len(twins)},
        seconds=time.monotonic() - started,
    )
