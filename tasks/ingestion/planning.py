"""The plan of a batch: which candidates are in which shard, fixed before anything is fetched.

One row for every address, its texts merged, in the order of the keys: so the same candidates give
the same shards whatever order the pages were read in, and a rerun sees what the first run saw.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from tasks import rows
from tasks.errors import InputError
from tasks.ingestion.candidates import Candidate
from tasks.ingestion.settings import Source
from tasks.ingestion.urls import BadUrlError, normalise
from tasks.storage import Lake, Shard


@dataclass(slots=True)
class Planned:
    """One address with every text that any page gave its picture."""

    key: str
    url: str
    page_url: str
    expected_sha256: str
    texts: dict[str, tuple[str, str]] = field(default_factory=dict)


def merged(candidates: Iterable[Candidate]) -> list[Planned]:
    """Return one entry for every address, ordered by key; equal texts count once."""
    found: dict[str, Planned] = {}
    for candidate in candidates:
        url = _spelled(candidate.url)
        entry = found.get(url)
        if entry is None:
            entry = Planned(rows.key_of(url), url, candidate.page_url, candidate.expected_sha256)
            found[url] = entry
        if candidate.text:
            entry.texts.setdefault(candidate.text, (candidate.page_url, candidate.context))
    return sorted(found.values(), key=lambda entry: entry.key)


def write_plan(lake: Lake, source: Source, entries: list[Planned], size: int) -> list[Shard]:
    """Publish the plan of a batch; its record comes last and makes it whole.

    Raises:
        InputError: there is nothing to plan.
    """
    batch = source.batch
    if not entries:
        raise InputError(f"batch {batch!r} would be empty: its sources hold no picture at all")
    starts = range(0, len(entries), size)
    for number, start in enumerate(starts):
        some = (_row(entry, source.kind) for entry in entries[start : start + size])
        relative = lake.rows("plans", "", Shard(batch, f"{number:05d}"))
        rows.write_rows(lake, relative, rows.table_of(some, rows.PLANS))
    record = {
        "batch": batch,
        "candidates": len(entries),
        "shards": len(starts),
        "source": asdict(source),
    }
    lake.publish_json(lake.plan_record(batch), record)
    return lake.planned(batch)


def existing_plan(lake: Lake, source: Source) -> list[Shard] | None:
    """Return the shards of a batch that is planned already, or None when it is not.

    Raises:
        InputError: it was planned from other sources than these.
    """
    record = lake.plan_record(source.batch)
    if not lake.exists(record):
        return None
    before = lake.read_json(record)["source"]
    now = json.loads(json.dumps(asdict(source)))
    if differing := [name for name in now if now[name] != before.get(name)]:
        said = "; ".join(f"{n} {before.get(n)!r} there, {now[n]!r} now" for n in differing)
        raise InputError(
            f"batch {source.batch!r} of {lake.root} was planned from another source ({said:.300}) "
            "and keeps that plan; give this source another batch name or another lake"
        )
    return lake.planned(source.batch)


def read_plan(lake: Lake, shard: Shard) -> list[Planned]:
    """Return the planned candidates of a shard, in order."""
    table = rows.read_rows(lake, lake.rows("plans", "", shard))
    return [
        Planned(
            row["key"],
            row["url"],
            row["page_url"],
            row["expected_sha256"],
            {t["text"]: (t["page_url"], t["context"]) for t in row["texts"]},
        )
        for row in table.to_pylist()
    ]


def _spelled(url: str) -> str:
    try:
        return normalise(url)
    except BadUrlError:
        return url  # its row will say bad_url or bad_scheme; its key is of the text as given


def _row(entry: Planned, kind: str) -> dict[str, object]:
    return {
        "key": entry.key,
        "url": entry.url,
        "page_url": entry.page_url,
        "source": kind,
        "texts": texts_of(entry),
        "expected_sha256": entry.expected_sha256,
    }


def texts_of(entry: Planned) -> list[dict[str, str]]:
    """Return an entry's texts as the rows hold them, in the order they were found."""
    return [
        {"text": text, "page_url": page_url, "context": context}
        for text, (page_url, context) in entry.texts.items()
    ]
