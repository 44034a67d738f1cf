"""Running a model over a shard's pictures: loaded once, decoded ahead, halved when memory ends."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TypeVar
from weakref import WeakSet

import torch
from torch import Tensor

from models.blip import Blip
from models.decoding import Decoding
from models.preprocessing import pixels_for
from tasks.checkpoints import LoadedAnswerer, LoadedModel, load_model, resolved
from tasks.errors import InputError, ModelError
from tasks.feeding import Batch, Feeding, Squares, fed
from tasks.jobs import check_device
from tasks.pictures import Picture
from tasks.storage import Lake

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

# A captioner and a filter; a third would crowd a GPU.
MODELS_HELD = 2
_loading = threading.Lock()
_compiled: WeakSet[Blip] = WeakSet()


def shared_model(
    lake: Lake, uri: str, device: str, half: str = "", dtype: torch.dtype = torch.float32
) -> LoadedModel:
    """Return the model at an address, loaded once a process.

    Addresses that can move (a run, an alias) are looked up each time, so a long-lived worker uses
    what they mean now.

    Args:
        lake: where `checkpoints/...` addresses are looked up.
        uri: any address that `load_model` takes.
        device: where the weights go.
        half: "captioner" or "filter": what it will be used for.
        dtype: what the weights are kept and multiplied in.

    Raises:
        ModelError: there is no such model or device, or it was imported without weights for
            that half.
    """
    check_device(device)
    address, stamp = resolved(lake, uri)
    # Two threads that start together would otherwise each load it.
    with _loading:
        loaded = _held(lake, address, stamp, device, dtype)
    halves = loaded.facts.get("halves", [half])
    if half and half not in halves:
        raise ModelError(
            f"{uri} came with weights for a {' and a '.join(halves)} only and cannot be used as a "
            f"{half}; finetune it first, or give another address"
        )
    return loaded


def require_room(loaded: LoadedModel, decoding: Decoding) -> None:
    """See that a model can write captions as long as they may become.

    Raises:
        InputError: it has fewer positions.
    """
    room = loaded.model.shape.text.positions
    if decoding.max_length > room:
        raise InputError(
            f"decoding.max_length is {decoding.max_length}, but {loaded.name} has {room} positions "
            f"for a text: give {room} or less"
        )


@lru_cache(maxsize=MODELS_HELD)
def _held(lake: Lake, uri: str, _: str, device: str, dtype: torch.dtype) -> LoadedModel:
    loaded = load_model(lake, uri, device)
    loaded.model.to(dtype)
    return loaded


def compile_once(model: Blip) -> None:
    """Let torch compile a model's image encoder, which most of the work is; once a process."""
    if model not in _compiled:
        model.vision.compile()
        _compiled.add(model)


@contextlib.contextmanager
def inference(device: str) -> Iterator[None]:
    """No gradients; bfloat16 on a GPU, float32 on a CPU."""
    on_gpu = device.startswith("cuda")
    with torch.no_grad(), torch.autocast(device.split(":")[0], torch.bfloat16, enabled=on_gpu):
        yield


def over_pictures(
    lake: Lake,
    loaded: LoadedModel | LoadedAnswerer,
    items: Sequence[tuple[Picture, Item]],
    batch_size: int,
    work: Callable[[Tensor, list[Item]], list[Result]],
) -> list[Result]:
    """Apply `work` to pictures and what goes with each, in batches; the order stays.

    The next batches are read and decoded while the device works on this one. When the device runs
    out of memory the batch is halved, for good, and the work goes on.

    Args:
        lake: where the tars are.
        loaded: the model; decides the pictures' size and normalisation.
        items: a picture and what belongs to it.
        batch_size: most pictures at once.
        work: from normalised pixels (B, 3, S, S) on the device and B items to B results.

    Returns:
        One result an item.

    Raises:
        LakeError: a picture cannot be read.
        ModelError: not even one picture fits the device's memory.
    """
    vision, device = loaded.model.shape.vision, loaded.model.device
    how = Feeding(
        batch_size=batch_size,
        sizes=(vision.image_size,),
        device=device,
        on_device=False,
        decoders=torch.get_num_threads(),
    )

    def seen(squares: Squares, some: list[Item]) -> list[Result]:
        with inference(device.type):
            return work(pixels_for(vision, squares.of(vision.image_size)), some)

    results: list[Result] = []
    portions = Portions(batch_size, device)
    for batch in fed(lake, items, how):
        for _, error in batch.spoilt:
            raise error
        results += portions.each(batch, seen)
    return results


class Portions:
    """How much goes to the device at once: less, for good, each time its memory does not do."""

    def __init__(self, limit: int, device: torch.device) -> None:
        self.limit, self._device = limit, device

    def each(
        self, batch: Batch[Item], work: Callable[[Squares, list[Item]], list[Result]]
    ) -> list[Result]:
        """Do a batch, in as many portions as it takes; one result an item.

        Raises:
            ModelError: not even one picture fits the device's memory.
        """
        results: list[Result] = []
        while len(results) < len(batch.items):
            some = slice(len(results), len(results) + self.limit)
            tried = batch.items[some]
            done = self._attempt(batch.squares.part(some), tried, work)
            if done is None:
                self._halve(len(tried))
            else:
                results += done
        return results

    def _attempt(
        self,
        squares: Squares,
        items: list[Item],
        work: Callable[[Squares, list[Item]], list[Result]],
    ) -> list[Result] | None:
        """Do one portion; None when the device's memory was not enough."""
        try:
            return work(squares.to(self._device), items)
        except torch.OutOfMemoryError:
            # Nothing is kept here: while the exception lives, so do the tensors of its frames.
            return None

    def _halve(self, tried: int) -> None:
        if tried == 1:
            raise ModelError(
                f"one picture does not fit the memory of {self._device}; close what else runs "
                "there, or use a smaller model or max_length"
            )
        self.limit = max(1, tried // 2)
        torch.cuda.empty_cache()
        log.warning("out of device memory: going on with %d pictures a batch", self.limit)
