"""Taking a person's own pairs into the lake, as a batch with a selection of all its texts.

From then on they are like any other: training reads them by (seed, epoch), resumes exactly and
divides them over ranks; CapFilt can write and judge captions for them. A picture's key is that of
its bytes, so several captions of one picture are never each other's negatives, even from two files.
"""

import hashlib
import itertools
import logging
import time
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from tasks import rows
from tasks.errors import InputError
from tasks.pairs.reading import PICTURES, Pair, files_of, read_pairs
from tasks.pictures import square_of
from tasks.rows import Outcome, TextSource
from tasks.shards import ShardWriter
from tasks.storage import Lake, Shard

log = logging.getLogger(__name__)

SHARD_SIZE = 1000
RUN = "ingestion"
NAMED = 3


def take_pairs(
    lake: Lake, source: Path, *, questions: bool = False, images: Path | None = None
) -> str:
    """Take a source in, unless it has been, and return the id of the selection of its texts.

    The source is known by its files' names, sizes and times; when one changes it is taken in anew,
    beside the old. The selection's card is published last, so a run that was killed begins again.

    Args:
        lake: where it goes.
        source: what `read_pairs` takes.
        questions: its texts are questions with answers.
        images: where the pictures of a list lie; None means beside it.

    Raises:
        InputError: it cannot be read, or holds no picture with a text.
    """
    name = _name(source, questions, images)
    card = _card(name)
    if lake.exists(card):
        return name
    taken = _Taken(lake, name)
    pairs = read_pairs(source, questions=questions, images=images)
    try:
        for number, part in enumerate(_distinct(pairs, taken)):
            taken.shard(Shard(name, f"{number:05d}"), part)
        taken.check(source, questions)
    except InputError:
        taken.forget()
        raise
    for shard in taken.shards:
        taken.select(shard)
    lake.publish_json(lake.plan_record(name), {"shards": len(taken.shards)})
    digest = rows.fingerprint(sorted((key, texts) for key, texts in taken.texts.items() if texts))
    counts = {"pictures": taken.kept, "captions": sum(map(len, taken.texts.values()))}
    lake.publish_json(card, {"id": name, "digest": digest, "source": str(source), **counts})
    log.info("%s: %d pictures with %d texts", source, counts["pictures"], counts["captions"])
    return name


def is_taken(
    lake: Lake, source: Path, *, questions: bool = False, images: Path | None = None
) -> bool:
    """Tell whether `take_pairs` of the same would find everything done."""
    return lake.exists(_card(_name(source, questions, images)))


def _card(name: str) -> str:
    return f"selections/{name}/selection.json"


def _name(source: Path, questions: bool, images: Path | None) -> str:
    where = source.expanduser().resolve()
    files = files_of(where) if where.exists() else []
    seen = [
        (str(f.relative_to(where.parent)), f.stat().st_size, f.stat().st_mtime_ns) for f in files
    ]
    kind = "questions" if questions else "pairs"
    return f"{kind}-{rows.fingerprint([str(where), str(images), seen])}"


def _distinct(pairs: Iterable[Pair], taken: "_Taken") -> Iterator[list[tuple[str, Pair]]]:
    """Yield the pictures not met before, by the thousand, and note every text."""
    fresh = ((key, pair) for pair in pairs if (key := taken.note(pair)))
    while part := list(itertools.islice(fresh, SHARD_SIZE)):
        yield part


