"""Shards that an outage spoilt (gate G2): put aside, so that no selection reads what came of them.

    commits/quarantine/ingestion/<batch>/<shard>.json   how little came, and that it was G2

Their candidates are asked for again by a retry of the batch. When enough of them have come, in the
retry or in the shard itself, the next check takes the shard back; so does an override of G2.
"""

import logging

from tasks.aside import put_aside, take_back
from tasks.catalogue.verdicts import Check
from tasks.database import Database
from tasks.selection_inputs import INGESTED
from tasks.storage import Lake, Shard

log = logging.getLogger(__name__)

GATE = "G2"


def keep_apart(lake: Lake, database: Database, asked: Check) -> None:
    """Put the shards aside that G2 fails, and take back those that have come since.

    Args:
        lake: where the records lie.
        database: an open catalogue with the tables the gates are measured on.
        asked: the check; when it overrides G2, nothing of its batches stays aside.
    """
    is_overridden = GATE in {one.gate for one in asked.overrides}
    if is_overridden:
        for row in database.rows("gates/shards_aside"):
            _take_back(lake, Shard(row["batch"], row["shard"]))
        return
    for row in database.rows("gates/shard_fetches"):
        shard = Shard(row["batch"], row["shard"])
        if row["is_aside"]:
            _take_back(lake, shard)
        else:
            _put_aside(lake, shard, row["n"], row["share"])


def _put_aside(lake: Lake, shard: Shard, n: int, share: float) -> None:
    reason = f"{GATE}: {share:.3g} of {n} candidates were fetched"
    put_aside(lake, INGESTED, shard, reason, failed=n - round(share * n))
    log.warning(
        "shard %s is put aside (%s), so no selection reads it; fetch what failed again: "
        "python -m tasks.ingestion --retry-failed --batch %s %s",
        *(shard, reason, shard.batch, lake.root),
    )


def _take_back(lake: Lake, shard: Shard) -> None:
    if take_back(lake, INGESTED, shard):
        log.info("shard %s is taken back", shard)
