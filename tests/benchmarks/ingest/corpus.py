"""Pictures that cost what photographs cost, the same on every machine, drawn once.

Scenes are dead leaves (Lee, Mumford and Huang, 2001: overlapping shapes whose sizes follow a power
law), each leaf with its own roughness of 1/f texture; a picture is a crop of a scene with sensor
noise. That gives the edges, the spectrum and, above all, the entropy of photographs: what decoding
a JPEG costs is its bits, not its pixels. Sizes, formats and qualities are spread as on the web.
"""

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from PIL import Image

SEED = 20_261_121
SCENES = 8
SCENE_HEIGHT, SCENE_WIDTH = 2300, 3000
TEXTURE_SIDE = 1024
LEAVES = 1000
SMALLEST_LEAF, LARGEST_LEAF = 40.0, 900.0  # radii in pixels
# Formats by share; the median of the longer side goes with the format, as on the web.
FORMATS = (("jpg", 0.88, 1150), ("png", 0.06, 420), ("webp", 0.06, 800))
PROGRESSIVE = 0.2
EXIF = 0.25

Pixels = NDArray[np.uint8]
Field = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A picture of the corpus.

    Attributes:
        file: its name in the folder, such as 00007.jpg.
        kind: jpg, png or webp.
        progressive: a JPEG that comes in scans, whose decoding costs three times as much.
        sha256: of the file, 64 hex digits.
    """

    file: str
    kind: str
    width: int
    height: int
    bytes: int
    progressive: bool
    sha256: str


def corpus(folder: Path, pictures: int, processes: int) -> list[Drawn]:
    """Return the first `pictures` of the corpus, drawing those that the folder lacks."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [i for i in range(pictures) if not _facts(folder, i).exists()]
    if missing:
        sys.stderr.write(f"drawing {len(missing)} pictures into {folder} (once)\n")
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            done = pool.map(_draw, [folder] * len(missing), missing, chunksize=10)
            for count, _ in enumerate(done, start=1):
                if count % 300 == 0:
                    sys.stderr.write(f"  {count} of {len(missing)}\n")
    return [Drawn(**json.loads(_facts(folder, i).read_text())) for i in range(pictures)]


def digest_of(pictures: Sequence[Drawn]) -> str:
    """Return 12 hex digits that two machines with the same corpus agree on."""
    return hashlib.sha256("".join(p.sha256 for p in pictures).encode()).hexdigest()[:12]


def _facts(folder: Path, index: int) -> Path:
    return folder / f"{index:05d}.json"


def _draw(folder: Path, index: int) -> None:
    """Draw, encode and store one picture, its facts last."""
    random = default_rng([SEED, index])
    kind, _, median = FORMATS[random.choice(len(FORMATS), p=[share for _, share, _ in FORMATS])]
    pixels = _picture(random, *_size(random, median))
    progressive = bool(kind == "jpg" and random.random() < PROGRESSIVE)
    encoded = _encoded(random, pixels, kind, progressive=progressive)
    file = folder / f"{index:05d}.{kind}"
    file.write_bytes(encoded)
    height, width = pixels.shape[:2]
    drawn = Drawn(
        file=file.name,
        kind=kind,
        width=width,
        height=height,
        bytes=len(encoded),
        progressive=progressive,
        sha256=hashlib.sha256(encoded).hexdigest(),
    )
    part = file.with_suffix(".part")
    part.write_text(json.dumps(asdict(drawn)))
    part.rename(_facts(folder, index))


def _size(random: Generator, median: int) -> tuple[int, int]:
    """Return width and height; the longer side is log-normal about its median."""
    longer = float(np.clip(random.lognormal(np.log(median), 0.4), 280, 3000))
    aspect = float(np.clip(random.lognormal(np.log(1.3), 0.25), 0.6, 2.4))
    width, height = (longer, longer / aspect) if aspect >= 1 else (longer * aspect, longer)
    return int(width), int(height)


