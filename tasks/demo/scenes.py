"""Pictures composed of one to three drawings on a coloured ground, with captions that are true.

A scene is a function of (seed, split, index) alone. One pair of kinds in ten is kept out of the
`web` and `seed` splits, so the evaluation can ask for combinations no training picture shows.
"""

import functools
import hashlib
import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from PIL import Image

from tasks.demo.sprites import HANDS, Hand, sprite
from tasks.demo.words import GROUNDS, KINDS, LANGUAGES, TEMPLATES, english, foreign

Split = Literal["web", "seed", "evaluation"]

SIDE = 96
JPEG_QUALITY = 92
HELD_OUT_SHARE = 10  # one pair in ten
TEMPLATE_WEIGHTS = (60, 20, 20)
# How many of each kind: mostly two things, since one is easy and three are small.
ARRANGEMENTS: tuple[tuple[int, ...], ...] = ((1,), (2,), (3,), (1, 1), (2, 1), (1, 1, 1))
ARRANGEMENT_WEIGHTS = (24, 12, 8, 28, 18, 10)
SIDES_FOR_ONE = tuple(range(52, 81, 4))
SIDES_FOR_MORE = tuple(range(38, 47, 2))


@dataclass(frozen=True, slots=True)
class Placed:
    """One drawing in a picture: its kind, longer side and top left corner in pixels."""

    kind: str
    side: int
    left: int
    top: int
    mirrored: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture's facts; `counts` is in caption order, most first, then as one reads."""

    caption: str
    counts: tuple[tuple[str, int], ...]
    colour: str
    hand: Hand
    template: int
    placed: tuple[Placed, ...]
    shade: tuple[int, int, int]

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of things in the picture."""
        return frozenset(name for name, _ in self.counts)

    def paraphrase(self, template: int) -> str:
        """The same facts in another sentence; `template` counts on from this scene's own."""
        return english(dict(self.counts), self.colour, (self.template + template) % len(TEMPLATES))

    def translated(self, language: int) -> str:
        """The same facts in German, French or Spanish."""
        return foreign(dict(self.counts), self.colour, LANGUAGES[language % len(LANGUAGES)])


def compose(seed: int, split: Split, index: int) -> Scene:
    """Return the `index`-th scene of a split.

    Every third evaluation scene shows a held-out pair; no scene of another split does.
    """
    draw = random.Random(f"{seed}/{split}/{index}")
    wants_held_out = split == "evaluation" and index % 3 == 0
    while True:
        arrangement = draw.choices(ARRANGEMENTS, ARRANGEMENT_WEIGHTS)[0]
        kinds = draw.sample(tuple(KINDS), len(arrangement))
        if _has_held_out_pair(kinds) == wants_held_out:
            return _arranged(draw, kinds, arrangement)


def held_out(one: str, other: str) -> bool:
    """True when no training picture may show these two kinds together."""
    digest = hashlib.sha256("/".join(sorted((one, other))).encode()).digest()
    return digest[0] % HELD_OUT_SHARE == 0


def _has_held_out_pair(kinds: Sequence[str]) -> bool:
    return any(held_out(one, other) for one, other in combinations(kinds, 2))


def _arranged(draw: random.Random, kinds: Sequence[str], arrangement: Sequence[int]) -> Scene:
    things = [kind for kind, n in zip(kinds, arrangement, strict=True) for _ in range(n)]
    draw.shuffle(things)
    hand = draw.choice(HANDS)
    placed = tuple(_placed(draw, things))
    # dict.fromkeys keeps the reading order; sorted is stable, so it breaks ties between counts.
    counts = sorted(((k, things.count(k)) for k in dict.fromkeys(things)), key=lambda kn: -kn[1])
    colour = draw.choice(tuple(GROUNDS))
    template = draw.choices(range(len(TEMPLATES)), TEMPLATE_WEIGHTS)[0]
    # One shift for all channels, so that white stays white and no ground nears its neighbour.
    shift = draw.randint(-8, 4)
    red, green, blue = (value + shift for value in GROUNDS[colour].rgb)
    return Scene(
        caption=english(dict(counts), colour, template),
        counts=tuple(counts),
        colour=colour,
        hand=hand,
        template=template,
        placed=placed,
        shade=(red, green, blue),
    )


def _placed(draw: random.Random, things: Sequence[str]) -> list[Placed]:
    """Give each thing a cell of its own, so that none hides another."""
    if len(things) == 1:
        cells, sides = [(0, 0, SIDE)], SIDES_FOR_ONE
    else:
        half = SIDE // 2
        corners = sorted(draw.sample(range(4), len(things)))
        cells = [(half * (c % 2), half * (c // 2), half) for c in corners]
        sides = SIDES_FOR_MORE
    placed = []
    for kind, (left, top, room) in zip(things, cells, strict=True):
        side = draw.choice(sides)
        x, y = (draw.randint(0, room - side) for _ in range(2))
        placed.append(Placed(kind, side, left + x, top + y, draw.random() < 0.5))
    return placed


def picture(scene: Scene) -> Image.Image:
    """Return the scene as RGB, `SIDE` pixels square."""
    image = _ground(scene.shade)
    for thing in scene.placed:
        drawn = sprite(thing.kind, scene.hand, thing.side)
        if thing.mirrored:
            drawn = drawn.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        # Centred on the square its longer side spans.
        left = thing.left + (thing.side - drawn.width) // 2
        top = thing.top + (thing.side - drawn.height) // 2
        image.paste(drawn, (left, top), drawn)
    return image


def _ground(shade: tuple[int, int, int]) -> Image.Image:
    """A ground that darkens a little downwards, as a studio wall does."""
    dark = Image.new("RGB", (SIDE, SIDE), tuple(round(value * 0.9) for value in shade))
    dark.paste(shade, mask=_falling())
    return dark


@functools.cache
def _falling() -> Image.Image:
    return Image.linear_gradient("L").rotate(180).resize((SIDE, SIDE))


def jpeg(image: Image.Image, quality: int = JPEG_QUALITY) -> bytes:
    """Return a picture as JPEG bytes."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
