"""Pictures with their texts from a person's own files: a folder, a list, a table, or shards.

    pictures/dog.jpg, pictures/dog.txt       a caption a line
    pairs.jsonl, pairs.json                  {"image": "dog.jpg", "caption": "a dog"}
    pairs.parquet                            the same columns; image may be bytes or {bytes, path}
    shards/00000.tar, ...                    dog.jpg, dog.txt or dog.json ({"caption": ...})

`caption` may be called `text`, and may be a list. A question is `question` with `answer` or
`answers`; in a .txt its first line, with an answer a line below. Whatever it was, a question
becomes one text: the question, then its answers, each on a line of its own.
"""

import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tasks.errors import InputError, LakeError
from tasks.row_groups import read_footer, stream_rows
from tasks.storage import Lake

PICTURES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp"))
CAPTIONS = ("caption", "captions", "text")
ANSWERS = ("answer", "answers")
LISTS = (".jsonl", ".json", ".parquet")
ROWS_AT_ONCE = 64  # of a table, whose rows may hold pictures


@dataclass(frozen=True, slots=True)
class Pair:
    """One picture's bytes, what it is called, and its texts; none when it came without."""

    name: str
    picture: bytes
    texts: tuple[str, ...]


def read_pairs(
    source: Path, *, questions: bool = False, images: Path | None = None
) -> Iterator[Pair]:
    """Yield the pairs of a source, in an order that is the same every time.

    Args:
        source: a folder of pictures or of shards, a `.jsonl`, `.json`, `.parquet` or `.tar` file.
        questions: its texts are questions with answers.
        images: where the pictures of a list lie; None means beside it.

    Raises:
        InputError: it is not there, is of another kind, or is damaged; names file and line.
    """
    if not source.exists():
        raise InputError(f"there is no {source}; {_KINDS}")
    if source.is_dir():
        shards = sorted(source.glob("*.tar"))
        found = _shards(shards, questions) if shards else _folder(source, questions)
    elif source.suffix == ".tar":
        found = _shards([source], questions)
    elif source.suffix in LISTS:
        found = _listed(source, images or source.parent, questions)
    else:
        raise InputError(f"{source} cannot be read as pictures with texts; {_KINDS}")
    yield from found


_KINDS = "give a folder of pictures with .txt beside them, a .jsonl, .json, .parquet or .tar file"


def files_of(source: Path) -> list[Path]:
    """Return the files a source consists of, in order; of a list the list alone."""
    if not source.is_dir():
        return [source]
    shards = sorted(source.glob("*.tar"))
    return shards or sorted(path for path in source.rglob("*") if path.is_file())


def _folder(folder: Path, questions: bool) -> Iterator[Pair]:
    for path in files_of(folder):
        if path.suffix.lower() not in PICTURES:
            continue
        beside = path.with_suffix(".txt")
        text = _text_of(beside) if beside.is_file() else ""
        name = str(path.relative_to(folder))
        yield Pair(name, path.read_bytes(), _of_lines(text, questions))


def _shards(paths: list[Path], questions: bool) -> Iterator[Pair]:
    for path in paths:
        try:
            with tarfile.open(path) as tar:
                yield from _members(tar, path, questions)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise InputError(
                f"shard {path} is damaged ({error}); fetch it again, or leave it out. Nothing of "
                "this source was taken in"
            ) from error


def _members(tar: tarfile.TarFile, path: Path, questions: bool) -> Iterator[Pair]:
    """Yield the samples of a shard; the members of one stand side by side, as webdataset has it."""
    key, parts = "", dict[str, bytes]()
    for member in tar:
        if not member.isfile():
            continue
        name = PurePosixPath(member.name)
        stem, _, extension = name.name.partition(".")
        if not stem:  # a hidden file, such as macOS packs beside each picture
            continue
        current = str(name.with_name(stem))
        if current != key:
            yield from _sample(f"{path.name}/{key}", parts, questions)
            key, parts = current, {}
        file = tar.extractfile(member)
        content = file.read() if file else b""
        if len(content) != member.size:
            raise tarfile.ReadError(f"member {member.name} is cut short")
        parts[f".{extension.lower()}"] = content
    yield from _sample(f"{path.name}/{key}", parts, questions)


