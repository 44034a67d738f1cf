"""What training reads: the texts of selections joined with their pictures, in a known order.

The order is a function of (seed, epoch) alone and batch `s` is always the same samples, so a run
resumes exactly at any step and every world size sees the same global batches. Pictures are kept
decoded in memory while they fit a budget and are decoded batch by batch when they do not.
"""

import itertools
import logging
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.ranks import ALONE, Ranks
from tasks import rows
from tasks.errors import InputError, LakeError
from tasks.pictures import Picture, read_pictures, shard_pictures
from tasks.progress import track
from tasks.storage import Lake, Shard

log = logging.getLogger(__name__)

CACHE_BYTES = 4 << 30
PICTURES_A_READ = 256
BATCHES_AHEAD = 2


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture with one text; `image` is the picture's place among `Samples.pictures`."""

    image: int
    text: str
    key: int
    source: str


@dataclass(frozen=True, slots=True)
class SampleBatch:
    """What one step reads: uint8 (B, S, S, 3) pictures, B texts, int64 (B,) image keys."""

    step: int
    images: Tensor
    texts: list[str]
    keys: Tensor


def key_number(key: str) -> int:
    """Return the first 60 bits of a hexadecimal key: fits int64 and is never negative."""
    return int(key[:15], 16)


class Samples:
    """The (picture, text) pairs of one or more selections.

    Raises:
        InputError: a selection is missing, unfinished or empty.
        LakeError: a selected picture is not in its shard.
    """

    def __init__(
        self,
        lake: Lake,
        selection_ids: Sequence[str],
        image_size: int,
        *,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.lake = lake
        self.image_size = image_size
        self.pictures: list[Picture] = []
        self.samples: list[Sample] = []
        self.digests = {name: selection_digest(lake, name) for name in selection_ids}
        places: dict[str, int] = {}
        for name in self.digests:
            before = len(self.samples)
            for shard in selected_shards(lake, name):
                self._join(name, shard, places)
            if len(self.samples) == before:
                raise InputError(
                    f"selection {name} keeps no caption at all, so there is nothing to train on; "
                    "loosen its thresholds, or see its decisions for why"
                )
        if not self.samples:
            raise InputError("no selection was named; name at least one to train on")
        n_bytes = len(self.pictures) * image_size * image_size * 3
        self._cache = self._decode_all() if n_bytes <= cache_bytes else None

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def texts(self) -> list[str]:
        """The text of every sample, in the order of the selections' rows."""
        return [sample.text for sample in self.samples]

    def images(self, places: Sequence[int]) -> Tensor:
        """Return the pictures at these places as uint8 (N, S, S, 3)."""
        if self._cache is not None:
            return self._cache[torch.as_tensor(places, dtype=torch.long)]
        return read_pictures(self.lake, [self.pictures[p] for p in places], self.image_size)

    def batches(
        self,
        batch_size: int,
        *,
        seed: int,
        start_step: int = 0,
        decode_ahead: bool = True,
        ranks: Ranks = ALONE,
    ) -> Generator[SampleBatch, None, None]:
        """Yield a rank's rows of batch `start_step` and of all after it, without end.

        Epochs follow each other without a gap: a batch may hold the end of one and the start of
        the next, and one larger than the whole set repeats samples, so every batch is full.
        """
        steps = itertools.count(start_step)
        if self._cache is not None or not decode_ahead:
            for step in steps:
                yield self.batch(step, batch_size, seed, ranks)
            return
        pool = ThreadPoolExecutor(max_workers=1)
        try:
            waiting: list[Future[SampleBatch]] = [
                pool.submit(self.batch, next(steps), batch_size, seed, ranks)
                for _ in range(BATCHES_AHEAD)
            ]
            while True:
                waiting.append(pool.submit(self.batch, next(steps), batch_size, seed, ranks))
                yield waiting.pop(0).result()
        finally:
            pool.shutdown(cancel_futures=True)

    def batch(self, step: int, batch_size: int, seed: int, ranks: Ranks = ALONE) -> SampleBatch:
        """Return a rank's rows of batch number `step`, whatever was read before it."""
        drawn = positions(len(self), step, batch_size, seed)[ranks.rows(batch_size)]
        picked = [self.samples[i] for i in drawn]
        return SampleBatch(
            step=step,
            images=self.images([sample.image for sample in picked]),
            texts=[sample.text for sample in picked],
            keys=torch.tensor([sample.key for sample in picked], dtype=torch.long),
        )

    def _join(self, name: str, shard: Shard, places: dict[str, int]) -> None:
        """Add the selected texts of a shard, each with its picture's place."""
        selected = rows.read_rows(
            self.lake, self.lake.rows("selections", name, shard), ["key", "text", "source"]
        ).to_pylist()
        stored = {picture.key: picture for picture in shard_pictures(self.lake, shard)}
        for row in selected:
            key = row["key"]
            if key not in stored:
                raise LakeError(
                    f"selection {name} wants picture {key}, which shard {shard} does not hold; "
                    "the selection belongs to another ingestion: select again"
                )
            place = places.setdefault(f"{shard}/{key}", len(self.pictures))
            if place == len(self.pictures):
                self.pictures.append(stored[key])
            self.samples.append(Sample(place, row["text"], key_number(key), row["source"]))

    def _decode_all(self) -> Tensor:
        size = self.image_size
        cache = torch.empty((len(self.pictures), size, size, 3), dtype=torch.uint8)
        starts = range(0, len(self.pictures), PICTURES_A_READ)
        for start in track(starts, "decoding pictures", len(starts)):
            some = self.pictures[start : start + PICTURES_A_READ]
            cache[start : start + len(some)] = read_pictures(self.lake, some, size)
        log.info("%d samples of %d pictures in memory", len(self.samples), len(self.pictures))
        return cache


def positions(n_samples: int, step: int, batch_size: int, seed: int) -> list[int]:
    """Return which samples batch `step` holds: a slice of the epochs laid end to end."""
    first = step * batch_size
    found: list[int] = []
    while len(found) < batch_size:
        epoch, offset = divmod(first + len(found), n_samples)
        wanted = batch_size - len(found)
        found += epoch_order(n_samples, seed, epoch)[offset : offset + wanted].tolist()
    return found


# Two are enough: a batch touches the end of one epoch and the start of the next.
@lru_cache(maxsize=4)
def epoch_order(n_samples: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the order of one epoch, int64 (n_samples,): a function of its arguments alone.

    Philox is a counter: no state is carried from one epoch to the next.
    """
    generator = np.random.Generator(np.random.Philox(key=[seed, epoch]))
    order = generator.permutation(n_samples)
    order.flags.writeable = False
    return order


def selected_shards(lake: Lake, selection_id: str) -> list[Shard]:
    """Return the shards a selection has rows for, in order of batch and name."""
    found = lake.glob(f"selections/{selection_id}/*/*.parquet")
    paths = [PurePosixPath(relative) for relative in found]
    return [Shard(path.parent.name, path.stem) for path in paths]


def selection_digest(lake: Lake, selection_id: str) -> str:
    """Return the digest on a selection's card.

    Raises:
        InputError: the selection is not there or was never finished.
    """
    card = f"selections/{selection_id}/selection.json"
    if not lake.exists(card):
        known = ", ".join(lake.folders("selections")) or "none"
        raise InputError(
            f"selection {selection_id!r} is missing or unfinished in {lake.root} "
            f"(there: {known}); run the selection stage first"
        )
    return str(lake.read_json(card)["digest"])
