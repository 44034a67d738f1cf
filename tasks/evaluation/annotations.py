"""Published caption annotations, read as they come.

COCO, NoCaps   {"images": [{"id", "file_name", "domain"?}],
"annotations": [{"image_id", "caption"}]}
Karpathy       {"images": [{"filepath"?, "filename", "split", "cocoid"?,
"sentences": [{"raw"}]}]}          COCO, Flickr30k and Flickr8k
BLIP           [{"image", "caption": text or texts, "image_id"?}]
Flickr30k      name.jpg#0<tab>text; name.jpg| 0| text; or name.jpg,text, each with its header
"""

import csv
import gzip
import io
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tasks.errors import InputError
from tasks.storage import Lake

# Karpathy's training split is in two: the pictures that were COCO's validation are "restval".
SPLITS = {"train": ("train", "restval")}
HEADERS = ("image", "image_name", "filename")


@dataclass(frozen=True, slots=True)
class Annotated:
    """One picture of a benchmark.

    Attributes:
        name: its file, as the annotations have it.
        texts: what people wrote.
        number: its id, for a file of results.
        url: where it was published; empty where the annotations do not say.
        domain: of NoCaps: in-domain, near-domain or out-domain.
    """

    name: str
    texts: tuple[str, ...]
    number: str
    url: str = ""
    domain: str = ""


def read_annotations(path: str, split: str = "test") -> list[Annotated]:
    """Return the pictures of an annotation file that have captions, each once, in its order.

    Raises:
        InputError: the file is missing, damaged, of no layout that is known, or has no caption in
            this split.
    """
    content = read_text(path)
    try:
        found = _merged(_pictures(content, split))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path} is no caption annotation file that is known ({type(error).__name__} "
            f"{error!s:.80}); COCO's, Karpathy's, NoCaps', BLIP's JSON and Flickr30k's tables are"
        ) from error
    captioned = [one for one in found if one.texts]
    if not captioned:
        raise InputError(
            f"{path} has no picture with a caption in split {split!r}"
            + (f" ({len(found)} without)" if found else "; name one that it has")
        )
    return captioned


def read_text(path: str) -> str:
    """Return a text file, on this disk or at an fsspec URL, also gzipped.

    Raises:
        InputError: it cannot be read.
    """
    folder, _, name = path.rpartition("/")
    try:
        content = Lake(folder or ("/" if path.startswith("/") else ".")).read_bytes(name)
        return (gzip.decompress(content) if name.endswith(".gz") else content).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path} cannot be read ({reason:.120})") from error


def parsed(content: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is no JSON, or nested so deeply that it is none that anybody means.
    """
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("its brackets are nested too deeply") from error


def _pictures(content: str, split: str) -> Iterator[Annotated]:
    if not content.lstrip().startswith(("{", "[")):
        return _flickr(content)
    value = parsed(content)
    if isinstance(value, list):
        return _blip(value)
    if "annotations" in value:
        return _coco(value)
    return _karpathy(value["images"], SPLITS.get(split, (split,)))


def _coco(value: Mapping[str, Any]) -> Iterator[Annotated]:
    texts: dict[Any, list[str]] = {}
    for one in value["annotations"]:
        texts.setdefault(one["image_id"], []).append(one["caption"])
    numbers = Counter(str(image["id"]) for image in value["images"])
    if (twice := max(numbers, key=lambda one: numbers[one], default="")) and numbers[twice] > 1:
        raise ValueError(f"{numbers[twice]} pictures have the id {twice}")
    for image in value["images"]:
        url = str(image.get("coco_url") or image.get("flickr_url") or "")
        own = tuple(texts.get(image["id"], ()))
        domain = str(image.get("domain", ""))
        yield Annotated(image["file_name"], own, str(image["id"]), url, domain)


def _karpathy(images: Sequence[Mapping[str, Any]], splits: Sequence[str]) -> Iterator[Annotated]:
    for image in images:
        if image["split"] in splits:
            name = "/".join(filter(None, (image.get("filepath"), image["filename"])))
            texts = tuple(one["raw"] for one in image["sentences"])
            yield Annotated(name, texts, str(image.get("cocoid", image.get("imgid", name))))


def _blip(found: Sequence[Mapping[str, Any]]) -> Iterator[Annotated]:
    for one in found:
        said = one["caption"]
        if not isinstance(said, str | list):
            raise TypeError(f"a caption is a text or a list of them, not {said!r:.40}")
        texts = (said,) if isinstance(said, str) else tuple(said)
        number = str(one.get("image_id", one.get("img_id", one["image"])))
        yield Annotated(one["image"], texts, number, domain=str(one.get("domain", "")))


def _flickr(content: str) -> Iterator[Annotated]:
    """Yield a picture a line; of a table the first column is the name and the last the text."""
    first = content.split("\n", 1)[0]
    mark = next((one for one in ("\t", "|", ",") if one in first), None)
    if mark is None:
        raise ValueError("its first line has no tab, bar or comma")
    plain = [line.split(mark) for line in content.split("\n")] if mark != "," else []
    for number, row in enumerate(plain or csv.reader(io.StringIO(content))):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 0 and cells[0].lower() in HEADERS):
            continue
        # A bar may be part of the text, as may a comma that nobody quoted.
        name = cells[0].split("#", 1)[0]
        text = mark.join(row[2 if mark == "|" else 1 :]).strip()
        if "." not in name:
            raise ValueError(f"line {number + 1} begins with {name!r}, which is no file name")
        yield Annotated(name, (text,) if text else (), name)


def _merged(found: Iterable[Annotated]) -> list[Annotated]:
    """Put the captions of one file together."""
    by_name: dict[str, Annotated] = {}
    for one in found:
        if not isinstance(one.name, str) or not one.name:
            raise TypeError(f"a picture's file is called {one.name!r:.40}, which is no name")
        texts = tuple(text for text in one.texts if text.strip())
        before = by_name.get(one.name)
        told = (*before.texts, *texts) if before else texts
        by_name[one.name] = replace(before or one, texts=told)
    return list(by_name.values())
