"""Signals are what their definitions give when computed slowly, pixel by pixel, in float64."""

import math
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tasks import rows
from tasks.ingestion.pictures.hashes import without_border
from tasks.ingestion.pictures.signals import at_one_scale, image_signals

Array = NDArray[Any]
SIZES = [(97, 131), (256, 191), (171, 256), (43, 67)]


def picture(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """Waves and blobs of colour with grain: light, dark, smooth and rough parts."""
    random = np.random.default_rng(seed)
    down, across = np.mgrid[:height, :width] / max(height, width)
    drawn = np.zeros((height, width, 3))
    for channel in range(3):
        for _ in range(4):
            fx, fy, phase = random.uniform(1, 9, 3)
            drawn[..., channel] += 45 * np.sin(6.3 * (fx * across + fy * down) + phase)
    drawn[height // 3 : height // 2, : width // 2] = random.uniform(0, 255, 3)
    drawn += 110 + random.normal(0, 6, (height, width, 1)) * (across > 0.4)[..., None]
    return np.asarray(drawn.clip(0, 255), dtype=np.uint8)


def grey_of(pixels: Array) -> Array:
    """Rec. 601 luma in OpenCV's whole numbers."""
    wide = pixels.astype(int)
    luma = 9798 * wide[..., 0] + 19235 * wide[..., 1] + 3735 * wide[..., 2]
    return np.asarray((luma + (1 << 14)) >> 15)


def averaging(inner: int, outer: int) -> Array:
    """Row i: how much of each of `inner` pixels lies in the i-th of `outer` equal parts."""
    weights = np.zeros((outer, inner))
    for i in range(outer):
        for j in range(inner):
            overlap = min(j + 1, (i + 1) * inner / outer) - max(j, i * inner / outer)
            weights[i, j] = max(overlap, 0.0) * outer / inner
    return weights


def area(grey: Array, height: int, width: int) -> Array:
    down, across = averaging(grey.shape[0], height), averaging(grey.shape[1], width)
    return np.asarray(np.rint(down @ grey @ across.T))


def bits(signs: list[bool]) -> int:
    return int("".join("01"[sign] for sign in signs), 2)


def slow_hashes(grey: Array) -> tuple[int, int]:
    square = area(grey, 32, 32)
    low = []
    for u in range(8):
        for v in range(8):
            total = sum(
                square[y, x]
                * math.cos(math.pi * (2 * y + 1) * u / 64)
                * math.cos(math.pi * (2 * x + 1) * v / 64)
                for y in range(32)
                for x in range(32)
            )
            low.append(total * (0.5**0.5) ** ((u == 0) + (v == 0)))
    middle = sorted(low)[31:33]
    small = area(square, 8, 9)
    brighter = [bool(small[y, x] > small[y, x + 1]) for y in range(8) for x in range(8)]
    return bits([bool(one > sum(middle) / 2) for one in low]), bits(brighter)


def neighbours(grey: Array) -> dict[tuple[int, int], Array]:
    """(dy, dx) -> grey shifted by it, mirrored at the rim without doubling its last row."""
    around = np.pad(grey.astype(np.float64), 1, mode="reflect")
    height, width = grey.shape
    steps = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return {(y, x): around[1 + y : 1 + y + height, 1 + x : 1 + x + width] for y, x in steps}


def slow_signals(pixels: Array) -> dict[str, float]:
    grey, colour = grey_of(pixels), pixels.astype(np.float64)
    near = neighbours(grey)
    laplacian = near[-1, 0] + near[1, 0] + near[0, -1] + near[0, 1] - 4 * near[0, 0]
    across = sum((2 - abs(y)) * (near[y, 1] - near[y, -1]) for y in (-1, 0, 1))
    down = sum((2 - abs(x)) * (near[1, x] - near[-1, x]) for x in (-1, 0, 1))
    strong = np.abs(across) + np.abs(down) >= 200
    straight = strong & (np.minimum(np.abs(across), np.abs(down)) < 32)
    shares = np.array([(grey == level).mean() for level in range(256)])
    opponents = (
        colour[..., 0] - colour[..., 1],
        (colour[..., 0] + colour[..., 1]) / 2 - colour[..., 2],
    )
    spread = math.hypot(*(float(one.std()) for one in opponents))
    shades = (pixels // 16).reshape(-1, 3)
    brightness = np.sort(grey.ravel()) / 255
    at = [math.ceil(p * grey.size) - 1 for p in (0.01, 0.5, 0.99)]
    return {
        "lap_var": float(laplacian.var()),
        "entropy": -sum(share * math.log2(share) for share in shares if share > 0),
        "bright_p1": brightness[at[0]],
        "bright_p50": brightness[at[1]],
        "bright_p99": brightness[at[2]],
        "colorfulness": spread + 0.3 * math.hypot(*(float(one.mean()) for one in opponents)),
        "flat_frac": np.unique(shades, axis=0, return_counts=True)[1].max() / grey.size,
        "edge_frac": float(strong.mean()),
        "axis_frac": straight.sum() / max(strong.sum(), 1),
    }


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", SIZES)
def test_signals_are_those_of_the_slow_method(size: tuple[int, int], seed: int) -> None:
    pixels = picture(*size, seed)
    found = image_signals(pixels)
    slow = slow_signals(pixels)
    assert {name: found[name] for name in slow} == pytest.approx(slow, rel=1e-4, abs=1e-4)
    assert 0.01 < slow["edge_frac"] < 0.6
    assert 0.01 < slow["axis_frac"] < 0.99


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", SIZES)
def test_hashes_are_bit_for_bit_those_of_the_slow_method(size: tuple[int, int], seed: int) -> None:
    pixels = picture(*size, seed)
    found = image_signals(pixels)
    assert (found["phash"], found["dhash"]) == slow_hashes(grey_of(pixels))


def test_every_signal_has_its_column() -> None:
    assert set(image_signals(picture(43, 67, 0))) <= set(rows.WEB.names)


def test_a_large_picture_is_measured_at_256_pixels() -> None:
    large = picture(1201, 797, 1)
    assert at_one_scale(large).shape == (256, 169, 3)  # halved twice, then 300 x 199 -> 256 x 169
    small = at_one_scale(large)
    apart = np.abs(
        small.astype(int) - cv2.resize(large, (169, 256), interpolation=cv2.INTER_AREA).astype(int)
    )
    assert apart.mean() < 4
    fewer = picture(191, 256, 1)
    assert at_one_scale(fewer) is fewer


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (2, 3), (1, 999), (2003, 2), (513, 1)])
def test_a_picture_of_any_shape_has_finite_signals(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    found = image_signals(pixels)
    assert all(math.isfinite(value) for value in found.values() if value is not None)


def test_one_colour_is_flat_dark_or_light_and_without_edges() -> None:
    found = image_signals(np.full((43, 67, 3), 51, np.uint8))
    expected = {
        "lap_var": 0,
        "entropy": 0,
        "bright_p1": 0.2,
        "bright_p99": 0.2,
        "colorfulness": 0,
        "flat_frac": 1,
        "edge_frac": 0,
        "axis_frac": 0,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_a_symmetric_drawing_keeps_its_hash_when_it_gets_brighter() -> None:
    # Half of its coefficients are zero; with rounding noise instead their bits would be dice.
    half = picture(131, 64, 3) // 2
    drawn = np.concatenate([half, half[:, ::-1]], axis=1)
    assert image_signals(drawn)["phash"] == image_signals(drawn + np.uint8(32))["phash"]


def bordered(pixels: Array, by: int) -> Array:
    return cv2.copyMakeBorder(pixels, by, by, by, by, cv2.BORDER_CONSTANT, value=(255, 255, 255))


def apart(one: Any, other: Any) -> int:
    return int(one ^ other).bit_count()


@pytest.mark.parametrize("seed", range(5))
def test_a_border_changes_the_hash_and_not_the_trimmed_one(seed: int) -> None:
    plain = picture(197, 211, seed)
    framed = cv2.imencode(".jpg", bordered(plain, 13), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    one = image_signals(plain)
    other = image_signals(np.asarray(cv2.imdecode(framed, cv2.IMREAD_COLOR), dtype=np.uint8))
    assert one["trimmed_phash"] is one["trimmed_dhash"] is None
    assert apart(one["phash"], other["phash"]) > 3
    assert apart(one["phash"], other["trimmed_phash"]) <= 3
    assert apart(one["dhash"], other["trimmed_dhash"]) <= 10


@pytest.mark.parametrize(
    ("by", "inner"), [(0, None), (1, None), (9, (197, 211)), (24, (197, 211)), (25, None)]
)
def test_only_a_border_worth_the_name_is_trimmed(by: int, inner: tuple[int, int] | None) -> None:
    # 1 pixel leaves 98 % of the picture; 25 leave 197 of 247 rows, less than 80 % of its height.
    found = without_border(grey_of(bordered(picture(197, 211, 2) // 2, by)).astype(np.uint8))
    assert (None if found is None else found.shape) == inner


def test_of_a_picture_of_one_grey_nothing_is_trimmed() -> None:
    assert without_border(np.full((43, 67), 255, np.uint8)) is None
