"""What a batch would take, estimated from a few of its candidates before anything is stored."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tasks import rows
from tasks.errors import InputError
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.sources import planning
from tasks.ingestion.sources.additional import AdditionalColumns
from tasks.ingestion.sources.candidates import Candidate
from tasks.ingestion.stage import candidates_of
from tasks.ingestion.summary import Summary
from tasks.storage import Lake, Shard


@dataclass(frozen=True, slots=True)
class Sampled:
    """The plan of a sample, and how many candidates it stands for."""

    shards: list[Shard]
    candidates: int


def sampled(lake: Lake, source: Source, how: Ingestion, size: int) -> Sampled:
    """Plan about `size` candidates of a source into a lake of their own.

    Those with the smallest keys: a key is a hash, so they are a fair sample, the same each time.

    Raises:
        InputError: the source cannot be read or holds no picture, or `size` is below 1.
    """
    if size < 1:
        raise InputError(f"a sample is 1 candidate or more, not {size}")
    count = 0
    additional = AdditionalColumns(source.carried)

    def counted() -> Iterator[Candidate]:
        nonlocal count
        for candidate in candidates_of(source, how, additional):
            count += 1
            yield candidate

    some = heapq.nsmallest(size, counted(), key=lambda one: rows.key_of(planning.spelled(one.url)))
    shards = planning.plan_candidates(lake, source, some, how, additional)
    return Sampled(shards, count)


def estimate(summary: Summary, candidates: int) -> dict[str, Any]:
    """Return what all candidates would take, in proportion to the sample.

    Args:
        summary: of the sample.
        candidates: what it was drawn from.
    """
    factor = candidates / max(1, summary.planned)
    return {
        "candidates": candidates,
        "sampled": summary.planned,
        "success_rate": round(summary.kept / max(1, summary.planned), 4),
        "kept": round(summary.kept * factor),
        "bytes_stored": round(summary.bytes_stored * factor),
        "hours": round(summary.seconds * factor / 3600, 3),
    }
