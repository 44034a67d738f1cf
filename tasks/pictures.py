"""The pictures of a shard, read from its tar by offset and decoded to squares.

The rows of `web/` know where each picture's bytes lie in the tar, so any of them is one seek and
one read away, on a disk as on an object store. A square is a plain resize of the whole picture,
without a crop: that is BLIP's test transform, and cropping comes later, on the device.

OpenCV and torch let go of the interpreter lock, so threads decode and resize at once.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.resizing import resized
from tasks import rows
from tasks.errors import LakeError
from tasks.storage import Lake, Shard


@dataclass(frozen=True, slots=True)
class Picture:
    """Where one picture's bytes lie: `size` bytes at `offset` of the file `tar`.

    `aspect` is its width over its height, where that is known.
    """

    key: str
    tar: str
    offset: int
    size: int
    aspect: float = 1.0


def shard_pictures(lake: Lake, shard: Shard) -> list[Picture]:
    """Return the kept pictures of a shard in the order of its rows.

    Raises:
        LakeError: the shard has not been ingested.
    """
    columns = ["key", "outcome", "tar_offset", "tar_size", "width", "height"]
    table = rows.read_rows(lake, lake.rows("web", "", shard), columns)
    tar = lake.web_tar(shard)
    return [
        Picture(row["key"], tar, row["tar_offset"], row["tar_size"], _aspect(row))
        for row in table.to_pylist()
        if row["outcome"] == rows.Outcome.KEPT and row["tar_offset"] is not None
    ]


def _aspect(row: Mapping[str, Any]) -> float:
    width, height = row["width"], row["height"]
    return width / height if width and height else 1.0  # rows of older lakes may not say


def read_pictures(lake: Lake, pictures: Sequence[Picture], image_size: int) -> Tensor:
    """Return the pictures as uint8 (N, image_size, image_size, 3), RGB, in the order given.

    Raises:
        LakeError: a tar is missing or a picture in it is damaged; the line names it.
    """
    # As many threads as torch was allowed, which is what OMP_NUM_THREADS or a scheduler granted
    # this process.
    with ThreadPoolExecutor(max_workers=torch.get_num_threads()) as pool:
        squares = list(
            pool.map(
                lambda found: resized(whole_picture(*found), image_size),
                zip(read_bytes(lake, pictures), pictures, strict=True),
            )
        )
    return (
        torch.stack(squares)
        if squares
        else torch.empty(0, image_size, image_size, 3, dtype=torch.uint8)
    )


def read_bytes(lake: Lake, pictures: Sequence[Picture]) -> list[bytes]:
    """Read the bytes of every picture, each tar opened once and read forwards.

    Raises:
        LakeError: a tar is missing.
    """
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


def decoded(content: bytes) -> Tensor | None:
    """Decode one picture to uint8 (H, W, 3), RGB, upright; None when the bytes are none."""
    try:
        pixels = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # no bytes at all, or more pixels than OpenCV allows
        return None
    return None if pixels is None else torch.from_numpy(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))


def square_of(content: bytes, image_size: int) -> NDArray[np.uint8] | None:
    """Decode and resize one picture to uint8 (image_size, image_size, 3), RGB, upright.

    None when the bytes are no picture.
    """
    found = decoded(content)
    return None if found is None else resized(found, image_size).numpy()


def whole_picture(content: bytes, picture: Picture) -> Tensor:
    """Decode what was read of a shard; as `decoded`.

    Raises:
        LakeError: it is not the whole picture that the shard's rows describe.
    """
    found = decoded(content) if len(content) == picture.size else None
    if found is None:
        raise LakeError(
            f"picture {picture.key} at byte {picture.offset} of {picture.tar} cannot be decoded: "
            "the tar is not the one its rows describe; remove the shard's ingestion commit and "
            "run ingestion again"
        )
    return found
