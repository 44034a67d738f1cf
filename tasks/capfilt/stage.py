"""One shard captioned, or one shard scored, where the engine's whole job is not wanted.

Each returns what is committed; what was committed before is left alone.
"""

from tasks.capfilt.engine import capfilt_shards
from tasks.capfilt.settings import CAPTIONING, SCORING, CapFilt, Job
from tasks.storage import Commit, Lake, Shard


def caption_shard(
    lake: Lake, run: str, shard: Shard, captioner_uri: str, how: CapFilt, device: str = "cpu"
) -> Commit:
    """Write captions for every kept picture of a shard; nothing happens when that is done.

    Raises:
        LakeError: the shard has not been ingested, or cannot be read.
        ModelError: the captioner is missing or damaged.
    """
    job = Job(captioner=captioner_uri, captions=run, how=how, sets_aside=False)
    list(capfilt_shards(lake, job, [shard], device))
    return lake.commit_of(CAPTIONING, run, shard)


def score_shard(  # noqa: PLR0913  # what, by whom, how and where
    lake: Lake,
    run: str,
    shard: Shard,
    caption_runs: tuple[str, ...],
    filter_uri: str,
    how: CapFilt,
    device: str = "cpu",
) -> Commit:
    """Score every caption that these runs have for a shard; nothing happens when that is done.

    Args:
        lake: where everything lies.
        run: the name of the scores.
        shard: one shard.
        caption_runs: "ingestion" for the web's and the humans' texts, and captioners' runs.
        filter_uri: address of the judge.
        how: batch size and text length.
        device: "cpu" or "cuda".

    Raises:
        LakeError: a run has no captions for the shard, or it cannot be read.
        ModelError: the filter is missing or damaged.
    """
    job = Job(judge=filter_uri, scores=run, texts=caption_runs, how=how, sets_aside=False)
    list(capfilt_shards(lake, job, [shard], device))
    return lake.commit_of(SCORING, run, shard)
