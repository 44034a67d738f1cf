"""The pictures of a shard, read from its tar by offset and decoded to squares.

The rows of `web/` know where each picture's bytes lie in the tar, so any of them is one seek and
one read away, on a disk as on an object store. A square is a plain resize of the whole picture,
without a crop: that is BLIP's test transform, and cropping comes later, on the device.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks import rows
from tasks.errors import LakeError
from tasks.storage import Lake, Shard


@dataclass(frozen=True, slots=True)
class Picture:
    """Where one picture's bytes lie: `size` bytes at `offset` of the file `tar`."""

    key: str
    tar: str
    offset: int
    size: int


def shard_pictures(lake: Lake, shard: Shard) -> list[Picture]:
    """Return the kept pictures of a shard in the order of its rows.

    Raises:
        LakeError: the shard has not been ingested.
    """
    table = rows.read_rows(
        lake, lake.rows("web", "", shard), ["key", "outcome", "tar_offset", "tar_size"]
    )
    tar = lake.web_tar(shard)
    return [
        Picture(row["key"], tar, row["tar_offset"], row["tar_size"])
        for row in table.to_pylist()
        if row["outcome"] == rows.Outcome.KEPT and row["tar_offset"] is not None
    ]


def read_pictures(lake: Lake, pictures: Sequence[Picture], image_size: int) -> Tensor:
    """Return the pictures as uint8 (N, image_size, image_size, 3), RGB, in the order given.

    Raises:
        LakeError: a tar is missing or a picture in it is damaged; the line names it.
    """
    squares = np.empty((len(pictures), image_size, image_size, 3), dtype=np.uint8)
    contents = _read(lake, pictures)

    def fill(place: int) -> None:
        squares[place] = _square(contents[place], pictures[place], image_size)

    # OpenCV lets go of the interpreter lock, so threads do decode at once; as many as torch was
    # allowed, which is what OMP_NUM_THREADS or a scheduler granted this process.
    with ThreadPoolExecutor(max_workers=torch.get_num_threads()) as pool:
        list(pool.map(fill, range(len(pictures))))
    return torch.from_numpy(squares)


def _read(lake: Lake, pictures: Sequence[Picture]) -> list[bytes]:
    """Read the bytes of every picture, each tar opened once and read forwards."""
    contents = [b""] * len(pictures)
    places = sorted(range(len(pictures)), key=lambda p: (pictures[p].tar, pictures[p].offset))
    opened, file = "", None
    try:
        for place in places:
            picture = pictures[place]
            if picture.tar != opened or file is None:
                if file is not None:
                    file.close()
                opened, file = picture.tar, _open(lake, picture.tar)
            file.seek(picture.offset)
            contents[place] = file.read(picture.size)
    finally:
        if file is not None:
            file.close()
    return contents


def _open(lake: Lake, tar: str) -> BinaryIO:
    try:
        return cast(BinaryIO, lake.fs.open(lake.path(tar), "rb"))
    except FileNotFoundError as error:
        raise LakeError(
            f"{tar} is missing in {lake.root} although its rows are there; remove the shard's "
            "ingestion commit and run ingestion again"
        ) from error


def square_of(content: bytes, image_size: int) -> NDArray[np.uint8] | None:
    """Decode and resize one picture to uint8 (image_size, image_size, 3), RGB, upright.

    None when the bytes are no picture.
    """
    decoded = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), cv2.IMREAD_COLOR)
    if decoded is None:
        return None
    height, width = decoded.shape[:2]
    if (height, width) != (image_size, image_size):
        # Area averaging when shrinking: OpenCV's bicubic does not filter and would alias.
        shrinks = min(height, width) >= image_size
        how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        decoded = cv2.resize(decoded, (image_size, image_size), interpolation=how)
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _square(content: bytes, picture: Picture, image_size: int) -> NDArray[np.uint8]:
    square = square_of(content, image_size) if len(content) == picture.size else None
    if square is None:
        raise LakeError(
            f"picture {picture.key} at byte {picture.offset} of {picture.tar} cannot be decoded: "
            "the tar is not the one its rows describe; remove the shard's ingestion commit and "
            "run ingestion again"
        )
    return square
