"""Ingestion: sources -> a plan -> shards of pictures, with one row for every planned candidate.

A batch is planned, ingested by `workers.ingest` and looked through for duplicates by
`duplicates.mark_duplicates`, in this order.
"""

import logging
from collections.abc import Iterator

from tasks.ingestion import planning
from tasks.ingestion.candidates import Candidate
from tasks.ingestion.pages import page_candidates
from tasks.ingestion.retrying import failed_candidates
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.tables import Columns, table_candidates
from tasks.ingestion.warc import archive_candidates
from tasks.storage import Lake, Shard

log = logging.getLogger(__name__)


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
