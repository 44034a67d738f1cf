"""What training reads: the texts of selections with their pictures, in a known order.

The order is a function of (seed, epoch) alone and batch `s` is always the same samples, so a run
resumes exactly at any step and every world size sees the same global batches.

What is divided over ranks and their workers is therefore each batch, not the list of shards. A
picture is one seek away in its tar, so rank r of W reads rows r * B / W to (r + 1) * B / W of every
batch and nothing else, and its K worker threads take those of its next batches by turns: no picture
of a batch is read twice, nobody waits for a shard, and one shard is enough for any number of ranks
and workers. Too few are only the pairs: see `Samples.divide`.
"""

import itertools
import logging
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.ranks import ALONE, Ranks
from tasks.errors import InputError
from tasks.pictures import Picture, read_pictures
from tasks.selected import joined, key_number, selected_shards, selection_digest
from tasks.storage import Lake

__all__ = [
    "Sample",
    "SampleBatch",
    "Samples",
    "epoch_order",
    "key_number",
    "positions",
    "selected_shards",
    "selection_digest",
]

log = logging.getLogger(__name__)

CACHE_BYTES = 4 << 30
WORKERS = 2


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture with one text; `image` is the picture's place among those of `Samples`."""

    image: int
    text: str
    key: int
    source: str


@dataclass(frozen=True, slots=True)
class SampleBatch:
    """What one step reads: uint8 (B, S, S, 3) pictures, B texts, int64 (B,) image keys.

    `aspects`, float (B,), are the pictures' width over height before they became squares.
    """

    step: int
    images: Tensor
    texts: list[str]
    keys: Tensor
    aspects: Tensor


class Samples:
    """The (picture, text) pairs of one or more selections.

    Pictures are decoded when a batch first needs them, and kept while all together would fit
    `cache_bytes`.

    Raises:
        InputError: a selection is missing, unfinished or empty.
        LakeError: a selected picture is not in its shard, or a shard's tar is missing or cut short.
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
        self.digests = {name: selection_digest(lake, name) for name in selection_ids}
        self._found = joined(lake, list(self.digests))
        total = len(self._found.sizes)
        self._decoded = np.zeros(total, dtype=np.bool_)
        shape = (total, image_size, image_size, 3)
        # The memory of a picture is taken when it is written, not here.
        self._kept = (
            torch.empty(shape, dtype=torch.uint8) if np.prod(shape) <= cache_bytes else None
        )
        log.info("%d samples of %d pictures in %d shards", len(self), total, len(self._found.tars))

    def __len__(self) -> int:
        return len(self._found.texts)

    def __getitem__(self, place: int) -> Sample:
        found = self._found
        return Sample(
            int(found.images[place]), found.texts[place], int(found.keys[place]),
            found.sources[place],
        )  # fmt: skip

    @property
    def samples(self) -> list[Sample]:
        """Every sample, in the order of the selections' rows."""
        return [self[place] for place in range(len(self))]

    @property
    def pictures(self) -> list[Picture]:
        """Every picture, in the order of the shards."""
        return [self._found.picture(place) for place in range(len(self._decoded))]

    @property
    def texts(self) -> list[str]:
        """The text of every sample, in the order of the selections' rows."""
        return self._found.texts

    @property
    def keys(self) -> NDArray[np.int64]:
        """The picture's key of every sample, int64 (N,)."""
        return self._found.keys

    @property
    def n_pictures(self) -> int:
        """How many pictures the samples show."""
        return len(np.unique(self._found.images))

    def take_out(self, which: NDArray[np.bool_]) -> list[Sample]:
        """Remove some samples, bool (N,), and return them."""
        taken = [self[place] for place in np.flatnonzero(which).tolist()]
        self._found = self._found.kept(~which)
        return taken

    def divide(self, batch_size: int, world: int) -> None:
        """See that every rank gets pairs of its own, and say so when a batch repeats some.

        Raises:
            InputError: there are fewer pairs than ranks.
        """
        if len(self) < world:
            shards = len(self._found.tars)
            raise InputError(
                f"{len(self)} pairs of {shards} shards are too few for {world} ranks: some would "
                f"learn from nothing; start {len(self)} ranks or fewer, or select more"
            )
        if len(self) < batch_size:
            log.warning(
                "%d pairs are fewer than a batch of %d, which shows some several times; lower "
                "batch_size, or select more",
                len(self),
                batch_size,
            )

    def images(self, places: Sequence[int]) -> Tensor:
        """Return the pictures at these places as uint8 (N, S, S, 3)."""
        if self._kept is None:
            return self._read(places)
        fresh = sorted({place for place in places if not self._decoded[place]})
        if fresh:
            self._kept[torch.tensor(fresh)] = self._read(fresh)
            self._decoded[fresh] = True  # last: another thread sees it when the picture is there
        return self._kept[torch.as_tensor(places, dtype=torch.long)]

    def batches(
        self,
        batch_size: int,
        *,
        seed: int,
        start_step: int = 0,
        workers: int = WORKERS,
        ranks: Ranks = ALONE,
    ) -> Generator[SampleBatch, None, None]:
        """Yield a rank's rows of batch `start_step` and of all after it, without end.

        Epochs follow each other without a gap: a batch may hold the end of one and the start of
        the next, and one larger than the whole set repeats samples, so every batch is full.

        Args:
            batch_size: B, of all ranks.
            seed: of the order.
            start_step: the first batch's number.
            workers: threads that read ahead, a batch each; 0 reads when a batch is asked for. The
                batches are the same with any number.
            ranks: whose rows to read.
        """
        steps = itertools.count(start_step)
        if workers == 0:
            for step in steps:
                yield self.batch(step, batch_size, seed, ranks)
            return
        pool = ThreadPoolExecutor(workers, thread_name_prefix="reading")
        try:
            waiting: list[Future[SampleBatch]] = [
                pool.submit(self.batch, next(steps), batch_size, seed, ranks)
                for _ in range(workers)
            ]
            while True:
                waiting.append(pool.submit(self.batch, next(steps), batch_size, seed, ranks))
                yield waiting.pop(0).result()
        finally:
            pool.shutdown(cancel_futures=True)

    def batch(self, step: int, batch_size: int, seed: int, ranks: Ranks = ALONE) -> SampleBatch:
        """Return a rank's rows of batch number `step`, whatever was read before it."""
        drawn = positions(len(self), step, batch_size, seed)[ranks.rows(batch_size)]
        found = self._found
        return SampleBatch(
            step=step,
            images=self.images(found.images[drawn].tolist()),
            texts=[found.texts[place] for place in drawn],
            keys=torch.from_numpy(found.keys[drawn]),
            aspects=torch.from_numpy(found.aspects[found.images[drawn]]),
        )

    def _read(self, places: Sequence[int]) -> Tensor:
        pictures = [self._found.picture(place) for place in places]
        return read_pictures(self.lake, pictures, self.image_size)


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
