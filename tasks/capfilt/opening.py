"""A shard on its way through the engine: its pictures, what they are asked, what has come of them.

A shard may be captioned already and not yet scored; then nothing is written and its committed
captions are judged. One that cannot be read is spoilt, with the reason, and nothing of it is kept.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.captioner import Caption
from models.matcher import PairScore
from tasks import rows
from tasks.capfilt.seeds import caption_seed
from tasks.capfilt.settings import CAPTIONING, SCORING, Job
from tasks.errors import LakeError
from tasks.pictures import Picture, shard_pictures
from tasks.storage import Lake, Shard

COLUMNS = ["caption_id", "key", "source", "text"]


@dataclass(frozen=True, slots=True)
class Asked:
    """One picture of a shard and what is wanted of it.

    Attributes:
        work: the shard.
        place: the picture's number in it.
        seeds: of the captions to write; empty when none are.
        texts: to be judged beside those.
    """

    work: "Work"
    place: int
    seeds: tuple[int, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one picture, and its share of what its batch took.

    Attributes:
        captions: new ones.
        scores: of the texts it had and then of those.
        writing_s: seconds.
        judging_s: seconds.
    """

    captions: list[Caption]
    scores: list[PairScore]
    writing_s: float
    judging_s: float


@dataclass(slots=True)
class Work:
    """A shard in work.

    Attributes:
        shard: which.
        writes: whether captions are wanted of it.
        judges: whether scores are.
        pictures: those that are asked something, in the order of their rows.
        captions: caption_id, key, source and text of what there is to judge already.
        places: for each picture those of its own among the captions.
        answers: by picture, None until it is done.
        left: pictures without an answer.
        spoilt: why the shard cannot be read; None while it can.
    """

    shard: Shard
    writes: bool
    judges: bool
    pictures: list[Picture] = field(default_factory=list)
    captions: list[dict[str, Any]] = field(default_factory=list)
    places: list[list[int]] = field(default_factory=list)
    answers: list[Answer | None] = field(default_factory=list)
    left: int = 0
    spoilt: LakeError | None = None

    @property
    def done(self) -> list[Answer]:
        """The answers there are."""
        return [answer for answer in self.answers if answer is not None]

    @property
    def writing_s(self) -> float:
        """Seconds that captions took; shards share batches, and each has its pictures' share."""
        return sum(answer.writing_s for answer in self.done)

    @property
    def judging_s(self) -> float:
        """Seconds that scores took; as `writing_s`."""
        return sum(answer.judging_s for answer in self.done)

    def take(self, place: int, answer: Answer) -> None:
        """Keep the answer to one picture."""
        self.answers[place] = answer
        self.left -= 1

    def asked(self, job: Job) -> Iterator[tuple[Picture, Asked]]:
        """Yield every picture with what is wanted of it."""
        n_captions = job.how.captions_per_image if self.writes else 0
        for place, picture in enumerate(self.pictures):
            seeds = (
                caption_seed(job.captions, picture.key, index, job.how.seed)
                for index in range(n_captions)
            )
            texts = (str(self.captions[p]["text"]) for p in self.places[place])
            yield picture, Asked(self, place, tuple(seeds), tuple(texts))


def work_of(lake: Lake, job: Job, shard: Shard) -> Work:
    """Return what is left to do of a shard, unread as yet."""
    writes = bool(job.captioner) and not lake.is_committed(CAPTIONING, job.captions, shard)
    judges = bool(job.judge) and not lake.is_committed(SCORING, job.scores, shard)
    return Work(shard, writes, judges)


def read_work(lake: Lake, job: Job, work: Work) -> None:
    """Read a shard's rows; when that cannot be done the shard is spoilt."""
    try:
        stored = shard_pictures(lake, work.shard)
        if work.judges:
            written = (job.captions,) if job.captions and not work.writes else ()
            work.captions = shard_captions(lake, work.shard, (*job.texts, *written))
            _check_pictures(work.shard, stored, work.captions)
    except LakeError as error:
        work.spoilt = error
        return
    except OSError as error:
        work.spoilt = LakeError(f"shard {work.shard} in {lake.root} cannot be read ({error})")
        return
    places: dict[str, list[int]] = defaultdict(list)
    for place, caption in enumerate(work.captions):
        places[caption["key"]].append(place)
    # A picture without a text is of no use to a judge alone.
    work.pictures = [one for one in stored if work.writes or one.key in places]
    work.places = [places[one.key] for one in work.pictures]
    work.answers = [None] * len(work.pictures)
    work.left = len(work.pictures)


def shard_captions(lake: Lake, shard: Shard, caption_runs: Sequence[str]) -> list[dict[str, Any]]:
    """Return caption_id, key, source and text of every caption of these runs, run by run.

    Raises:
        LakeError: a run has none for the shard.
    """
    return [
        row
        for name in caption_runs
        for row in rows.read_rows(lake, lake.rows("captions", name, shard), COLUMNS).to_pylist()
    ]


def by_picture(
    lake: Lake, shard: Shard, captions: Sequence[dict[str, Any]]
) -> list[tuple[Picture, list[int]]]:
    """Group the places of captions by picture, in the order of the shard.

    Raises:
        LakeError: a caption's picture is not in the shard.
    """
    stored = shard_pictures(lake, shard)
    _check_pictures(shard, stored, captions)
    places: dict[str, list[int]] = defaultdict(list)
    for place, caption in enumerate(captions):
        places[caption["key"]].append(place)
    return [(picture, places[picture.key]) for picture in stored if picture.key in places]


def _check_pictures(
    shard: Shard, stored: Sequence[Picture], captions: Sequence[dict[str, Any]]
) -> None:
    stray = sorted({caption["key"] for caption in captions} - {one.key for one in stored})
    if stray:
        raise LakeError(
            f"captions of shard {shard} name {len(stray)} pictures it does not hold, the first is "
            f"{stray[0]}; they belong to another ingestion: caption the shard again"
        )
