"""Which picture of the demo's web shows which text, and what is wrong with it.

Everything is decided before anything is written, as a function of the settings alone, so the
truth is what the pages were made from and not what somebody read off them.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tasks.bounds import at_least, shares
from tasks.demo.facts import PORT, Noise, Planted, check_port
from tasks.demo.scenes import Scene, compose
from tasks.errors import InputError

BOILERPLATE = (
    "click to enlarge",
    "royalty free stock photo",
    "free desktop wallpaper download",
    "image not available",
    "view full size picture",
    "picture for sale",
    "thumbnail",
    "photo of the day",
)
FILENAMES = (
    "IMG_{:04d}.JPG",
    "DSC{:05d}.jpg",
    "P101{:04d}.JPG",
    "image-{}.jpeg",
    "scan_{:03d}.png",
)
PLACEMENTS = ("alt", "figcaption", "title")
PLACEMENT_WEIGHTS = (65, 20, 15)
LOADINGS = ("eager", "lazy", "srcset")
LOADING_WEIGHTS = (60, 25, 15)
# Shares of the sound pictures that a server is awkward about; all arrive in the end.
FLAKY, MOVED, SLOW = 0.005, 0.005, 0.001
DEAD_PER_STALLED = 75  # one dead picture in 75 is no 404 but a server that never finishes


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """How large the demo's web is and how noisy; each rate is a share of its pictures.

    `port` is fixed because an image's key is made of its URL: another port is another data set.
    """

    pictures: int = 5000
    seed_pictures: int = 800
    evaluation_pictures: int = 500
    swapped: float = 0.30
    boilerplate: float = 0.05
    filenames: float = 0.04
    foreign: float = 0.04
    dead: float = 0.03
    broken: float = 0.02
    duplicates: float = 0.04
    robots: float = 0.01
    per_page: int = 30
    port: int = PORT
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(1, self, "pictures", "seed_pictures", "evaluation_pictures", "per_page")
        shares(self, *RATES)
        if (total := sum(getattr(self, name) for name in RATES)) > 0.9:
            raise InputError(f"the site's rates add up to {total:.2f}; leave a tenth sound (0.9)")
        check_port(self.port)


RATES = (
    "swapped",
    "boilerplate",
    "filenames",
    "foreign",
    "dead",
    "broken",
    "duplicates",
    "robots",
)


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of the pages: where it lies, what it shows, which text stands where."""

    index: int
    path: str
    scene: Scene
    text: str
    right_text: str
    noise: Noise
    placement: str = "alt"
    loading: str = "eager"
    original: str = ""

    @property
    def planted(self) -> Planted:
        """This picture's line of truth."""
        about: dict[str, Any] = facts_of(self.scene)
        if self.original:
            about["original"] = self.original
        return Planted(self.path, self.text, self.right_text, self.noise, about)


def facts_of(scene: Scene) -> dict[str, Any]:
    """What a picture shows, as JSON."""
    return {"counts": dict(scene.counts), "colour": scene.colour, "hand": scene.hand}


def plant(how: Site) -> list[Item]:
    """Return every picture of the pages in page order."""
    draw = random.Random(f"{how.seed}/planting")
    scenes = [compose(how.seed, "web", index) for index in range(how.pictures)]
    noises = _noises(draw, how)
    items = [
        _item(draw, index, scene, noise)
        for index, (scene, noise) in enumerate(zip(scenes, noises, strict=True))
    ]
    items = _awkward(draw, items)
    items = _copied(draw, items)
    return _swapped(draw, items)


def _noises(draw: random.Random, how: Site) -> list[Noise]:
    copies = round(how.duplicates * how.pictures)
    shares: Mapping[Noise, int] = {
        Noise.SWAPPED: round(how.swapped * how.pictures),
        Noise.BOILERPLATE: round(how.boilerplate * how.pictures),
        Noise.FILENAME: round(how.filenames * how.pictures),
        Noise.FOREIGN: round(how.foreign * how.pictures),
        Noise.DEAD: round(how.dead * how.pictures),
        Noise.BROKEN: round(how.broken * how.pictures),
        Noise.DUPLICATE: copies - copies // 2,
        Noise.NEAR_DUPLICATE: copies // 2,
        Noise.ROBOTS: round(how.robots * how.pictures),
    }
    noises = [noise for noise, count in shares.items() for _ in range(count)]
    noises += [Noise.NONE] * (how.pictures - len(noises))
    draw.shuffle(noises)
    return noises


def _item(draw: random.Random, index: int, scene: Scene, noise: Noise) -> Item:
    folder = "members" if noise is Noise.ROBOTS else "pictures"
    return Item(
        index=index,
        path=f"/{folder}/{index // 100:02d}/{index:05d}.jpg",
        scene=scene,
        text=_text(draw, scene, noise),
        right_text=scene.caption,
        noise=noise,
        placement=draw.choices(PLACEMENTS, PLACEMENT_WEIGHTS)[0],
        loading=draw.choices(LOADINGS, LOADING_WEIGHTS)[0],
    )


def _text(draw: random.Random, scene: Scene, noise: Noise) -> str:
    if noise is Noise.BOILERPLATE:
        return draw.choice(BOILERPLATE)
    if noise is Noise.FILENAME:
        return draw.choice(FILENAMES).format(draw.randint(1, 999))
    if noise is Noise.FOREIGN:
        return scene.translated(draw.randrange(3))
    return scene.caption


def _swapped(draw: random.Random, items: Sequence[Item]) -> list[Item]:
    """Give each swapped picture the text of one that shows other kinds of things."""
    return [
        replace(item, text=_donor(draw, items, item).right_text)
        if item.noise is Noise.SWAPPED
        else item
        for item in items
    ]


def _donor(draw: random.Random, items: Sequence[Item], item: Item) -> Item:
    if all(other.scene.kinds == item.scene.kinds for other in items):
        raise InputError("the site has too few pictures to swap texts; ask for more pictures")
    while True:
        other = draw.choice(items)
        if other.scene.kinds != item.scene.kinds:
            return other


def _awkward(draw: random.Random, items: Sequence[Item]) -> list[Item]:
    """Move a few pictures below the paths that the server answers in its own way."""
    sound = [item.index for item in items if item.noise is Noise.NONE]
    draw.shuffle(sound)
    dead = [item.index for item in items if item.noise is Noise.DEAD]
    moves: dict[int, str] = {}
    for folder, share in (("flaky", FLAKY), ("moved", MOVED), ("slow", SLOW)):
        moves |= {sound.pop(): folder for _ in range(round(share * len(items))) if sound}
    moves |= dict.fromkeys(dead[: len(dead) // DEAD_PER_STALLED], "stalled")
    return [
        replace(item, path=item.path.replace("/pictures/", f"/{moves[item.index]}/", 1))
        if item.index in moves
        else item
        for item in items
    ]


def _copied(draw: random.Random, items: Sequence[Item]) -> list[Item]:
    """Make each duplicate show the scene of a sound picture, in another sentence."""
    originals = [item for item in items if item.noise is Noise.NONE]
    draw.shuffle(originals)
    copied = []
    for item in items:
        if item.noise in (Noise.DUPLICATE, Noise.NEAR_DUPLICATE):
            if not originals:
                raise InputError("the site has fewer sound pictures than duplicates; lower a rate")
            original = originals.pop()
            text = original.scene.paraphrase(1)
            item = replace(
                item, scene=original.scene, text=text, right_text=text, original=original.path
            )
        copied.append(item)
    return copied