def _picture(random: Generator, width: int, height: int) -> Pixels:
    """Return a crop of a scene at its size, with its own exposure and sensor noise."""
    scene = _scene(int(random.integers(SCENES)))
    scale = min(SCENE_WIDTH / width, SCENE_HEIGHT / height) * random.uniform(0.45, 1.0)
    across, down = max(2, int(width * scale)), max(2, int(height * scale))
    left = int(random.integers(SCENE_WIDTH - across + 1))
    top = int(random.integers(SCENE_HEIGHT - down + 1))
    crop = scene[top : top + down, left : left + across]
    if random.random() < 0.5:
        crop = np.ascontiguousarray(crop[:, ::-1])
    how = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
    resized = cv2.resize(crop, (width, height), interpolation=how).astype(np.float32)
    exposure = random.uniform(0.85, 1.15, 3).astype(np.float32)
    noise = random.standard_normal((height, width, 3), dtype=np.float32)
    exposed = resized * exposure + noise * np.float32(random.uniform(0.3, 1.45))
    return np.asarray(np.clip(exposed, 0, 255).astype(np.uint8))


def _encoded(random: Generator, pixels: Pixels, kind: str, *, progressive: bool) -> bytes:
    image, to = Image.fromarray(pixels), BytesIO()
    quality = int(random.integers(70, 94))
    if kind == "png":
        image.save(to, "PNG", compress_level=6)
    elif kind == "webp":
        image.save(to, "WEBP", quality=quality, method=3)
    else:
        exif = Image.Exif()
        if random.random() < EXIF:
            exif[271], exif[272], exif[274] = "Caplift", "Bench", 1  # maker, model, upright
        subsampling = 2 if random.random() < 0.85 else 0
        options = {"quality": quality, "subsampling": subsampling, "progressive": progressive}
        image.save(to, "JPEG", optimize=bool(random.random() < 0.5), exif=exif, **options)
    return to.getvalue()


@cache
def _scene(number: int) -> Pixels:
    """Return dead leaves, (SCENE_HEIGHT, SCENE_WIDTH, 3), each with its own roughness."""
    random = default_rng([SEED, 1_000_000 + number])
    cv2.setNumThreads(1)  # the pool has a process a core
    colours = np.zeros((SCENE_HEIGHT, SCENE_WIDTH, 3), np.uint8)
    roughness = np.zeros((SCENE_HEIGHT, SCENE_WIDTH), np.uint8)
    for centre, axes, angle in _leaves(random):
        grey = random.uniform(20, 235)
        colour = np.clip(grey + random.normal(0, 22, 3), 5, 250).tolist()
        shape = (centre, axes, angle, 0, 360)
        cv2.ellipse(colours, *shape, colour, -1, cv2.LINE_AA)
        cv2.ellipse(roughness, *shape, float(random.gamma(1.2, 20)), -1)
    scene = colours.astype(np.float32)
    scene += _texture(random)[..., None] * (roughness.astype(np.float32) / 40 * 5)[..., None]
    for channel in range(3):  # colours of light and of grain, weaker than light and shade
        scene[..., channel] += 1.5 * _texture(random)
    return np.asarray(np.clip(scene, 0, 255).astype(np.uint8))


def _leaves(random: Generator) -> Iterator[tuple[tuple[int, int], tuple[int, int], float]]:
    """Yield centre, axes and angle of leaves, the first one behind all others.

    The density of a radius r falls as r^-3, which makes the picture look alike at every scale.
    """
    yield (SCENE_WIDTH // 2, SCENE_HEIGHT // 2), (SCENE_WIDTH, SCENE_WIDTH), 0.0
    for _ in range(LEAVES):
        low, high = SMALLEST_LEAF**-2, LARGEST_LEAF**-2
        radius = (low - random.random() * (low - high)) ** -0.5
        centre = int(random.integers(SCENE_WIDTH)), int(random.integers(SCENE_HEIGHT))
        axes = int(radius) + 1, int(radius * random.uniform(0.3, 1.0)) + 1
        yield centre, axes, float(random.uniform(0, 180))


def _texture(random: Generator) -> Field:
    """Return noise whose amplitude falls as 1/f, of unit variance, as large as a scene."""
    white = np.fft.rfft2(random.standard_normal((TEXTURE_SIDE, TEXTURE_SIDE)))
    down = np.fft.fftfreq(TEXTURE_SIDE)[:, None]
    across = np.fft.rfftfreq(TEXTURE_SIDE)[None, :]
    frequency = np.hypot(down, across)
    frequency[0, 0] = np.inf  # no constant part
    pink = np.fft.irfft2(white / frequency)
    tiled = np.tile(pink / pink.std(), (3, 3))[:SCENE_HEIGHT, :SCENE_WIDTH]
    return np.asarray(tiled.astype(np.float32))
