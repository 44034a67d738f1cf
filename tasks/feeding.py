"""Pictures ahead of the device: read, decoded and stacked while it works on the batch before.

One thread reads batch after batch, going from one shard into the next, and a pool decodes each.
Where the device resizes, batches travel as they were decoded, padded to one height and width and in
page-locked memory, so that the copy runs beside the computing.
"""

from collections import defaultdict, deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

import torch
from torch import Tensor

from models.resizing import resized, resized_together
from tasks.errors import LakeError
from tasks.pictures import Picture, read_bytes, whole_picture
from tasks.storage import Lake

Item = TypeVar("Item")

BATCHES_AHEAD = 3
# A batch is padded to its largest picture: one of these sides is made a square before it travels.
LONGEST_SIDE = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Feeding:
    """How pictures reach the device.

    Attributes:
        batch_size: pictures at once.
        sizes: the sides of the squares that models will ask for.
        device: where they go.
        on_device: whether they become squares there.
        decoders: threads that decode.
    """

    batch_size: int
    sizes: tuple[int, ...]
    device: torch.device
    on_device: bool
    decoders: int


@dataclass(frozen=True, slots=True)
class Squares:
    """A batch of pictures, to be had as squares of the sizes that were named.

    Attributes:
        stacked: by size, uint8 (B, S, S, 3); or by 0, uint8 (B, H, W, 3), padded.
        sides: of padded pictures, B pairs of height and width.
    """

    stacked: dict[int, Tensor]
    sides: tuple[tuple[int, int], ...] = ()

    def part(self, places: slice) -> "Squares":
        """Return some of the pictures."""
        return Squares({n: t[places] for n, t in self.stacked.items()}, self.sides[places])

    def to(self, device: torch.device) -> "Squares":
        """Return them on a device; the copy runs beside what is computed."""
        moved = {n: t.to(device, non_blocking=True) for n, t in self.stacked.items()}
        return Squares(moved, self.sides)

    def of(self, size: int) -> Tensor:
        """Return uint8 (B, size, size, 3)."""
        if self.sides:
            return resized_together(self.stacked[0], self.sides, size)
        return self.stacked[size]


@dataclass(frozen=True, slots=True)
class Batch(Generic[Item]):
    """What the device gets: items with their pictures; and items whose picture cannot be read."""

    items: list[Item]
    squares: Squares
    spoilt: list[tuple[Item, LakeError]]


def fed(lake: Lake, items: Iterable[tuple[Picture, Item]], how: Feeding) -> Generator[Batch[Item]]:
    """Yield items in batches with their pictures, a few batches read ahead.

    Args:
        lake: where the tars are.
        items: pictures and what goes with each; taken as they are needed, in another thread.
        how: batch size, sizes and threads.

    Raises:
        BaseException: whatever the iterator of items raises.
    """
    waiting = iter(items)

    def following() -> Batch[Item] | None:
        taken = list(islice(waiting, how.batch_size))
        return _batch(lake, taken, how, pool) if taken else None

    ahead, pool = ThreadPoolExecutor(1, "feed"), ThreadPoolExecutor(how.decoders, "decode")
    try:
        queue = deque(ahead.submit(following) for _ in range(BATCHES_AHEAD))
        while (batch := queue.popleft().result()) is not None:
            queue.append(ahead.submit(following))
            yield batch
    finally:
        ahead.shutdown(cancel_futures=True)
        pool.shutdown()


def _batch(
    lake: Lake, taken: Sequence[tuple[Picture, Item]], how: Feeding, pool: ThreadPoolExecutor
) -> Batch[Item]:
    found = _contents(lake, [picture for picture, _ in taken])
    prepared = list(pool.map(lambda one: _prepared(one[0], one[1], how), found))
    good = [(item, one) for (_, item), one in zip(taken, prepared, strict=True)
            if not isinstance(one, LakeError)]  # fmt: skip
    spoilt = [(item, one) for (_, item), one in zip(taken, prepared, strict=True)
              if isinstance(one, LakeError)]  # fmt: skip
    return Batch([item for item, _ in good], _stacked([one for _, one in good], how), spoilt)


def _contents(lake: Lake, pictures: Sequence[Picture]) -> list[tuple[Picture, bytes | LakeError]]:
    """Read the bytes of pictures; a tar that cannot be read spoils its own alone."""
    by_tar: dict[str, list[int]] = defaultdict(list)
    for place, picture in enumerate(pictures):
        by_tar[picture.tar].append(place)
    found: dict[int, bytes | LakeError] = {}
    for tar, places in by_tar.items():
        try:
            found |= zip(places, read_bytes(lake, [pictures[p] for p in places]), strict=True)
        except LakeError as error:
            found |= dict.fromkeys(places, error)
        except OSError as error:
            reason = LakeError(f"{tar} in {lake.root} cannot be read ({error})")
            found |= dict.fromkeys(places, reason)
    return [(picture, found[place]) for place, picture in enumerate(pictures)]


def _prepared(
    picture: Picture, content: bytes | LakeError, how: Feeding
) -> dict[int, Tensor] | LakeError:
    """Decode one picture; squares by size, or itself by 0 where the device resizes."""
    if isinstance(content, LakeError):
        return content
    try:
        image = whole_picture(content, picture)
    except LakeError as error:
        return error
    if not how.on_device:
        return {size: resized(image, size) for size in how.sizes}
    is_long = max(image.shape[:2]) > LONGEST_SIDE
    return {0: resized(image, max(how.sizes)) if is_long else image}


def _stacked(pictures: Sequence[dict[int, Tensor]], how: Feeding) -> Squares:
    if not how.on_device:
        return Squares({
            size: torch.stack([one[size] for one in pictures])
            for size in how.sizes if pictures
        })  # fmt: skip
    sides = tuple((int(one[0].shape[0]), int(one[0].shape[1])) for one in pictures)
    height, width = (max((side[n] for side in sides), default=0) for n in (0, 1))
    padded = torch.empty(
        len(pictures), height, width, 3, dtype=torch.uint8, pin_memory=how.device.type == "cuda"
    )
    for place, (one, (high, wide)) in enumerate(zip(pictures, sides, strict=True)):
        padded[place, :high, :wide] = one[0]
    return Squares({0: padded}, sides)