class _Taken:
    """What has been taken so far."""

    def __init__(self, lake: Lake, batch: str) -> None:
        self.lake, self.batch = lake, batch
        self.texts: dict[str, list[str]] = {}
        self.shards: list[Shard] = []
        self.kept = 0
        self._keys: dict[Shard, list[str]] = {}
        self._broken: list[str] = []
        self._silent: list[str] = []

    def note(self, pair: Pair) -> str:
        """Note a pair's texts; return its picture's key, or nothing when it is there already."""
        key = hashlib.sha256(pair.picture).hexdigest()[:20]
        known = self.texts.get(key)
        if known is not None:
            known += [text for text in pair.texts if text not in known]
            return ""
        self.texts[key] = list(dict.fromkeys(pair.texts))
        return key

    def shard(self, shard: Shard, part: list[tuple[str, Pair]]) -> None:
        """Write a shard's tar and rows; a picture that cannot be decoded is a row without bytes."""
        started, found = time.monotonic(), []
        with (
            self.lake.publishing(self.lake.web_tar(shard)) as temporary,
            ShardWriter(temporary) as writer,
        ):
            for key, pair in part:
                found.append(self._row(shard, key, pair, writer))
        plans = [{n: row[n] for n in ("key", "url", "source")} for row in found]
        self._write("plans", shard, plans, rows.PLANS)
        self._write("web", shard, found, rows.WEB)
        kept = [row["key"] for row in found if row["outcome"] == Outcome.KEPT]
        self._keys[shard] = kept
        self.shards.append(shard)
        self.kept += len(kept)
        counts = {"planned": len(found), "kept": len(kept)}
        files = [self.lake.web_tar(shard), self.lake.rows("web", "", shard)]
        seconds = time.monotonic() - started
        self.lake.commit(RUN, RUN, shard, files=files, rows=counts, seconds=seconds)

    def forget(self) -> None:
        """Remove what was written; no selection has named it yet."""
        for folder in (f"commits/{RUN}/{RUN}", "web", "plans"):
            path = self.lake.path(f"{folder}/{self.batch}")
            if self.lake.fs.exists(path):
                self.lake.fs.rm(path, recursive=True)

    def select(self, shard: Shard) -> None:
        """Write the texts of a shard's pictures, once all sources of texts have been read."""
        captions = [
            {
                "caption_id": rows.caption_id_of(key, TextSource.HUMAN, RUN, index),
                "key": key,
                "batch": shard.batch,
                "shard": shard.name,
                "run": RUN,
                "source": TextSource.HUMAN,
                "index": index,
                "text": text,
            }
            for key in self._keys[shard]
            for index, text in enumerate(self.texts[key])
        ]
        path = self.lake.rows("captions", RUN, shard)
        rows.write_rows(self.lake, path, rows.table_of(captions, rows.CAPTIONS))
        chosen = [{n: row[n] for n in rows.SELECTIONS.names} for row in captions]
        path = self.lake.rows("selections", shard.batch, shard)
        rows.write_rows(self.lake, path, rows.table_of(chosen, rows.SELECTIONS))

    def check(self, source: Path, questions: bool) -> None:
        """Say what cannot be used; refuse a source of which nothing can.

        Raises:
            InputError: no picture has a text and can be decoded.
        """
        self._silent = [key for key, texts in self.texts.items() if not texts]
        wanted = "a question with an answer" if questions else "a caption"
        if self._broken:
            some = ", ".join(self._broken[:NAMED])
            log.warning("%d pictures cannot be decoded: %s", len(self._broken), some)
        if self._silent:
            log.warning("%d of %d pictures have no text", len(self._silent), len(self.texts))
        if not any(self.texts[key] for keys in self._keys.values() for key in keys):
            raise InputError(
                f"{source} holds {len(self.texts)} pictures and none has {wanted} and can be "
                "decoded; the .txt of dog.jpg is dog.txt beside it, a record has image and caption"
            )

    def _row(self, shard: Shard, key: str, pair: Pair, writer: ShardWriter) -> dict[str, Any]:
        row: dict[str, Any] = {
            "key": key,
            "url": pair.name,
            "source": TextSource.HUMAN,
            "batch": shard.batch,
            "shard": shard.name,
            "sha256": hashlib.sha256(pair.picture).hexdigest(),
            "bytes": len(pair.picture),
        }
        if square_of(pair.picture, 1) is None:
            self._broken.append(pair.name)
            return {**row, "outcome": Outcome.NOT_AN_IMAGE}
        named = PurePosixPath(pair.name).suffix.lower()
        extension = (named if named in PICTURES else ".jpg").removeprefix(".")
        text = "\n".join(self.texts[key])
        offset, size = writer.add(key, pair.picture, text, {"url": pair.name}, extension)
        return {**row, "outcome": Outcome.KEPT, "tar_offset": offset, "tar_size": size}

    def _write(self, table: str, shard: Shard, found: list[dict[str, Any]], schema: Any) -> None:
        rows.write_rows(self.lake, self.lake.rows(table, "", shard), rows.table_of(found, schema))
