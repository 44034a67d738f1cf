"""A second chance for what failed and may pass: a batch of its own, whose shards are new ones.

The first batch keeps its rows: what is committed is never written again. A candidate is retried
when its outcome was the network's or the server's doing of that moment.
"""

import itertools

from tasks import rows
from tasks.errors import InputError
from tasks.ingestion.fetching.failures import PASSING, PASSING_STATUSES
from tasks.ingestion.settings import Source
from tasks.ingestion.sources.planning import RUN, STAGE, Planned
from tasks.ingestion.sources.plans import read_plan
from tasks.rows import Outcome
from tasks.storage import Lake

RETRIED = PASSING | {Outcome.TIMEOUT, Outcome.TRUNCATED}


def failed_candidates(lake: Lake, batch: str) -> list[Planned]:
    """Return the candidates of a batch whose failure may pass, in the order of their keys.

    What an earlier retry has brought is left out.

    Raises:
        InputError: the batch is not finished, or nothing of it is worth another try.
        LakeError: the batch is not planned.
    """
    planned = lake.planned(batch)
    if missing := len(planned) - len(lake.committed(STAGE, RUN, batch)):
        raise InputError(
            f"{missing} of {len(planned)} shards of batch {batch!r} are not ingested yet; run "
            "ingestion on it again before its failures are retried"
        )
    failed: set[str] = set()
    for name in (batch, *_retries(lake, batch)):
        for shard in lake.committed(STAGE, RUN, name):
            relative = lake.rows("web", "", shard)
            for row in rows.read_rows(
                lake, relative, ["key", "outcome", "http_status"]
            ).to_pylist():
                (failed.add if _may_pass(row) else failed.discard)(row["key"])
    if not failed:
        raise InputError(f"no candidate of batch {batch!r} failed in a way that may pass")
    return [e for shard in planned for e in read_plan(lake, shard) if e.key in failed]


def retry_source(lake: Lake, batch: str) -> Source:
    """Return the source of a batch's next retry: the one that is not finished, or a new one.

    Raises:
        LakeError: the batch is not planned.
    """
    lake.planned(batch)
    kind = lake.read_json(lake.plan_record(batch))["source"]["kind"]
    retries = _retries(lake, batch)
    unfinished = [
        name for name in retries if len(lake.committed(STAGE, RUN, name)) < len(lake.planned(name))
    ]
    name = (*unfinished, f"{batch}-retry{len(retries) + 1}")[0]
    return Source(batch=name, retry_of=batch, kind=kind)


def _retries(lake: Lake, batch: str) -> list[str]:
    """Return the planned retries of a batch, the earliest first."""
    names = (f"{batch}-retry{number}" for number in itertools.count(1))
    return list(itertools.takewhile(lambda name: lake.exists(lake.plan_record(name)), names))


def _may_pass(row: dict[str, object]) -> bool:
    if row["outcome"] == Outcome.HTTP_ERROR:
        return row["http_status"] in PASSING_STATUSES
    return row["outcome"] in RETRIED
