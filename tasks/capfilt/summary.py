"""What a job came to: what is committed of the batch, what this run did, and what is missing."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tasks.capfilt.quarantine import reasons
from tasks.capfilt.settings import CAPTIONING, INGESTED, SCORING, Job
from tasks.capfilt.tally import Tally
from tasks.storage import Lake, Shard


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """A batch, or part of one, after a run.

    Attributes:
        batch: its name.
        job: models, runs and settings.
        device: where it was computed.
        planned: shards, `not_ingested` ones too.
        counts: rows of all committed shards, this run's and those before.
        quarantined: for each shard that could not be read the reason.
        not_ingested: shards that are not there yet.
        tally: what this run did.
    """

    batch: str
    job: Job
    device: str
    planned: int
    counts: dict[str, int]
    quarantined: dict[str, str]
    not_ingested: int
    tally: Tally

    def to_json(self) -> dict[str, Any]:
        """Return what the command prints last."""
        done = self.tally
        return {
            "batch": self.batch,
            "captions": self.job.captions,
            "scores": self.job.scores,
            "captioner": self.job.captioner,
            "filter": self.job.judge,
            "device": self.device,
            "settings": asdict(self.job.how),
            "shards": {
                "planned": self.planned,
                "done_now": done.done,
                "quarantined": self.quarantined,
                "not_ingested": self.not_ingested,
            },
            "rows": self.counts,
            "this_run": {
                "pictures": done.pictures,
                "captions": done.captions,
                "accepted": {
                    source: round(done.accepted[source] / judged, 4)
                    for source, judged in sorted(done.judged.items())
                },
                "seconds": round(done.seconds, 3),
                "images_per_s": round(done.images_per_s, 3),
            },
        }


def summarise(lake: Lake, job: Job, device: str, planned: Sequence[Shard], tally: Tally) -> Summary:
    """Return what there is of some shards of a batch after a run."""
    batch = planned[0].batch if planned else ""
    ingested = _committed(lake, INGESTED, INGESTED, planned)
    counts: Counter[str] = Counter()
    for stage, run in ((CAPTIONING, job.captions), (SCORING, job.scores)):
        for shard in _committed(lake, stage, run, planned):
            found = lake.commit_of(stage, run, shard).rows
            told = {name: n for name, n in found.items() if name != "pictures"}
            counts.update(told if stage == SCORING else found)
    return Summary(
        batch=batch,
        job=job,
        device=device,
        planned=len(planned),
        counts=dict(counts),
        quarantined=reasons(lake, job, planned),
        not_ingested=len(planned) - len(ingested),
        tally=tally,
    )


def _committed(lake: Lake, stage: str, run: str, planned: Iterable[Shard]) -> list[Shard]:
    wanted = set(planned)
    batches = {shard.batch for shard in wanted}
    done = {shard for batch in batches for shard in lake.committed(stage, run, batch)}
    return sorted(done & wanted)
