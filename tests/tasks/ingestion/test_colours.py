"""Colours are sRGB's: profiles and inks are turned into them, by what they do."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from tasks.ingestion.pictures.images import stored_picture
from tasks.ingestion.settings import Ingestion
from tasks.rows import Outcome
from tests.crafted import saved
from tests.drawn import HEIGHT, WIDTH, pixels

HOW = Ingestion(encode_format="png", encode_quality=1, skip_reencode=False)
DRAWN = pixels()


def stored(content: bytes) -> NDArray[np.int64]:
    """The stored pixels, as numbers that can be subtracted."""
    found = stored_picture(content, HOW)
    assert found.outcome is Outcome.KEPT, found.message
    with Image.open(io.BytesIO(found.content)) as image:
        assert image.mode == "RGB"
        return np.asarray(image).astype(np.int64)


def profile_with(old: bytes, new: bytes) -> bytes:
    """SRGB's profile with something else in it, and another name."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(old, b"tmp!").replace(new, old).replace(b"tmp!", new)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "JPEG", "AVIF"])
def test_a_profile_is_believed_for_what_it_does_and_not_for_its_name(kind: str) -> None:
    """This one is called sRGB, and its red is blue."""
    red = np.full((HEIGHT, WIDTH, 3), (230, 40, 60), np.uint8)
    how: dict[str, Any] = {"quality": 95} if kind in ("JPEG", "WEBP", "AVIF") else {}
    content = saved(red, kind, icc_profile=profile_with(b"rXYZ", b"bXYZ"), **how)
    assert np.abs(stored(content)[20, 30] - (60, 40, 230)).max() < 8


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_srgb_profiles_and_profiles_of_other_colours_change_nothing(kind: str) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    how: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    for profile in (srgb, srgb.replace(b"RGB XYZ", b"CMYKXYZ"), b"none at all"):
        assert np.array_equal(stored(saved(DRAWN, kind, icc_profile=profile, **how)), DRAWN)


@pytest.mark.parametrize("is_adobes", [True, False])
def test_inks_become_the_colours_they_print(is_adobes: bool) -> None:
    content = saved(DRAWN, "JPEG", "CMYK", quality=98)
    adobe = content.find(b"\xff\xee")
    size = int.from_bytes(content[adobe + 2 : adobe + 4], "big")
    if not is_adobes:  # every viewer takes the inks for Adobe's all the same
        content = content[:adobe] + content[adobe + 2 + size :]
    assert np.abs(stored(content) - DRAWN).mean() < 3
