"""The engine of CapFilt: batches over a group of shards, each shard committed by itself.

Pictures come decoded out of `tasks.feeding`, which goes from one shard into the next without a
pause, so that every batch but the last is full. The captioner writes, the filter judges what was
written beside what was there; each sees a picture once. A shard whose last picture is done is
written by another thread while the device works on.

Nothing is filtered here: every text keeps its row with its scores, and selecting is a statement in
SQL later. A caption is a function of its picture's key, its index, the run and the model: neither
batch size, nor threads, nor the order of shards matters.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch

from models.captioner import Caption, generate
from models.matcher import PairScore, score_texts
from models.preprocessing import pixels_for
from tasks.capfilt.opening import Answer, Asked, Work, read_work, work_of
from tasks.capfilt.settings import Job
from tasks.capfilt.tally import Tally
from tasks.capfilt.writing import Made, ShardReport, finish
from tasks.checkpoints import LoadedModel
from tasks.feeding import Batch, Feeding, Squares, fed
from tasks.inference import Portions, compile_once, require_room, shared_model
from tasks.pictures import Picture
from tasks.storage import Lake, Shard

# Finished shards that may wait to be written; then the device waits for the disk.
UNWRITTEN = 4


def capfilt_shards(
    lake: Lake,
    job: Job,
    shards: Sequence[Shard],
    device: str = "cpu",
    watch: Callable[[Tally], None] = lambda _: None,
) -> Generator[ShardReport]:
    """Caption and score a group of shards; yield what came of each as it is committed.

    What is committed already is passed over. A shard that cannot be read is put into quarantine and
    the others go on.

    Args:
        lake: where everything lies.
        job: models, runs and settings.
        shards: in any order; it has no influence on what is written.
        device: "cpu" or "cuda".
        watch: told after every batch how far the group is.

    Raises:
        LakeError: the lake cannot be written.
        InputError: captions may be longer than the captioner's positions.
        ModelError: a model is missing or damaged, or one picture does not fit the device.
    """
    works = [work for work in (work_of(lake, job, s) for s in shards) if work.writes or work.judges]
    if not works:
        return
    models = _models(lake, job, works, device)
    tally = Tally(shards=len(works))
    finished: deque[Work] = deque()
    reports: deque[Future[ShardReport]] = deque()
    batches = fed(lake, _asked(lake, job, works, finished), models.feeding(job))
    portions = Portions(job.how.batch_size, models.device)
    writer = ThreadPoolExecutor(1, "write")
    try:
        for batch in batches:
            _keep(batch, portions.each(batch, models.answers), finished, tally)
            watch(tally)
            _hand_over(lake, job, finished, models.made, writer, reports)
            yield from _written(reports, tally, UNWRITTEN)
        _hand_over(lake, job, finished, models.made, writer, reports)
        yield from _written(reports, tally, 0)
        watch(tally)
    finally:
        batches.close()
        writer.shutdown()


@dataclass(frozen=True, slots=True)
class _Models:
    """Who writes and who judges on a device."""

    job: Job
    writer: LoadedModel | None
    judge: LoadedModel | None
    device: torch.device
    dtype: torch.dtype

    @property
    def made(self) -> Made:
        names = [loaded.name if loaded else "" for loaded in (self.writer, self.judge)]
        return Made(
            writer=names[0],
            judge=names[1],
            device=str(self.device),
            dtype=str(self.dtype).removeprefix("torch."),
        )

    def feeding(self, job: Job) -> Feeding:
        """Return how pictures are to reach these models."""
        models = [loaded.model for loaded in (self.writer, self.judge) if loaded]
        wanted = {"host": False, "device": True, "auto": self.device.type == "cuda"}
        return Feeding(
            batch_size=job.how.batch_size,
            sizes=tuple(sorted({model.shape.vision.image_size for model in models})),
            device=self.device,
            on_device=wanted[job.how.resize],
            decoders=job.how.decoders or torch.get_num_threads(),
        )

    def answers(self, squares: Squares, asked: list[Asked]) -> list[Answer]:
        """Write for pictures and judge their texts."""
        with torch.inference_mode():
            began = time.monotonic()
            captions = self._written(squares, asked)
            written = time.monotonic()
            scores = self._judged(squares, asked, captions)
        shares = ((written - began) / len(asked), (time.monotonic() - written) / len(asked))
        return [Answer(*pair, *shares) for pair in zip(captions, scores, strict=True)]

    def _written(self, squares: Squares, asked: list[Asked]) -> list[list[Caption]]:
        places = [place for place, one in enumerate(asked) if one.seeds]
        captions: list[list[Caption]] = [[] for _ in asked]
        if self.writer is None or not places:
            return captions
        pixels = self._pixels(self.writer, squares)
        if len(places) < len(asked):
            pixels = pixels[torch.tensor(places, device=pixels.device)]
        seeds = torch.tensor([asked[place].seeds for place in places])
        model, tokenizer = self.writer.model, self.writer.tokenizer
        texts = generate(model, tokenizer, pixels, self.job.how.decoding, seeds)
        group = seeds.shape[1]
        for number, place in enumerate(places):
            captions[place] = texts[number * group : (number + 1) * group]
        return captions

    def _judged(
        self, squares: Squares, asked: list[Asked], captions: list[list[Caption]]
    ) -> list[list[PairScore]]:
        if self.judge is None:
            return [[] for _ in asked]
        texts = [
            [*one.texts, *(caption.text for caption in own)] if one.work.judges else []
            for one, own in zip(asked, captions, strict=True)
        ]
        model, tokenizer = self.judge.model, self.judge.tokenizer
        pixels = self._pixels(self.judge, squares)
        return score_texts(model, tokenizer, pixels, texts, self.job.how.max_length)

    def _pixels(self, loaded: LoadedModel, squares: Squares) -> torch.Tensor:
        vision = loaded.model.shape.vision
        return pixels_for(vision, squares.of(vision.image_size)).to(self.dtype)


def _models(lake: Lake, job: Job, works: Sequence[Work], device: str) -> _Models:
    """Load what the rest of the job needs."""
    dtype = precision(job.how.dtype, device)
    writer = judge = None
    if any(work.writes for work in works):
        writer = shared_model(lake, job.captioner, device, "captioner", dtype)
        require_room(writer, job.how.decoding)
    if any(work.judges for work in works):
        judge = shared_model(lake, job.judge, device, "filter", dtype)
    for loaded in (writer, judge):
        if loaded is not None and job.how.compiled:
            compile_once(loaded.model)
    return _Models(job, writer, judge, torch.device(device), dtype)


def precision(dtype: str, device: str) -> torch.dtype:
    """Return what a setting means on a device."""
    if dtype != "auto":
        return getattr(torch, dtype)
    return torch.bfloat16 if device.startswith("cuda") else torch.float32


def _asked(
    lake: Lake, job: Job, works: Sequence[Work], finished: deque[Work]
) -> Iterator[tuple[Picture, Asked]]:
    """Read shard after shard and yield what is asked of each picture."""
    for work in works:
        read_work(lake, job, work)
        if not work.left:
            finished.append(work)
            continue
        for one in work.asked(job):
            if work.spoilt is not None:
                break
            yield one


def _keep(
    batch: Batch[Asked], answers: Sequence[Answer], finished: deque[Work], tally: Tally
) -> None:
    """Put a batch's answers where they belong, and name the shards that are finished by it."""
    for asked, error in batch.spoilt:
        if asked.work.spoilt is None:
            asked.work.spoilt = error
            finished.append(asked.work)
    for asked, answer in zip(batch.items, answers, strict=True):
        work = asked.work
        if work.spoilt is not None:
            continue
        if work.left == len(work.pictures):
            tally.opened, tally.known = tally.opened + 1, tally.known + len(work.pictures)
        sources = [str(work.captions[place]["source"]) for place in work.places[asked.place]]
        tally.add(sources, answer.captions, answer.scores)
        work.take(asked.place, answer)
        if not work.left:
            finished.append(work)


def _hand_over(  # from whom to whom
    lake: Lake,
    job: Job,
    finished: deque[Work],
    made: Made,
    writer: ThreadPoolExecutor,
    reports: deque[Future[ShardReport]],
) -> None:
    while finished:
        reports.append(writer.submit(finish, lake, job, finished.popleft(), made))


def _written(reports: deque[Future[ShardReport]], tally: Tally, most: int) -> Iterator[ShardReport]:
    """Yield the reports there are, and wait until at most so many are to come."""
    while reports and (reports[0].done() or len(reports) > most):
        report = reports.popleft().result()
        tally.spoilt += bool(report.spoilt)
        tally.done += not report.spoilt
        yield report
