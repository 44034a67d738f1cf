"""Ingestion: sources -> a plan -> shards of pictures, with one row for every planned candidate.

Each shard is fetched on one event loop while a pool of threads decodes; what a shard gives is
written in the order of its keys, so a rerun yields the same rows whatever answered first.
"""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import chain
from typing import Any

from tasks import rows
from tasks.errors import LakeError
from tasks.ingestion import planning
from tasks.ingestion.dedup import twins_of
from tasks.ingestion.fetch import Fetcher
from tasks.ingestion.fetched import Fetched
from tasks.ingestion.images import Picture, stored_picture
from tasks.ingestion.pages import page_candidates
from tasks.ingestion.planning import Planned
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.tables import table_candidates
from tasks.ingestion.texts import text_signals
from tasks.ingestion.urls import host_of
from tasks.rows import Outcome
from tasks.shards import ShardWriter
from tasks.storage import Commit, Lake, Shard

log = logging.getLogger(__name__)

STAGE = "ingestion"
RUN = "ingestion"
DUPLICATES = "duplicates"
DECODERS = 2
# Outcomes of the picture itself; img2dataset calls these failed_to_resize, all others
# failed_to_download.
PICTURE_OUTCOMES = frozenset(
    {
        Outcome.NOT_AN_IMAGE,
        Outcome.UNSUPPORTED_FORMAT,
        Outcome.TRUNCATED,
        Outcome.CORRUPT,
        Outcome.TOO_MANY_PIXELS,
        Outcome.TOO_SMALL,
        Outcome.ASPECT_RATIO,
        Outcome.ANIMATED,
    }
)


def plan(lake: Lake, source: Source, how: Ingestion) -> list[Shard]:
    """Fix the candidates of a batch, once; a batch that is planned keeps its plan.

    Raises:
        InputError: a source cannot be read, holds no picture, or is not the one that the batch was
            planned from; nothing has been written.
    """
    if (existing := planning.existing_plan(lake, source)) is not None:
        log.info("batch %s is planned: %d shards", source.batch, len(existing))
        return existing
    tables = chain.from_iterable(table_candidates(path) for path in source.tables)
    candidates = chain(page_candidates(source, how), tables)
    return planning.plan_candidates(lake, source, candidates, how.shard_size)


def ingest_shard(lake: Lake, shard: Shard, how: Ingestion) -> Commit:
    """Fetch, check and store the candidates of a shard; a committed shard is left as it is.

    Returns:
        The commit, whose rows count `planned`, `kept` and the texts of what was kept.
    """
    if lake.is_committed(STAGE, RUN, shard):
        return lake.commit_of(STAGE, RUN, shard)
    started = time.monotonic()
    entries = planning.read_plan(lake, shard)
    results = asyncio.run(_fetched(entries, how))
    counts = _write(lake, shard, entries, results)
    seconds = time.monotonic() - started
    kinds = {"web": lake.rows("web", "", shard), "captions": lake.rows("captions", RUN, shard)}
    commit = lake.commit(
        STAGE,
        RUN,
        shard,
        files=[lake.web_tar(shard), *kinds.values()],
        rows=counts,
        seconds=seconds,
        versions={"settings": rows.fingerprint(asdict(how))},
    )
    log.info("shard %s: kept %d of %d in %.1f s", shard, counts["kept"], counts["planned"], seconds)
    return commit


