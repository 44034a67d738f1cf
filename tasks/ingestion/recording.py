"""An open shard: results arrive in any order, leave in the order of the keys, once all are there.

Pictures wait in a file that spills to disk, so what an open shard holds in memory does not grow
with its pictures; the tar is the same, byte for byte, whatever answered first.
"""

import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from tasks import rows
from tasks.disk import writable
from tasks.ingestion.fetching.fetched import Fetched
from tasks.ingestion.pictures.images import Picture
from tasks.ingestion.settings import Ingestion
from tasks.ingestion.sources import planning
from tasks.ingestion.sources.additional import for_json
from tasks.ingestion.sources.planning import RUN, STAGE, Planned
from tasks.ingestion.sources.plans import plan_of
from tasks.ingestion.sources.urls import host_of
from tasks.ingestion.texts import text_signals
from tasks.rows import Outcome
from tasks.shards import ShardWriter
from tasks.storage import Commit, Lake, Shard

IN_MEMORY = 4 << 20  # bytes of pictures an open shard holds before it spills
# Outcomes of the picture itself; img2dataset calls these failed_to_resize, all others
# failed_to_download.
PICTURE_OUTCOMES = frozenset(
    {
        Outcome.NOT_AN_IMAGE,
        Outcome.UNKNOWN_FORMAT,
        Outcome.UNSUPPORTED_FORMAT,
        Outcome.TRUNCATED,
        Outcome.CORRUPT,
        Outcome.TOO_MANY_PIXELS,
        Outcome.TOO_SMALL,
        Outcome.ASPECT_RATIO,
        Outcome.ANIMATED,
    }
)
# What img2dataset writes into a sample's json beside its table's columns.
FACTS = (
    "key",
    "url",
    "caption",
    "status",
    "error_message",
    "sha256",
    "width",
    "height",
    "original_width",
    "original_height",
    "exif",
)


@dataclass(slots=True)
class _Place:
    """Where a picture waits: its bytes in the spool."""

    offset: int
    size: int
    extension: str


