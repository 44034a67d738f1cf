"""Pictures with a class each, from a table or from folders named by class.

table      JSON Lines, JSON list, CSV or TSV: a column that names the picture (key, url, image,
file_name, filename, file or path) and one with its class
folders    <images>/<class>/picture.jpg, as ImageNet comes; no table is needed
"""

from dataclasses import dataclass

from tasks import rows
from tasks.errors import InputError
from tasks.evaluation.files import file_pictures, file_prints, open_folder
from tasks.evaluation.leakage import Prints, batch_prints
from tasks.evaluation.tables import read_table
from tasks.ingestion.sources.urls import BadUrlError, normalise
from tasks.pictures import Picture, shard_pictures
from tasks.storage import Lake

NAMED = ("key", "url", "image", "file_name", "filename", "file", "path")
PICTURES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """Where labelled pictures are.

    Attributes:
        table: the labels; empty takes the folders below `images`.
        column: of the table, the class.
        images: a folder with the files; empty takes the pictures of `batch`.
        batch: of the lake; the table then names pictures by `key` or `url`.
    """

    table: str = ""
    column: str = "label"
    images: str = ""
    batch: str = "evaluation"

    def __post_init__(self) -> None:
        if not self.table and not self.images:
            raise InputError("labels come from a table, or from the folders below images: name one")


@dataclass(frozen=True, slots=True)
class Labelled:
    """N pictures with their classes, by key.

    Attributes:
        name: of the batch or folder.
        place: where the pictures' bytes lie.
        pictures: N.
        labels: N.
        prints: what tells the pictures apart, N.
        classes: those there are to choose from, sorted.
    """

    name: str
    place: Lake
    pictures: list[Picture]
    labels: list[str]
    prints: Prints
    classes: tuple[str, ...]


def labelled(lake: Lake, where: Labels, max_images: int = 0) -> Labelled:
    """Return labelled pictures by key; the first so many, or all.

    Raises:
        InputError: the table or the folder cannot be used, a picture has two classes, or there is
            none with a class.
        LakeError: the batch is not there.
    """
    if not where.images:
        found = _of_batch(lake, where)
        place, name = lake, where.batch
    else:
        place, name = open_folder(where.images), where.images
        listed = _of_table(where) if where.table else _of_folders(place)
        pictures = file_pictures(place, [(told, "") for told in listed])
        named = zip(pictures, listed.values(), strict=True)
        found = {picture.key: (picture, label) for picture, label in named}
    chosen = sorted(found)[: max_images or None]
    if not chosen:
        raise InputError(f"no picture of {name} has a class in {where.table or where.images}")
    pictures = [found[key][0] for key in chosen]
    prints = file_prints(place, pictures) if where.images else batch_prints(lake, name, chosen)
    labels = [found[key][1] for key in chosen]
    return Labelled(name, place, pictures, labels, prints, tuple(sorted(set(labels))))


def _of_batch(lake: Lake, where: Labels) -> dict[str, tuple[Picture, str]]:
    shards = lake.planned(where.batch)
    stored = {one.key: one for shard in shards for one in shard_pictures(lake, shard)}
    labels = _of_table(where)
    return {key: (stored[key], label) for key, label in labels.items() if key in stored}


def _of_table(where: Labels) -> dict[str, str]:
    """Return the class of each picture by its key, or by its file's name."""
    found: dict[str, str] = {}
    for row in read_table(where.table, "labels"):
        column = next((name for name in NAMED if row.get(name)), None)
        told = row.get(where.column)
        if column is None or told == "" or not isinstance(told, str | int | float):
            raise InputError(
                f"{where.table} has a row without {where.column!r} or without a picture's name "
                f"({', '.join(NAMED)}): {row!s:.100}"
            )
        name, label = str(row[column]), str(told)
        known = _key(name) if column == "url" and not where.images else name
        if found.setdefault(known, label) != label:
            raise InputError(f"{where.table} has two classes of {name}: {found[known]}, {label}")
    return found


def _key(url: str) -> str:
    try:
        return rows.key_of(normalise(url))
    except BadUrlError:
        return rows.key_of(url)


def _of_folders(place: Lake) -> dict[str, str]:
    found = (path.removeprefix("./") for path in place.glob("*/*"))
    return {path: path.split("/", 1)[0] for path in found if path.lower().endswith(PICTURES)}
