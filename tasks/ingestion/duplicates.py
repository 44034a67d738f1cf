"""The duplicates of a batch: its pictures that repeat one of its own or of an earlier batch.

Marks are written once, with the batch that is marked. A batch is compared with those that were
marked before it, whose pictures are kept; what a later batch repeats is marked there. Human
captions are given for their pictures, so those pictures are compared within their batch alone: a
web crawl must not take pictures out of an evaluation. That they are found in the web again is for
the later of the two to say, or for selection, which compares what it selects with the evaluation's
pictures whichever came first (sql/selection/leakage.sql).
"""

import logging
import time

import pyarrow as pa

from tasks import rows
from tasks.database import Database
from tasks.errors import LakeError
from tasks.ingestion.dedup import COMPARED, LOOKED_AT, find_twins
from tasks.ingestion.settings import Ingestion
from tasks.ingestion.sources.planning import RUN, STAGE
from tasks.rows import TextSource
from tasks.storage import Commit, Lake, Shard

log = logging.getLogger(__name__)

DUPLICATES = "duplicates"


def mark_duplicates(lake: Lake, batch: str, how: Ingestion) -> Commit:  # noqa: ARG001  # the stage's form
    """Name the keeper of every picture of a batch that repeats another one.

    Returns:
        The commit, whose rows count the batch's `pictures` and the `duplicates` among them.

    Raises:
        LakeError: the batch is not planned, or a shard of it is not ingested.
    """
    shard = _shard(batch)
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
    earlier = batches_before(lake, batch)
    with Database() as database:
        _load(database, lake, [*earlier, batch])
        twins = find_twins(database)
        pictures = database.rows("duplicates/counts")[0]["new_pictures"]
    relative = lake.rows(DUPLICATES, RUN, shard)
    rows.write_rows(lake, relative, twins)
    across = sum(keeper != batch for keeper in twins["keeper_batch"].to_pylist())
    log.info(
        "batch %s: %d of %d pictures repeat another, %d of them one of %d earlier batches",
        *(batch, len(twins), pictures, across, len(earlier)),
    )
    return lake.commit(
        DUPLICATES,
        RUN,
        shard,
        files=[relative],
        rows={"pictures": pictures, "duplicates": len(twins)},
        seconds=time.monotonic() - started,
        versions={"compared_with": " ".join(earlier)},
    )


def batches_before(lake: Lake, batch: str) -> list[str]:
    """Return the batches that a batch is compared with: none for a batch of human captions."""
    first = lake.rows("web", "", lake.planned(batch)[0])
    if TextSource.HUMAN in rows.read_rows(lake, first, ["source"])["source"].to_pylist():
        return []
    others = (one for one in lake.batches() if one != batch)
    return [one for one in others if lake.is_committed(DUPLICATES, RUN, _shard(one))]


def _load(database: Database, lake: Lake, batches: list[str]) -> None:
    """Make the tables that `find_twins` reads; the last of the batches is the new one."""
    *earlier, new = batches
    shards = [shard for one in batches for shard in lake.committed(STAGE, RUN, one)]
    pictures = [lake.rows("web", "", shard) for shard in shards]
    marks = [lake.rows(DUPLICATES, RUN, _shard(one)) for one in earlier]
    database.load("web", lake, pictures, LOOKED_AT, as_view=True)
    database.load("raw_mark", lake, marks, rows.DUPLICATES)
    order = [
        {"batch": one, "place": place, "is_new": one == new} for place, one in enumerate(batches)
    ]
    database.keep("compared", pa.Table.from_pylist(order, schema=COMPARED))


def _shard(batch: str) -> Shard:
    return Shard(batch, "00000")
