"""What a built site is, and how it appears on disk: whole, or not at all.

A site is built in a folder beside its own and renamed when its manifest is written; a manifest
with the same settings means there is nothing to do.
"""

import contextlib
import errno
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from tasks.errors import InputError
from tasks.rows import TRUTH, fingerprint, key_of, table_of, write_rows
from tasks.storage import Lake

HOST = "127.0.0.1"
PORT = 8037  # fixed: an image's key is made of its URL, so a rerun must find the same URLs
MANIFEST = "manifest.json"
TRUTH_NAME = "truth.jsonl"
SEED_NAME = "seed.jsonl"
EVALUATION_NAME = "evaluation.jsonl"
# Tables that must not be crawled lie beside the pages, in a folder the server does not serve.
SERVED = "www"
VERSION = 1


class Noise(StrEnum):
    """What was planted on a picture; `NONE` is a right text on a sound picture."""

    NONE = "none"
    SWAPPED = "swapped"  # a right text, of another picture
    BOILERPLATE = "boilerplate"
    FILENAME = "filename"
    FOREIGN = "foreign"  # right, in a language the model is not to learn
    DEAD = "dead"
    BROKEN = "broken"
    DUPLICATE = "duplicate"  # the same bytes at another URL, rightly captioned
    NEAR_DUPLICATE = "near_duplicate"
    ROBOTS = "robots"  # sound, and disallowed by robots.txt
    FURNITURE = "furniture"  # logos, icons, banners: what every page repeats


HARMLESS = frozenset({Noise.NONE, Noise.DUPLICATE, Noise.NEAR_DUPLICATE, Noise.ROBOTS})


@dataclass(frozen=True, slots=True)
class Planted:
    """The truth of one URL: the text its page shows, the right one, and what is wrong.

    `path` begins with a slash; `about` holds further facts (counts, colour, the original of a
    duplicate).
    """

    path: str
    text: str
    right_text: str
    noise: Noise
    about: Mapping[str, Any]

    @property
    def is_noise(self) -> bool:
        """True when a model should not learn this text from this picture."""
        return self.noise not in HARMLESS

    def as_json(self) -> dict[str, Any]:
        """One line of truth.jsonl."""
        return {
            "url": self.path,
            "text": self.text,
            "right_text": self.right_text,
            "noise": self.noise.value,
            "is_noise": self.is_noise,
            **self.about,
        }


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """A built site: what to serve, where to start, and what is true of it.

    `folder` holds everything, `served` is what a server shows, `start_pages` are paths below
    `base_url`; the tables hold absolute URLs; `sources` names the packages it is made from.
    """

    folder: Path
    port: int
    start_pages: tuple[str, ...]
    pictures: int
    pages: int
    planted: Mapping[str, int]
    sources: tuple[str, ...]

    @property
    def base_url(self) -> str:
        """Where the site must be served, without a slash at the end."""
        return base_url(self.port)

    @property
    def start_urls(self) -> tuple[str, ...]:
        """The start pages as URLs."""
        return tuple(self.base_url + page for page in self.start_pages)

    @property
    def served(self) -> Path:
        """The folder of pages and pictures."""
        return self.folder / SERVED

    @property
    def seed_table(self) -> Path:
        """JSON Lines of url, caption: human-labelled pictures to finetune on."""
        return self.folder / SEED_NAME

    @property
    def evaluation_table(self) -> Path:
        """JSON Lines of url, caption, a line a reference: pictures never trained on."""
        return self.folder / EVALUATION_NAME

    @property
    def truth_path(self) -> Path:
        """JSON Lines of what was planted, one line a picture of the pages."""
        return self.folder / TRUTH_NAME


def base_url(port: int) -> str:
    """Return the address of a site on this machine."""
    return f"http://{HOST}:{port}"


def check_port(port: int) -> None:
    """Raise InputError unless `port` can be listened on by anyone."""
    if not 1024 <= port <= 65535:
        raise InputError(f"port is {port}; the site needs one from 1024 to 65535")


def built_facts(folder: Path, settings: Mapping[str, Any]) -> SiteFacts | None:
    """Return the facts of the site in `folder` when it is whole and was built so."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except json.JSONDecodeError as error:
        raise InputError(
            f"{folder / MANIFEST} is damaged; remove {folder} and run again"
        ) from error
    if manifest.get("fingerprint") != _fingerprint(settings):
        return None
    facts = manifest["facts"]
    return SiteFacts(
        folder=folder,
        port=facts["port"],
        start_pages=tuple(facts["start_pages"]),
        pictures=facts["pictures"],
        pages=facts["pages"],
        planted=facts["planted"],
        sources=tuple(facts["sources"]),
    )


@contextlib.contextmanager
def building(folder: Path) -> Iterator[Path]:
    """Give an empty folder to build in; on leaving without an error it becomes `folder`.

    Raises:
        InputError: `folder` holds something that is no site, or it cannot be written, or the disk
            is full; what was half built has been removed.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / MANIFEST).exists():
        raise InputError(f"{folder} holds files that are no demo site; give an empty folder")
    part = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        (part / SERVED).mkdir(parents=True)
        yield part
        shutil.rmtree(folder, ignore_errors=True)
        part.replace(folder)
    except OSError as error:
        if error.errno in (
            errno.ENOSPC,
            errno.EDQUOT,
            errno.EACCES,
            errno.EPERM,
            errno.EROFS,
            errno.ENOTDIR,
        ):
            raise InputError(
                f"cannot build the site in {folder} ({error.strerror}); free some space or give "
                "a folder this user may write to"
            ) from error
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_manifest(facts: SiteFacts, settings: Mapping[str, Any], folder: Path) -> None:
    """Write the manifest, last, into the folder being built."""
    described = {k: v for k, v in asdict(facts).items() if k != "folder"}
    manifest = {"fingerprint": _fingerprint(settings), "settings": settings, "facts": described}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, default=str) + "\n")


def _fingerprint(settings: Mapping[str, Any]) -> str:
    return fingerprint({"version": VERSION, **settings})


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON Lines."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read JSON Lines."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def planted_counts(truth: Iterable[Planted]) -> dict[str, int]:
    """Return how many pictures carry each noise, every noise named."""
    counted = Counter(row.noise for row in truth)
    return {noise.value: counted[noise] for noise in Noise}


def truth_rows(facts: SiteFacts) -> list[dict[str, Any]]:
    """Return the rows of the TRUTH table, keys as ingestion makes them."""
    # Imported here: the site can be built where the crawler's libraries are not.
    from tasks.ingestion.sources.urls import normalise

    rows = []
    for line in read_lines(facts.truth_path):
        url = facts.base_url + line["url"]
        row = {name: line[name] for name in ("text", "right_text", "noise", "is_noise")}
        rows.append({"url": url, "key": key_of(normalise(url)), **row})
    return rows


def write_truth(lake: Lake, batch: str, facts: SiteFacts) -> str:
    """Publish truth/<batch>.parquet and return its path in the lake."""
    relative = f"truth/{batch}.parquet"
    write_rows(lake, relative, table_of(truth_rows(facts), TRUTH))
    return relative
