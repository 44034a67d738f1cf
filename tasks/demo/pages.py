"""The pages of the demo's web: albums of pictures with the navigation and furniture of a site.

A picture's text stands in its alt, its title or its figcaption; some pictures load lazily
(`data-src`), some offer sizes (`srcset`). Logo, icons and banner repeat on every page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

NAME = "Picture Shelf"
ALBUM_PAGES = 12
FEATURED = 10
SEASONS = ("Spring", "Summer", "Autumn", "Winter")
FIRST_YEAR = 2016
# What stands in `src` until a lazy picture loads: one transparent pixel.
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


@dataclass(frozen=True, slots=True)
class Figure:
    """One picture on a page and how it is written there.

    `placement` is alt, title or figcaption; `loading` is eager, lazy or srcset.
    """

    path: str
    text: str
    placement: str = "alt"
    loading: str = "eager"


@dataclass(frozen=True, slots=True)
class Furniture:
    """A picture that every page repeats: its path, alt-text, drawing and size in pixels."""

    path: str
    alt: str
    kind: str
    width: int
    height: int


LOGO = Furniture("/assets/logo.png", f"{NAME} logo", "house", 72, 72)
ICONS = (
    Furniture("/assets/icons/home.png", "home", "house", 20, 20),
    Furniture("/assets/icons/contact.png", "contact us", "key", 20, 20),
    Furniture("/assets/icons/login.png", "log in", "key", 20, 20),
)
BANNER = Furniture("/assets/banner.png", "advertisement", "rocket", 468, 60)
FURNITURE = (LOGO, *ICONS, BANNER)


@dataclass(frozen=True, slots=True)
class Album:
    """Pictures under one name, spread over as many pages as they need."""

    name: str
    figures: Sequence[Figure]


def write_pages(albums: Sequence[Album], per_page: int, about: str, robots: str) -> dict[str, str]:
    """Return every text file of a site: path below the root (no slash first) to content.

    `about` is HTML, shown on the first page and on one of its own.
    """
    names = [album.name for album in albums]
    files = {
        "index.html": _index(albums, about),
        "about.html": _page(names, "About", f"What {NAME} is.", about),
        "robots.txt": robots,
    }
    for album in albums:
        groups = chunked(album.figures, per_page)
        for number, group in enumerate(groups, start=1):
            page = _album_page(names, album.name, (number, len(groups)), group)
            files[album_path(album.name, number)] = page
    return files


def seasonal(figures: Sequence[Figure], per_page: int) -> list[Album]:
    """Divide pictures into albums of twelve pages: "Spring 2016", "Summer 2016" and so on."""
    albums = []
    for number, group in enumerate(chunked(figures, per_page * ALBUM_PAGES)):
        year = FIRST_YEAR + number // len(SEASONS)
        albums.append(Album(f"{SEASONS[number % len(SEASONS)]} {year}", group))
    return albums


def chunked(figures: Sequence[Figure], size: int) -> list[Sequence[Figure]]:
    """Cut a sequence into pieces of `size`; the last may be shorter."""
    return [figures[start : start + size] for start in range(0, len(figures), size)]


def album_path(name: str, page: int) -> str:
    """Where an album's page lies; pages count from 1."""
    return f"albums/{name.lower().replace(' ', '-')}/{page}.html"


def _index(albums: Sequence[Album], about: str) -> str:
    total = sum(len(album.figures) for album in albums)
    lead = f"{total:,} pictures in {len(albums)} albums."
    newest = _gallery(albums[0].figures[:FEATURED])
    return _page([album.name for album in albums], NAME, lead, f"{newest}\n{about}")


def _album_page(
    names: Sequence[str], name: str, place: tuple[int, int], group: Sequence[Figure]
) -> str:
    number, last = place
    links = []
    if number > 1:
        links.append(_link(name, number - 1, "← previous"))
    links += [_link(name, n, str(n)) if n != number else f"<b>{n}</b>" for n in range(1, last + 1)]
    if number < last:
        links.append(_link(name, number + 1, "next →"))
    pager = f'<nav class="pages">{" ".join(links)}</nav>'
    lead = f"Page {number} of {last}."
    return _page(names, name, lead, f"{_gallery(group)}\n{pager}")


def _link(name: str, page: int, label: str) -> str:
    return f'<a href="/{album_path(name, page)}">{label}</a>'


def _page(names: Sequence[str], title: str, lead: str, body: str) -> str:
    albums = "".join(f"<li>{_link(name, 1, name)}</li>" for name in names)
    tools = "".join(f'<a href="/index.html">{_fixed(icon)}</a>' for icon in ICONS)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="stylesheet" href="/assets/site.css">
<script src="/assets/site.js" defer></script>
</head>
<body>
<header><a href="/index.html">{_fixed(LOGO, shown=36)}</a><strong>{NAME}</strong>
<div class="tools">{tools}</div></header>
<div class="columns">
<nav class="albums"><ul>{albums}<li><a href="/about.html">About</a></li></ul></nav>
<main>
<h1>{escape(title)}</h1>
<p class="lead">{escape(lead)}</p>
{body}
</main>
</div>
<footer>{_fixed(BANNER)}<span>All pictures free to use with credit.</span></footer>
</body>
</html>
"""


def _fixed(piece: Furniture, shown: int = 0) -> str:
    size = f'width="{shown or piece.width}" height="{shown or piece.height}"'
    return f'<img src="{piece.path}" alt="{escape(piece.alt)}" {size}>'


def _gallery(figures: Sequence[Figure]) -> str:
    shown = "\n".join(f"<figure>{_image(f)}{_caption(f)}</figure>" for f in figures)
    return f'<div class="gallery">\n{shown}\n</div>'


def _image(figure: Figure) -> str:
    text = escape(figure.text)
    path = escape(figure.path)
    words = {"alt": f'alt="{text}"', "title": f'title="{text}"', "figcaption": 'alt=""'}
    address = {
        "eager": f'src="{path}"',
        "lazy": f'src="{PIXEL}" data-src="{path}" loading="lazy"',
        "srcset": f'src="{path}" srcset="{path} 1x"',
    }
    return f"<img {address[figure.loading]} {words[figure.placement]}>"


def _caption(figure: Figure) -> str:
    if figure.placement != "figcaption":
        return ""
    return f"<figcaption>{escape(figure.text)}</figcaption>"
