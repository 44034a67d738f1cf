"""Running a model over a shard's pictures: loaded once, decoded ahead, halved when memory ends."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import torch
from torch import Tensor

from models.preprocessing import pixels_for
from tasks.checkpoints import LoadedAnswerer, LoadedModel, load_model, resolved
from tasks.errors import ModelError
from tasks.jobs import check_device
from tasks.pictures import Picture, read_pictures
from tasks.storage import Lake

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

# A captioner and a filter; a third would crowd a GPU.
MODELS_HELD = 2
_loading = threading.Lock()


def shared_model(lake: Lake, uri: str, device: str, half: str = "") -> LoadedModel:
    """Return the model at an address, loaded once a process.

    Addresses that can move (a run, an alias) are looked up each time, so a long-lived worker uses
    what they mean now.

    Args:
        lake: where `checkpoints/...` addresses are looked up.
        uri: any address that `load_model` takes.
        device: where the weights go.
        half: "captioner" or "filter": what it will be used for.

    Raises:
        ModelError: there is no such model or device, or it was imported without weights for
            that half.
    """
    check_device(device)
    address, stamp = resolved(lake, uri)
    # Two threads that start together would otherwise each load it.
    with _loading:
        loaded = _held(lake, address, stamp, device)
    halves = loaded.facts.get("halves", [half])
    if half and half not in halves:
        raise ModelError(
            f"{uri} came with weights for a {' and a '.join(halves)} only and cannot be used as a "
            f"{half}; finetune it first, or give another address"
        )
    return loaded


@lru_cache(maxsize=MODELS_HELD)
def _held(lake: Lake, uri: str, _: str, device: str) -> LoadedModel:
    return load_model(lake, uri, device)


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

    The next batch is read and decoded while the device works on this one. When the device runs out
    of memory the batch is halved, for good, and the work goes on.

    Args:
        lake: where the tars are.
        loaded: the model; decides the pictures' size and normalisation.
        items: a picture and what belongs to it.
        batch_size: most pictures at once.
        work: from normalised pixels (B, 3, S, S) on the device and B items to B results.

    Returns:
        One result an item.

    Raises:
        ModelError: not even one picture fits the device's memory.
    """
    results: list[Result] = []
    limit = batch_size
    for part, squares in _decoded_ahead(lake, items, loaded, batch_size):
        at = 0
        while at < len(part):
            some = slice(at, at + limit)
            done = _attempt(loaded, squares[some], [item for _, item in part[some]], work)
            if done is not None:
                results += done
                at += limit
            elif limit == 1:
                raise ModelError(
                    f"one picture does not fit the memory of {loaded.model.device}; close what "
                    "else runs there, or use a smaller model or max_length"
                )
            else:
                limit = max(1, limit // 2)
                torch.cuda.empty_cache()
                log.warning("out of device memory: going on with %d pictures a batch", limit)
    return results


def _attempt(
    loaded: LoadedModel | LoadedAnswerer,
    squares: Tensor,
    items: list[Item],
    work: Callable[[Tensor, list[Item]], list[Result]],
) -> list[Result] | None:
    """Do one batch; None when the device's memory was not enough."""
    device = loaded.model.device
    try:
        with inference(device.type):
            images = squares.to(device, non_blocking=True)
            return work(pixels_for(loaded.model.shape.vision, images), items)
    except torch.OutOfMemoryError:
        # Nothing is kept here: while the exception lives, so do the tensors of its frames.
        return None


def _decoded_ahead(
    lake: Lake,
    items: Sequence[tuple[Picture, Item]],
    loaded: LoadedModel | LoadedAnswerer,
    batch_size: int,
) -> Iterator[tuple[Sequence[tuple[Picture, Item]], Tensor]]:
    """Yield batches of items with their squares, reading one batch ahead."""
    size = loaded.model.shape.vision.image_size
    parts = [items[at : at + batch_size] for at in range(0, len(items), batch_size)]
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = [
            pool.submit(read_pictures, lake, [picture for picture, _ in part], size)
            for part in parts[:1]
        ]
        for number, part in enumerate(parts):
            squares = waiting.pop().result()
            for later in parts[number + 1 : number + 2]:
                pictures = [picture for picture, _ in later]
                waiting.append(pool.submit(read_pictures, lake, pictures, size))
            yield part, squares
