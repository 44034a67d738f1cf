"""Pictures that lie in a folder as files, for benchmarks that are evaluated as they come."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import torch

from tasks import rows
from tasks.errors import InputError, LakeError
from tasks.evaluation.leakage import Prints, prints_of
from tasks.ingestion.pictures.signals import image_signals
from tasks.ingestion.sources.urls import BadUrlError, normalise
from tasks.pictures import Picture
from tasks.storage import Lake, open_lake


def open_folder(root: str) -> Lake:
    """Return a folder of pictures as the place that pictures are read from.

    Raises:
        InputError: there is no such folder.
    """
    try:
        return open_lake(root)
    except LakeError as error:
        raise InputError(f"there is no folder of pictures at {root}") from error


def file_pictures(folder: Lake, named: Sequence[tuple[str, str]]) -> list[Picture]:
    """Find the files of pictures.

    Args:
        folder: where they are, at their name or at its last part.
        named: file name, and the URL it was published at or "", of each; the URL gives the key,
            so that the same picture in a selection is known, and else the name does.

    Raises:
        InputError: one is not there; nothing is evaluated on half a benchmark.
    """
    with ThreadPoolExecutor(max_workers=16) as pool:
        found = list(pool.map(lambda one: _found(folder, one[0]), named))
    lost = [name for (name, _), place in zip(named, found, strict=True) if place is None]
    if lost:
        raise InputError(
            f"{len(lost)} of {len(named)} pictures are not in {folder.root}, such as {lost[0]}; "
            "fetch the whole set, or give the folder that the file names begin in"
        )
    return [
        Picture(_key(name, url), place[0], 0, place[1])
        for (name, url), place in zip(named, found, strict=True)
        if place is not None
    ]


def _found(folder: Lake, name: str) -> tuple[str, int] | None:
    # A name that climbs out of its folder is looked for in it by its last part alone.
    own = (name.rsplit("/", 1)[-1],)
    for path in own if ".." in name.split("/") else dict.fromkeys((name, *own)):
        try:
            told = folder.fs.info(folder.path(path))
        except (FileNotFoundError, NotADirectoryError):
            continue
        if told["type"] == "file":
            return path, int(told["size"])
    return None


def _key(name: str, url: str) -> str:
    try:
        return rows.key_of(normalise(url) if url else name)
    except BadUrlError:
        return rows.key_of(name)


def file_prints(folder: Lake, pictures: Sequence[Picture]) -> Prints:
    """Return what tells the files apart, as ingestion would have computed it.

    Raises:
        InputError: one is no picture.
    """

    def print_of(picture: Picture) -> tuple[str, str, int | None]:
        content = folder.read_bytes(picture.tar)
        decoded = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), cv2.IMREAD_COLOR)
        if decoded is None:
            raise InputError(f"{picture.tar} in {folder.root} is no picture; fetch it again")
        looks = image_signals(np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8))
        return picture.key, hashlib.sha256(content).hexdigest(), looks["phash"]

    with ThreadPoolExecutor(max_workers=torch.get_num_threads()) as pool:
        return prints_of(list(pool.map(print_of, pictures)))