def mark_duplicates(lake: Lake, batch: str, how: Ingestion) -> Commit:  # noqa: ARG001  # the stage's form
    """Name the keeper of every picture of a batch that repeats another one.

    Raises:
        LakeError: the batch is not planned, or a shard of it is not ingested.
    """
    shard = Shard(batch, "00000")
    if lake.is_committed(DUPLICATES, RUN, shard):
        return lake.commit_of(DUPLICATES, RUN, shard)
    planned = lake.planned(batch)
    missing = set(planned) - set(lake.committed(STAGE, RUN, batch))
    if missing:  # of a shard that is being redone, other pictures may be kept than lie there now
        raise LakeError(
            f"{len(missing)} of {len(planned)} shards of batch {batch} are not ingested yet "
            f"({min(missing)} is the first); run ingestion on it again"
        )
    started = time.monotonic()
    columns = ["key", "outcome", "sha256", "phash", "dhash", "entropy", "flat_frac"]
    columns += ["original_width", "original_height"]
    pictures = [
        row
        for one in planned
        for row in rows.read_rows(lake, lake.rows("web", "", one), columns).to_pylist()
        if row["outcome"] == Outcome.KEPT
    ]
    twins = twins_of(pictures)
    relative = lake.rows("duplicates", RUN, shard)
    rows.write_rows(lake, relative, rows.table_of(map(asdict, twins), rows.DUPLICATES))
    log.info("batch %s: %d of %d pictures repeat another", batch, len(twins), len(pictures))
    return lake.commit(
        DUPLICATES,
        RUN,
        shard,
        files=[relative],
        rows={"pictures": len(pictures), "duplicates": len(twins)},
        seconds=time.monotonic() - started,
    )


async def _fetched(entries: list[Planned], how: Ingestion) -> list[tuple[Fetched, Picture]]:
    """Fetch and decode every entry; at most `concurrency` bodies are in memory at once."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(DECODERS, thread_name_prefix="decode") as decoders:
        async with Fetcher(how) as fetcher:

            async def one(entry: Planned) -> tuple[Fetched, Picture]:
                async with fetcher.turn(entry.url):
                    fetched = await fetcher.get(entry.url)
                    picture = await loop.run_in_executor(decoders, _picture, entry, fetched, how)
                return replace(fetched, body=b""), picture

            return await asyncio.gather(*(one(entry) for entry in entries))


def _picture(entry: Planned, fetched: Fetched, how: Ingestion) -> Picture:
    if fetched.outcome is not Outcome.KEPT:
        return Picture(fetched.outcome, b"", fetched.message, {})
    digest = sha256(fetched.body).hexdigest()
    facts = {"sha256": digest, "bytes": len(fetched.body)}
    if entry.expected_sha256 and entry.expected_sha256.lower() != digest:
        message = f"expected sha256 {entry.expected_sha256[:12]}, got {digest[:12]}"
        return Picture(Outcome.HASH_MISMATCH, b"", message, facts)
    picture = stored_picture(fetched.body, how)
    picture.columns.update(facts)
    return picture


def _write(
    lake: Lake, shard: Shard, entries: list[Planned], results: list[tuple[Fetched, Picture]]
) -> dict[str, int]:
    """Publish the tar, the captions and last the rows of a shard; return the counts."""
    web: list[dict[str, Any]] = []
    captions: list[dict[str, Any]] = []
    kind = rows.read_rows(lake, lake.rows("plans", "", shard), ["source"])["source"][0].as_py()
    with lake.publishing(lake.web_tar(shard)) as temporary, ShardWriter(temporary) as tar:
        for entry, (fetched, picture) in zip(entries, results, strict=True):
            row = _row(shard, kind, entry, fetched, picture)
            if picture.outcome is Outcome.KEPT:
                facts = {k: row[k] for k in ("key", "url", "sha256", "width", "height", "status")}
                facts["caption"] = row["caption"]
                offset, size = tar.add(entry.key, picture.jpeg, row["caption"], facts)
                row |= {"tar_offset": offset, "tar_size": size}
                captions += _captions(shard, kind, entry)
            web.append(row)
    rows.write_rows(lake, lake.rows("captions", RUN, shard), rows.table_of(captions, rows.CAPTIONS))
    rows.write_rows(lake, lake.rows("web", "", shard), rows.table_of(web, rows.WEB))
    kept = sum(row["outcome"] == Outcome.KEPT for row in web)
    return {
        "planned": len(web),
        "kept": kept,
        "failed": len(web) - kept,
        "captions": len(captions),
    }


def _row(
    shard: Shard, kind: str, entry: Planned, fetched: Fetched, picture: Picture
) -> dict[str, Any]:
    texts = planning.texts_of(entry)
    return {
        "key": entry.key,
        "url": entry.url,
        "page_url": entry.page_url,
        "domain": host_of(entry.url),
        "source": kind,
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
