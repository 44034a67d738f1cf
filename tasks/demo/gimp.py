"""A second web, of real pages and photographs out of three Debian packages.

GIMP's manual is served as it is, its texts unlabelled. Tux Paint's stamps and GCompris' photographs
become albums on whose texts swaps are planted. Stamps of some captions, by hash, stand on no page:
they are the human-labelled splits.
"""

import hashlib
import logging
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tasks.bounds import at_least, shares
from tasks.demo import facts as site_facts
from tasks.demo.debian import fetched, unpacked
from tasks.demo.facts import PORT, Noise, Planted, SiteFacts, base_url, check_port
from tasks.demo.pages import Album, Figure, write_pages
from tasks.demo.rcc import read_rcc
from tasks.demo.site import START_PAGES, furniture_truth, write_file, write_furniture, write_texts
from tasks.demo.sprites import rendered
from tasks.errors import InputError
from tasks.progress import track

log = logging.getLogger(__name__)

MANUAL, STAMPS, PHOTOS = PACKAGES = (
    "gimp-help-en",
    "tuxpaint-stamps-default",
    "gcompris-qt-data",
)
MANUAL_ROOT = "usr/share/gimp/2.0/help/en/"
STAMPS_ROOT = "usr/share/tuxpaint/stamps/"
PHOTOS_ROOT = "usr/share/gcompris-qt/rcc/"
LETTERS = "symbols/"  # letters and digits: a quarter of the stamps, no pictures of things
BOARDS = ("explore_monuments", "explore_world_animals", "explore_farm_animals")
CATEGORIES = "categorization"
# One picture of many letters or digits each.
SKIPPED_CATEGORIES = ("alphabets", "numbers")
STAMP_WIDTH = 256  # of those drawn as SVG
PICTURES = (".png", ".jpg", ".webp")
ROBOTS = "User-agent: *\nDisallow:\n"
ABOUT = """<p>Read the <a href="/gimp/index.html">GIMP manual</a>.</p>
<p>The manual is under the GNU Free Documentation License; the stamps are Tux Paint's, under the
GPL; the photographs are GCompris', each under the licence its package names.</p>"""
# In a board of GCompris: the title of a picture and, further on, its file.
_BOARD_ENTRY = re.compile(
    r'"title":\s*qsTr\("(?P<title>[^"]+)"\)(?:(?!"title").)*?"image2":\s*"qrc:/(?P<path>[^"]+)"',
    re.DOTALL,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class GimpSite:
    """How the real pages and photographs are divided; each value but the last three is a share.

    `seed_share` and `evaluation_share` are of the stamps' captions; `swapped` is of the album
    pictures.
    """

    swapped: float = 0.25
    seed_share: float = 0.30
    evaluation_share: float = 0.25
    per_page: int = 30
    port: int = PORT
    seed: int = 0

    def __post_init__(self) -> None:
        shares(self, "swapped", "seed_share", "evaluation_share")
        if self.seed_share + self.evaluation_share > 0.9:
            raise InputError("seed_share and evaluation_share leave no stamps for the pages (0.9)")
        at_least(1, self, "per_page")
        check_port(self.port)


@dataclass(frozen=True, slots=True)
class Captioned:
    """A picture with the caption its makers gave it; `path` begins with a slash."""

    path: str
    album: str
    caption: str
    content: bytes


def build_gimp_site(folder: Path, how: GimpSite) -> SiteFacts:
    """Write the site into `folder`, or find it there; packages are kept beside it for next time.

    Raises:
        InputError: apt is absent or refuses, or `folder` cannot be used.
    """
    settings = {"site": "gimp", **asdict(how)}
    if found := site_facts.built_facts(folder, settings):
        log.info("the site in %s is built already: %d pictures", folder, found.pictures)
        return found
    debs = fetched(PACKAGES, folder.with_name("packages"))
    with site_facts.building(folder) as part:
        facts = _build(part, debs, how)
        site_facts.write_manifest(facts, settings, part)
    return replace(facts, folder=folder)


def _build(part: Path, debs: Sequence[Path], how: GimpSite) -> SiteFacts:
    served = part / site_facts.SERVED
    manual, stamps, photos = debs
    n_manual_pages, n_manual_pictures = _write_manual(served, manual)
    captioned = [*_stamps(stamps), *_photos(photos)]
    for one in track(captioned, "writing stamps and photographs", len(captioned)):
        write_file(served, one.path, one.content)
    splits = {one.path: _split(one, how) for one in captioned}
    for split, name in (("seed", site_facts.SEED_NAME), ("evaluation", site_facts.EVALUATION_NAME)):
        rows = [_labelled(one, how) for one in captioned if splits[one.path] == split]
        site_facts.write_lines(part / name, rows)
    web = [one for one in captioned if splits[one.path] == "web"]
    truth = _planted(web, how)
    pages = write_pages(_albums(web, truth), how.per_page, ABOUT, ROBOTS)
    write_texts(served, pages)
    write_furniture(served)
    truth += furniture_truth()
    site_facts.write_lines(part / site_facts.TRUTH_NAME, [row.as_json() for row in truth])
    n_pages = n_manual_pages + sum(name.endswith(".html") for name in pages)
    return SiteFacts(
        folder=part,
        port=how.port,
        start_pages=START_PAGES,
        pictures=n_manual_pictures + len(web),
        pages=n_pages,
        planted=site_facts.planted_counts(truth),
        sources=tuple(deb.name for deb in debs),
    )


def _write_manual(served: Path, deb: Path) -> tuple[int, int]:
    """Write the manual below /gimp/ and return how many pages and pictures it has."""
    pages = pictures = 0
    for path, content in unpacked(deb, lambda path: path.startswith(MANUAL_ROOT)):
        write_file(served, f"/gimp/{path.removeprefix(MANUAL_ROOT)}", content)
        pages += path.endswith(".html")
        pictures += path.endswith(PICTURES)
    return pages, pictures


def _stamps(deb: Path) -> Iterator[Captioned]:
    """Yield the stamps that have a caption, which is the first line of their text file."""
    files = {path.removeprefix(STAMPS_ROOT): body for path, body in unpacked(deb, _is_stamp)}
    unreadable = 0
    for stem in sorted({path.rsplit(".", 1)[0] for path in files}):
        lines = files.get(f"{stem}.txt", b"").decode("utf-8", "replace").splitlines() or [""]
        caption = " ".join(lines[0].split())
        content = files.get(f"{stem}.png") or _rendered(files.get(f"{stem}.svg"))
        if caption and content:
            path, album = f"/stamps/{stem}.png", _spoken(stem.split("/")[0])
            yield Captioned(path, album, caption, content)
        unreadable += content is None
    log.info("left out %d texts and drawings of stamps without a readable picture", unreadable)


def _rendered(svg: bytes | None) -> bytes | None:
    if svg is None:
        return None
    try:
        return rendered(svg.decode("utf-8", "replace"), STAMP_WIDTH)
    except ValueError:  # a third of the older drawings say no size
        return None


def _is_stamp(path: str) -> bool:
    inside = path.removeprefix(STAMPS_ROOT)
    wanted = inside.endswith((".png", ".svg", ".txt"))
    return inside != path and not inside.startswith(LETTERS) and wanted


def _photos(deb: Path) -> Iterator[Captioned]:
    """Yield GCompris' photographs: categories named by their files, boards by their titles."""
    wanted = {f"{PHOTOS_ROOT}{name}.rcc": name for name in (CATEGORIES, *BOARDS)}
    for path, content in unpacked(deb, wanted.__contains__):
        resources = dict(read_rcc(content, path))
        if wanted[path] == CATEGORIES:
            yield from _category_photos(resources)
        else:
            yield from _board_photos(wanted[path], resources)


def _category_photos(resources: dict[str, bytes]) -> Iterator[Captioned]:
    for path, content in resources.items():
        *_, category, name = path.split("/")
        if name.endswith(".webp") and category not in SKIPPED_CATEGORIES:
            caption = _spoken(name.removesuffix(".webp"))
            yield Captioned(f"/photos/{category}/{name}", _spoken(category), caption, content)


def _board_photos(board: str, resources: dict[str, bytes]) -> Iterator[Captioned]:
    boards = [body.decode() for path, body in resources.items() if path.endswith(".qml")]
    for body in boards:
        for entry in _BOARD_ENTRY.finditer(body):
            content = resources.get(entry["path"])
            if content is not None and entry["path"].endswith(".webp"):
                name = entry["path"].rsplit("/", 1)[-1]
                album = _spoken(board.removeprefix("explore_"))
                yield Captioned(f"/photos/{board}/{name}", album, entry["title"], content)


def _spoken(name: str) -> str:
    """Turn a file's name into words: "measuringTape4" is "measuring tape"."""
    words = re.sub(r"[\d_]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))
    return " ".join(words.lower().split())


def _split(one: Captioned, how: GimpSite) -> str:
    """Return seed, evaluation or web; pictures with one caption stay together."""
    if not one.path.startswith("/stamps/"):
        return "web"
    digest = hashlib.sha256(one.caption.lower().encode()).digest()
    place = int.from_bytes(digest[:4], "big") / 2**32
    if place < how.evaluation_share:
        return "evaluation"
    return "seed" if place < how.evaluation_share + how.seed_share else "web"


def _labelled(one: Captioned, how: GimpSite) -> dict[str, Any]:
    return {"url": base_url(how.port) + one.path, "caption": one.caption, "album": one.album}


def _planted(web: Sequence[Captioned], how: GimpSite) -> list[Planted]:
    """Give a share of the album pictures the caption of another, never an equal one."""
    draw = random.Random(f"{how.seed}/gimp")
    swapped = set(draw.sample(range(len(web)), round(how.swapped * len(web))))
    truth = []
    for index, one in enumerate(web):
        others = [o.caption for o in web if o.caption.lower() != one.caption.lower()]
        text = draw.choice(others) if index in swapped else one.caption
        noise = Noise.SWAPPED if index in swapped else Noise.NONE
        truth.append(Planted(one.path, text, one.caption, noise, {"album": one.album}))
    return truth


def _albums(web: Sequence[Captioned], truth: Sequence[Planted]) -> list[Album]:
    albums: dict[str, list[Figure]] = {}
    for one, planted in zip(web, truth, strict=True):
        albums.setdefault(one.album, []).append(Figure(one.path, planted.text))
    return [Album(name.capitalize(), figures) for name, figures in sorted(albums.items())]