def _sample(name: str, parts: Mapping[str, bytes], questions: bool) -> Iterator[Pair]:
    picture = next((content for kind, content in parts.items() if kind in PICTURES), None)
    if picture is None:
        return
    if ".txt" in parts:
        texts = _of_lines(parts[".txt"].decode("utf-8", "replace"), questions)
    else:
        try:
            said = json.loads(parts.get(".json", b"{}"))
        except ValueError as error:
            raise InputError(f"{name}.json is not JSON ({error})") from error
        texts = _of_record(said, questions, f"{name}.json") if isinstance(said, dict) else ()
    yield Pair(name, picture, texts)


def _listed(source: Path, images: Path, questions: bool) -> Iterator[Pair]:
    for number, record in enumerate(_records(source), start=1):
        where = f"record {number} of {source}"
        if not isinstance(record, Mapping) or "image" not in record:
            raise InputError(f'{where} has no "image"; it wants "image" and "caption"')
        texts = _of_record(record, questions, where)
        if not texts:
            wanted = '"question" and "answers"' if questions else '"caption" or "text"'
            raise InputError(f"{where} has no {wanted}, or an empty one")
        yield Pair(*_picture(record["image"], images, where), texts)


def _records(source: Path) -> Iterator[Any]:
    if source.suffix == ".parquet":
        return _table(source)
    text = _text_of(source)
    if source.suffix == ".jsonl":
        # At line feeds alone: a caption may hold other marks that end a line.
        lines = enumerate(text.split("\n"), start=1)
        return (_parsed(line, f"line {n} of {source}") for n, line in lines if line.strip())
    found = _parsed(text, str(source))
    if not isinstance(found, list):
        raise InputError(f"{source} holds a {type(found).__name__}; it wants a list")
    return iter(found)


def _text_of(path: Path) -> str:
    """Read a file of text; the mark that some editors put before UTF-8 is no part of it."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text ({error}); save it as UTF-8") from error


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{where} is not JSON ({error})") from error


def _table(source: Path) -> Iterator[Any]:
    """Yield the rows of a Parquet file of any size."""
    folder = Lake(str(source.parent.absolute()))
    try:
        footer = read_footer(folder, source.name)
        known = (*CAPTIONS, *ANSWERS, "question", "image")
        columns = [name for name in footer.schema.names if name in known]
        for group in range(len(footer.group_rows)):
            for part in stream_rows(folder, source.name, group, columns, ROWS_AT_ONCE):
                yield from part.to_pylist()
    except LakeError as error:
        raise InputError(f"{source} is not a readable Parquet file; write it again") from error


def _picture(said: Any, images: Path, where: str) -> tuple[str, bytes]:
    """Return a picture's name and bytes; it is a path, the bytes, or a struct of both."""
    if isinstance(said, Mapping):
        content, path = said.get("bytes"), said.get("path") or ""
        if content:
            return str(path) or where, bytes(content)
        said = path
    if isinstance(said, bytes):
        return where, said
    path = images / str(said)
    try:
        content = path.read_bytes() if path.is_file() else None
    except (OSError, ValueError) as error:  # a name that is too long, a file of another's
        raise InputError(
            f"{where} names {said!s:.80}, which cannot be read ({error!s:.80})"
        ) from error
    if content is None:
        raise InputError(f"{where} names {said}, which is not in {images}; say where with --images")
    return str(said), content


def _of_lines(text: str, questions: bool) -> tuple[str, ...]:
    lines = tuple(line.strip() for line in text.splitlines() if line.strip())
    if questions:
        return ("\n".join(lines),) if len(lines) > 1 else ()
    return lines


def _of_record(record: Mapping[str, Any], questions: bool, where: str) -> tuple[str, ...]:
    def said(*names: str) -> list[str]:
        return [text for name in names for text in _texts(record.get(name), f"{name} of {where}")]

    if not questions:
        return tuple(said(*CAPTIONS))
    answers, asked = said(*ANSWERS), said("question")
    if len(asked) > 1:
        raise InputError(f"{where} has {len(asked)} questions; give each a record of its own")
    return ("\n".join([*asked, *answers]),) if asked and answers else ()


def _texts(value: Any, where: str) -> list[str]:
    """Return what is said as texts of one line each; nothing for nothing."""
    several = [one for one in (value if isinstance(value, list) else [value]) if _is_there(one)]
    for one in several:
        if not isinstance(one, str | int | float):
            raise InputError(f"{where} holds a {type(one).__name__}; it wants a text or a list")
    # Half of a letter's escape, where somebody cut a text, is no letter.
    whole = (str(one).encode("utf-8", "ignore").decode() for one in several)
    texts = [" ".join(text.split()) for text in whole]
    return [text for text in texts if text]


def _is_there(one: Any) -> bool:
    return one is not None and one == one  # NaN is how pandas says nothing
