"""Tables of addresses, ingested, and the rows that came of it."""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks import rows
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.stage import plan
from tasks.ingestion.workers import ingest
from tasks.storage import Lake
from tests.drawn import encoded

JPEG = encoded(quality=95)
LOOPBACK = ("127.0.0.1",)
HOW = Ingestion(allow_private_hosts=LOOPBACK, timeout_s=2, shard_size=5, max_bytes=100_000)


def table(folder: Path, urls: list[str], name: str = "urls.csv") -> str:
    lines = [f'"{url}","picture {n} of a row"' for n, url in enumerate(urls)]
    path = folder / name
    path.write_text("\n".join(["url,caption", *lines]) + "\n")
    return str(path)


def ingested(lake: Lake, folder: Path, urls: list[str], how: Ingestion = HOW) -> dict[str, Any]:
    """Ingest a table; return the rows by URL as it was given."""
    shards = plan(lake, Source(batch="web", tables=(table(folder, urls),)), how)
    ingest(lake, shards, how)
    return {row["url"]: row for row in web_rows(lake)}


def web_rows(lake: Lake) -> list[dict[str, Any]]:
    return rows.read_all(lake, "web/*/*.parquet", rows.WEB).to_pylist()


def samples(lake: Lake) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield what the json of every stored sample says, and its picture."""
    for path in lake.glob("web/*/*.tar"):
        with tarfile.open(lake.path(path)) as tar:
            members = {one.name: tar.extractfile(one) for one in tar.getmembers()}
            contents = {name: file.read() for name, file in members.items() if file is not None}
        for name in (one for one in contents if one.endswith(".json")):
            key = name.removesuffix(".json")
            (picture,) = (
                content
                for other, content in contents.items()
                if other.startswith(f"{key}.") and not other.endswith((".json", ".txt"))
            )
            yield json.loads(contents[name]), picture