class OpenShard:
    """The candidates of a shard and what has become of them so far."""

    def __init__(self, lake: Lake, shard: Shard) -> None:
        """Read the plan of a shard.

        Raises:
            LakeError: the plan is missing or damaged.
        """
        self.lake = lake
        self.shard = shard
        plan = plan_of(lake, shard)
        self.entries = plan.entries
        self._kind = plan.kind
        self._additional = plan.additional
        self.left = len(self.entries)
        self.started_at = datetime.now(UTC)
        self._started = time.monotonic()
        self._rows: list[dict[str, Any]] = [{} for _ in self.entries]
        self._places: list[_Place | None] = [None] * len(self.entries)
        # Until `commit` or `discard`, whichever comes.
        self._spool = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115

    def put(self, index: int, fetched: Fetched, picture: Picture) -> None:
        """Take the result of a candidate; one thread at a time.

        Raises:
            LakeError: no space is left for pictures that wait.
        """
        self._rows[index] = _row(self.shard, self.entries[index], fetched, picture)
        if picture.outcome is Outcome.KEPT:
            with writable(tempfile.gettempdir()):
                size, extension = len(picture.content), picture.extension
                self._places[index] = _Place(self._spool.tell(), size, extension)
                self._spool.write(picture.content)

    def discard(self) -> None:
        """Let go of the pictures; nothing of the shard has been published."""
        self._spool.close()

    def commit(self, how: Ingestion) -> Commit:
        """Publish the tar, the captions, the statistics and the rows, and last the record.

        Raises:
            LakeError: the lake cannot be written.
        """
        lake, shard = self.lake, self.shard
        captions: list[dict[str, Any]] = []
        with ExitStack() as stack:
            stack.callback(self.discard)
            temporary = stack.enter_context(lake.publishing(lake.web_tar(shard)))
            tar = stack.enter_context(ShardWriter(temporary))
            for entry, row, place in zip(self.entries, self._rows, self._places, strict=True):
                row["source"] = self._kind
                if place is not None:
                    row |= self._stored(tar, row, place, how)
                    captions += _captions(shard, self._kind, entry)
        table = rows.table_of(captions, rows.CAPTIONS)
        rows.write_rows(lake, lake.rows("captions", RUN, shard), table)
        statistics = f"web/{shard.batch}/{shard.name}_stats.json"
        lake.publish_json(statistics, self._statistics())
        table = rows.table_of(self._rows, self._additional.beside(rows.WEB, how.compute_hash))
        rows.write_rows(lake, lake.rows("web", "", shard), table)
        kept = sum(place is not None for place in self._places)
        return lake.commit(
            STAGE,
            RUN,
            shard,
            files=[
                lake.web_tar(shard),
                lake.rows("web", "", shard),
                lake.rows("captions", RUN, shard),
                statistics,
            ],
            rows={
                "planned": len(self.entries),
                "kept": kept,
                "failed": len(self.entries) - kept,
                "captions": len(captions),
            },
            seconds=time.monotonic() - self._started,
            versions={"settings": rows.fingerprint(asdict(how))},
        )

    def _stored(
        self, tar: ShardWriter, row: dict[str, Any], place: _Place, how: Ingestion
    ) -> dict[str, Any]:
        self._spool.seek(place.offset)
        facts = {name: row.get(name) for name in (*FACTS, how.compute_hash)}
        facts |= {name: for_json(row[name]) for name in self._additional.names}
        content = self._spool.read(place.size)
        offset, size = tar.add(row["key"], content, row["caption"], facts, place.extension)
        return {"tar_offset": offset, "tar_size": size}

    def _statistics(self) -> dict[str, Any]:
        """Return img2dataset's statistics of a shard, with outcomes for its free-text errors."""
        statuses = [row["status"] for row in self._rows]
        outcomes = sorted(row["outcome"] for row in self._rows)
        ended_at = datetime.now(UTC)
        return {
            "count": len(statuses),
            "successes": statuses.count("success"),
            "failed_to_download": statuses.count("failed_to_download"),
            "failed_to_resize": statuses.count("failed_to_resize"),
            "duration": (ended_at - self.started_at).total_seconds(),
            "start_time": self.started_at.timestamp(),
            "end_time": ended_at.timestamp(),
            "status_dict": {
                "success" if outcome == Outcome.KEPT else outcome: outcomes.count(outcome)
                for outcome in dict.fromkeys(outcomes)
            },
        }


def _row(shard: Shard, entry: Planned, fetched: Fetched, picture: Picture) -> dict[str, Any]:
    texts = planning.texts_of(entry)
    return {
        "key": entry.key,
        "url": entry.url,
        "page_url": entry.page_url,
        "domain": host_of(entry.url),
        "batch": shard.batch,
        "shard": shard.name,
        "caption": texts[0]["text"] if texts else "",
        "texts": texts,
        "outcome": picture.outcome.value,
        "status": _status(picture.outcome),
        "error_message": picture.message or None,
        "http_status": fetched.http_status,
        "attempts": fetched.attempts,
        "final_url": fetched.final_url or None,
        "fetched_at": datetime.now(UTC),
        "seconds": fetched.seconds,
        "content_type": fetched.content_type or None,
        **picture.columns,
        **entry.additional,
    }


def _status(outcome: Outcome) -> str:
    if outcome is Outcome.KEPT:
        return "success"
    return "failed_to_resize" if outcome in PICTURE_OUTCOMES else "failed_to_download"


def _captions(shard: Shard, kind: str, entry: Planned) -> list[dict[str, Any]]:
    return [
        {
            "caption_id": rows.caption_id_of(entry.key, kind, RUN, index),
            "key": entry.key,
            "batch": shard.batch,
            "shard": shard.name,
            "run": RUN,
            "source": kind,
            "index": index,
            "text": text,
            "context": context,
            "degenerate": False,
            **text_signals(text),
        }
        for index, (text, (_, context)) in enumerate(entry.texts.items())
    ]
