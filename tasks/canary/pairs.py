"""The canary: pictures with texts of which it is known whether they are right.

A canary is a table of pairs (JSON Lines, a JSON list, CSV or TSV) beside its pictures:

    {"image": "007.jpg", "text": "a key on a white background", "noise": "none"}
    {"image": "007.jpg", "text": "two dogs on grey", "noise": "swapped"}

`noise` is `none` of a right text, and else a word for what is wrong; a picture's file is named from
the table's folder. One is shipped: 512 pairs of 128 drawings (Twemoji, https://github.com/jdecked/
twemoji, CC BY 4.0). Whoever filters other pictures than such gives a table of their own.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import InputError
from tasks.evaluation.files import file_pictures, open_folder
from tasks.evaluation.tables import read_table
from tasks.pictures import Picture
from tasks.storage import Lake

SHIPPED = Path(__file__).with_name("drawings") / "pairs.jsonl"
RIGHT = "none"
COLUMNS = ("image", "text", "noise")


@dataclass(frozen=True, slots=True)
class Pair:
    """A text, and what is wrong with it: `none` when it is right."""

    text: str
    noise: str

    @property
    def is_noise(self) -> bool:
        """True when the text does not say what its picture shows."""
        return self.noise != RIGHT


@dataclass(frozen=True, slots=True)
class Canary:
    """Pictures with the pairs of each.

    Attributes:
        name: `shipped`, or the table's name; with the first digits of the hash of texts and bytes.
        place: where the pictures lie.
        pairs: each picture with its pairs, those with most pairs first.
    """

    name: str
    place: Lake
    pairs: Sequence[tuple[Picture, Sequence[Pair]]]


def read_canary(table: str = "") -> Canary:
    """Read a canary and check it.

    Args:
        table: a path or an fsspec URL; empty means the shipped one.

    Raises:
        InputError: the table cannot be used, a picture of it is missing, or it lacks right or
            wrong texts.
    """
    path = table or str(SHIPPED)
    by_image: dict[str, list[Pair]] = {}
    for number, row in enumerate(read_table(path, "pairs"), start=1):
        told = [str(row.get(column) or "").strip() for column in COLUMNS]
        if not all(told):
            raise InputError(
                f"row {number} of {path} lacks {COLUMNS[told.index('')]!r}; a canary's row has "
                f"{', '.join(COLUMNS)}, and noise is {RIGHT!r} where the text is right"
            )
        by_image.setdefault(told[0], []).append(Pair(told[1], told[2]))
    for is_noise, kind in ((False, "right"), (True, "wrong")):
        if not any(pair.is_noise == is_noise for own in by_image.values() for pair in own):
            raise InputError(f"{path} has no {kind} text: a canary needs right and wrong ones")
    place = open_folder(path.rpartition("/")[0] or ("/" if path.startswith("/") else "."))
    pictures = file_pictures(place, [(name, "") for name in by_image])
    listed = sorted(zip(pictures, by_image.values(), strict=True), key=lambda one: -len(one[1]))
    name = f"{Path(path).name}-{_digest(place, listed)}" if table else "shipped"
    return Canary(name, place, listed)


def _digest(place: Lake, pairs: Sequence[tuple[Picture, Sequence[Pair]]]) -> str:
    digest = hashlib.sha256()
    for picture, own in pairs:
        digest.update(place.read_bytes(picture.tar))
        digest.update(repr([(pair.text, pair.noise) for pair in own]).encode())
    return digest.hexdigest()[:12]
