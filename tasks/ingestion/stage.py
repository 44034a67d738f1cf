"""Ingestion: sources -> a plan -> shards of pictures, with one row for every planned candidate.

A batch is planned, ingested by `workers.ingest` and looked through for duplicates by
`duplicates.mark_duplicates`, in this order.
"""

import logging
from collections.abc import Iterator

from tasks.errors import InputError
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.sources import planning
from tasks.ingestion.sources.additional import AdditionalColumns
from tasks.ingestion.sources.archives import archive_candidates
from tasks.ingestion.sources.candidates import Candidate
from tasks.ingestion.sources.columns import Columns
from tasks.ingestion.sources.pages import page_candidates
from tasks.ingestion.sources.plans import plan_of
from tasks.ingestion.sources.retrying import failed_candidates
from tasks.ingestion.sources.tables import table_candidates
from tasks.storage import Lake, Shard

log = logging.getLogger(__name__)


def plan(lake: Lake, source: Source, how: Ingestion) -> list[Shard]:
    """Fix the candidates of a batch, once; a batch that is planned keeps its plan.

    Raises:
        InputError: a source cannot be read, holds no picture, or is not the one that the batch was
            planned from; nothing has been written.
    """
    if source.bbox_col and how.disable_all_reencoding:
        raise InputError(
            "bbox_col blurs parts of pictures and disable_all_reencoding keeps their bytes; choose "
            "one of the two"
        )
    if (existing := planning.existing_plan(lake, source)) is not None:
        log.info("batch %s is planned: %d shards", source.batch, len(existing))
        return existing
    if source.retry_of:
        entries = failed_candidates(lake, source.retry_of)
        carried = plan_of(lake, lake.planned(source.retry_of)[0]).additional
        return planning.write_plan(lake, source, entries, how, carried)
    additional = AdditionalColumns(source.carried)
    candidates = candidates_of(source, how, additional)
    return planning.plan_candidates(lake, source, candidates, how, additional)


def candidates_of(
    source: Source, how: Ingestion, additional: AdditionalColumns
) -> Iterator[Candidate]:
    """Yield the candidates of a source's pages, archives and tables, as they are read.

    Args:
        source: what is read.
        how: what may be used.
        additional: columns of tables that are carried along; told of the types that are met.

    Raises:
        InputError: a page, an archive or a table cannot be read.
    """
    yield from page_candidates(source, how)
    yield from archive_candidates(source.archives, how)
    columns = Columns(
        source.url_col, source.caption_col, source.hash_col, additional, source.bbox_col
    )
    for place in source.tables:
        yield from table_candidates(place, columns, source.input_format)
