"""What a finished shard becomes: Parquet rows, then the commit record of each stage, in that order.

A kill between any two of these leaves whole files or none; the next run goes on from the records.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from models.captioner import Caption
from tasks import rows
from tasks.capfilt.opening import Work
from tasks.capfilt.quarantine import put_aside, take_back
from tasks.capfilt.seeds import caption_seed
from tasks.capfilt.settings import CAPTIONING, SCORING, Job
from tasks.degenerate import is_degenerate
from tasks.ingestion.texts import text_signals
from tasks.storage import Lake

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """By what a job's rows were made.

    Attributes:
        writer: the captioner's name, with the first digits of its weights' sha256.
        judge: the filter's.
        device: where they computed.
        dtype: in which precision.
    """

    writer: str
    judge: str
    device: str
    dtype: str


@dataclass(frozen=True, slots=True)
class ShardReport:
    """What came of one shard.

    Attributes:
        shard: "batch/name".
        counts: pictures, captions, degenerate and scores, of what was wanted of it.
        seconds: that its pictures took the models.
        spoilt: why it is in quarantine; empty when it is done.
    """

    shard: str
    counts: dict[str, int]
    seconds: float
    spoilt: str = ""


def finish(lake: Lake, job: Job, work: Work, made: Made) -> ShardReport:
    """Write and commit what was wanted of a shard, or put it into quarantine.

    Raises:
        LakeError: the lake cannot be written, and nothing of the shard is half there; or the shard
            cannot be read and the job has no quarantine.
    """
    if work.spoilt is not None:
        if not job.sets_aside:
            raise work.spoilt
        put_aside(lake, job, work, str(work.spoilt))
        return ShardReport(str(work.shard), {}, 0.0, str(work.spoilt))
    counts = {"pictures": len(work.pictures)}
    written: list[dict[str, Any]] = []
    if work.writes:
        written = _caption_rows(job, work, made)
        degenerate = sum(row["degenerate"] for row in written)
        counts |= {"captions": len(written), "degenerate": degenerate}
        _publish(lake, job, CAPTIONING, work, counts, written, made)
    if work.judges:
        scored = _score_rows(job, work, written, made)
        counts["scores"] = len(scored)
        told = {name: counts[name] for name in ("pictures", "scores")}
        _publish(lake, job, SCORING, work, told, scored, made)
    take_back(lake, job, work.shard)
    seconds = work.writing_s + work.judging_s
    said = ", ".join(f"{number} {name}" for name, number in counts.items())
    log.info("capfilt %s: %s in %.1f s", work.shard, said, seconds)
    return ShardReport(str(work.shard), counts, seconds)


def _publish(  # noqa: PLR0913  # which shard of what, and what is said of it
    lake: Lake,
    job: Job,
    stage: str,
    work: Work,
    counts: Mapping[str, int],
    found: list[dict[str, Any]],
    made: Made,
) -> None:
    """Write a table of a shard, then the record that makes this stage done with it."""
    table, run, schema = {
        CAPTIONING: ("captions", job.captions, rows.CAPTIONS),
        SCORING: ("scores", job.scores, rows.SCORES),
    }[stage]
    path = lake.rows(table, run, work.shard)
    rows.write_rows(lake, path, rows.table_of(found, schema))
    lake.commit(
        stage,
        run,
        work.shard,
        files=[path],
        rows=counts,
        seconds=work.writing_s if stage == CAPTIONING else work.judging_s,
        versions={
            "torch": torch.__version__,
            "device": made.device,
            "dtype": made.dtype,
            "captioner": made.writer,
            "filter": made.judge,
            "settings": json.dumps(asdict(job.how)),
        },
    )


def _caption_rows(job: Job, work: Work, made: Made) -> list[dict[str, Any]]:
    """Return a row of `rows.CAPTIONS` for every caption, picture by picture."""
    decoding = json.dumps(asdict(job.how.decoding))
    shared = {
        "run": job.captions,
        "model": made.writer,
        "decoding": decoding,
        "batch": work.shard.batch,
        "shard": work.shard.name,
        "source": rows.TextSource.SYNTHETIC,
    }
    return [
        {**shared, **_caption_row(job, picture.key, index, caption)}
        for picture, answer in zip(work.pictures, work.done, strict=True)
        for index, caption in enumerate(answer.captions)
    ]


def _caption_row(job: Job, key: str, index: int, caption: Caption) -> dict[str, Any]:
    return {
        **text_signals(caption.text),
        "caption_id": rows.caption_id_of(key, rows.TextSource.SYNTHETIC, job.captions, index),
        "key": key,
        "index": index,
        "text": caption.text,
        "seed": caption_seed(job.captions, key, index, job.how.seed),
        "lm_logprob": caption.logprob,
        "n_tokens": caption.n_tokens,
        "degenerate": is_degenerate(caption.text, job.how.decoding.prompt),
    }


def _score_rows(
    job: Job, work: Work, written: Sequence[Mapping[str, Any]], made: Made
) -> list[dict[str, Any]]:
    """Return a row of `rows.SCORES` for every text: those that were there, then the new ones."""
    shared = {
        "batch": work.shard.batch,
        "shard": work.shard.name,
        "run": job.scores,
        "model": made.judge,
    }
    there: dict[int, Any] = {}
    new = []
    for places, answer in zip(work.places, work.done, strict=True):
        there |= zip(places, answer.scores, strict=False)
        new += answer.scores[len(places) :]
    scores = [*(there[place] for place in range(len(work.captions))), *new]
    return [
        {
            **shared,
            "caption_id": caption["caption_id"],
            "key": caption["key"],
            "itc_cosine": score.itc_cosine,
            "itm_probability": score.itm_probability,
        }
        for caption, score in zip([*work.captions, *written], scores, strict=True)
    ]
