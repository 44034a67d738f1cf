"""How many texts of each source a filter accepts: the numbers by which its health is watched.

Of the synthetic texts BLIP's filter rejected 19 to 25 in a hundred; only 8 where captioner and
filter shared weights, and the model that followed was worse (BLIP, tables 2 and 4).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tasks import rows
from tasks.storage import Lake, Shard

SCORING = "scoring"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The texts of one source: how many were judged, and how many the filter accepts."""

    judged: int
    accepted: int

    @property
    def share(self) -> float:
        """The share that is accepted; 0 of nothing."""
        return self.accepted / self.judged if self.judged else 0.0


def accepted_of_shard(
    lake: Lake, shard: Shard, caption_runs: Sequence[str], score_run: str, threshold: float
) -> dict[str, Accepted]:
    """Count the texts of each source in a scored shard.

    Args:
        lake: where captions and scores lie.
        shard: one that is scored.
        caption_runs: "ingestion", and the captioners' runs.
        score_run: the filter's.
        threshold: an ITM probability of at least so much accepts a text.
    """
    source_of: dict[str, str] = {}
    for name in caption_runs:
        table = rows.read_rows(lake, lake.rows("captions", name, shard), ["caption_id", "source"])
        source_of |= dict(
            zip(table["caption_id"].to_pylist(), table["source"].to_pylist(), strict=True)
        )
    columns = ["caption_id", "itm_probability"]
    scores = rows.read_rows(lake, lake.rows("scores", score_run, shard), columns)
    judged: Counter[str] = Counter()
    accepted: Counter[str] = Counter()
    found = zip(
        scores["caption_id"].to_pylist(), scores["itm_probability"].to_pylist(), strict=True
    )
    for caption, probability in found:
        if caption in source_of and probability is not None:
            judged[source_of[caption]] += 1
            accepted[source_of[caption]] += probability >= threshold
    return {source: Accepted(judged[source], accepted[source]) for source in sorted(judged)}


def summed(counts: Iterable[dict[str, Accepted]]) -> dict[str, Accepted]:
    """Add up the counts of several shards."""
    judged: Counter[str] = Counter()
    accepted: Counter[str] = Counter()
    for one in counts:
        for source, found in one.items():
            judged[source] += found.judged
            accepted[source] += found.accepted
    return {source: Accepted(judged[source], accepted[source]) for source in sorted(judged)}


def accepted_of_batch(
    lake: Lake, batch: str, caption_runs: Sequence[str], score_run: str, threshold: float
) -> dict[str, Accepted]:
    """Count the texts of each source in the shards of a batch that are scored."""
    return summed(
        accepted_of_shard(lake, shard, caption_runs, score_run, threshold)
        for shard in lake.committed(SCORING, score_run, batch)
    )
