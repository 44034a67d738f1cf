"""Bytes -> pixels as a viewer shows them: upright, sRGB, 8 bits, three channels, alpha on white.

JPEGs are decoded strictly and, when they will be shrunk, at a power-of-two scale inside the
inverse DCT, which costs a third of a full decode. No half-grey picture is ever returned.
"""

import io

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageCms

from tasks.ingestion.fetched import storable
from tasks.ingestion.header import DECODED, PILLOW_ERRORS, Header, NotStorableError
from tasks.rows import Outcome

Pixels = NDArray[np.uint8]
EOI = b"\xff\xd9"
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
# EXIF orientation -> what to do with rows and columns (EXIF 2.32, section 4.6.4).
TURNS = {
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: p.transpose(1, 0, 2)[:, ::-1],
    7: lambda p: p.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda p: p.transpose(1, 0, 2)[::-1],
}


def decode(content: bytes, header: Header, needed: tuple[int, int]) -> Pixels:
    """Return uint8 (H, W, 3) RGB, upright.

    Args:
        content: the picture's bytes.
        header: what `read_header` said of them.
        needed: width and height, as stored, that the result must not fall below.

    Raises:
        NotStorableError: the bytes end too early or are damaged.
    """
    is_plain = header.format == "jpeg" and (
        header.mode == "RGB" or (header.mode == "L" and not header.icc)
    )
    pixels = _jpeg(content, header, needed) if is_plain else _pillow(content, header)
    if is_plain and header.icc:  # after the shrinking decode: there are fewer pixels to convert
        pixels = np.asarray(_in_srgb(Image.fromarray(pixels), header.icc))
    turn = TURNS.get(header.orientation)
    return np.ascontiguousarray(turn(pixels)) if turn else pixels


def _jpeg(content: bytes, header: Header, needed: tuple[int, int]) -> Pixels:
    factor = _shrink_factor(header, needed)
    wanted = {
        "colorspace": "RGB",
        "min_width": -(-header.width // factor),
        "min_height": -(-header.height // factor),
        "min_factor": factor,
        "strict": True,
    }
    try:
        return simplejpeg.decode_jpeg(content, **wanted)
    except ValueError as error:
        if not content.rstrip(b"\0").endswith(EOI):
            # A complete scan that only lacks its end mark passes; a truncated one still fails.
            try:
                return simplejpeg.decode_jpeg(content + EOI, **wanted)
            except ValueError:
                raise NotStorableError(Outcome.TRUNCATED, "the JPEG ends too early") from error
        said = storable(f"the JPEG is damaged ({error})")
        raise NotStorableError(Outcome.CORRUPT, said) from error


def _shrink_factor(header: Header, needed: tuple[int, int]) -> int:
    """Return the largest of 8, 4, 2, 1 that leaves at least `needed` pixels."""
    ratio = min(header.width / max(needed[0], 1), header.height / max(needed[1], 1))
    return next((factor for factor in (8, 4, 2) if ratio >= factor), 1)


def _pillow(content: bytes, header: Header) -> Pixels:
    try:
        if ";16" in header.mode or header.mode in ("I", "F"):
            return _sixteen_bits(content)
        with Image.open(io.BytesIO(content), formats=DECODED) as image:
            image.load()
            return np.asarray(_flattened(_in_srgb(image, header.icc)))
    except (*PILLOW_ERRORS, cv2.error) as error:
        # Both raise the same for an early end and for damage; the end of the file tells.
        short = isinstance(error, EOFError) or not _has_end(content, header.format)
        outcome = Outcome.TRUNCATED if short else Outcome.CORRUPT
        said = storable(f"the {header.format} cannot be decoded ({error})")
        raise NotStorableError(outcome, said) from error


def _has_end(content: bytes, kind: str) -> bool:
    ends = {"png": b"IEND", "jpeg": EOI, "gif": b"\x3b"}
    if kind == "webp":
        return len(content) >= 8 + int.from_bytes(content[4:8], "little")
    return ends.get(kind, b"") in content[-16:]


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        converted = ImageCms.profileToProfile(image, source, SRGB, outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image  # a profile that does not fit is common; viewers then leave it out
    return converted or image


def _flattened(image: Image.Image) -> Image.Image:
    has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    if not has_alpha:
        return image.convert("RGB")
    above = image.convert("RGBA")
    white = Image.new("RGBA", above.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, above).convert("RGB")


def _sixteen_bits(content: bytes) -> Pixels:
    """Scale 16 bits to 8; Pillow clips them, which blows pictures out to white."""
    raw = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if raw is None:
        raise ValueError("no pixels")
    scaled = np.clip(raw.astype(np.float32), 0, None)
    top = 65535.0 if raw.dtype == np.uint16 else max(float(scaled.max()), 1.0)
    eight = raw if raw.dtype == np.uint8 else np.round(scaled * (255.0 / top)).astype(np.uint8)
    if eight.ndim == 2:
        return np.repeat(eight[:, :, None], 3, axis=2)
    colour = eight[:, :, :3][:, :, ::-1].astype(np.float32)
    if eight.shape[2] == 4:
        alpha = eight[:, :, 3:].astype(np.float32) / 255.0
        colour = colour * alpha + 255.0 * (1 - alpha)
    return np.ascontiguousarray(np.round(colour).astype(np.uint8))
