"""`python -m tasks.ingestion LAKE --batch NAME --pages URL …`: ingest a batch without Prefect."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence

from tasks import rows
from tasks.commands import run_command
from tasks.ingestion.settings import KINDS, Ingestion, Source
from tasks.ingestion.stage import ingest_shard, mark_duplicates, plan
from tasks.progress import track
from tasks.storage import Lake, open_lake


def main(given: Sequence[str]) -> None:
    """Run the command; exit with 1 when it all worked and yet no picture is stored."""
    arguments = _parser().parse_args(given)
    source = Source(
        batch=arguments.batch,
        pages=tuple(arguments.pages),
        tables=tuple(arguments.table),
        kind=arguments.kind,
    )
    how = Ingestion(
        image_size=arguments.image_size,
        shard_size=arguments.shard_size,
        contact=arguments.contact,
        allow_private_hosts=tuple(arguments.allow_private_host),
    )
    lake = open_lake(arguments.lake, create=True)
    shards = plan(lake, source, how)
    for shard in track(shards, source.batch, len(shards)):
        ingest_shard(lake, shard, how)
    mark_duplicates(lake, source.batch, how)
    if not _tell(lake, source.batch):
        sys.stderr.write(
            f"batch {source.batch} kept no picture at all; the outcomes above say why. Their rows "
            "stay: mend the cause and ingest under another batch name\n"
        )
        sys.exit(1)


def _tell(lake: Lake, batch: str) -> int:
    """Print how many pictures had which outcome; return how many are stored."""
    outcomes = Counter(
        outcome
        for shard in lake.planned(batch)
        for outcome in rows.read_rows(lake, lake.rows("web", "", shard), ["outcome"])[
            "outcome"
        ].to_pylist()
    )
    for outcome, count in outcomes.most_common():
        sys.stdout.write(f"{count:8d}  {outcome}\n")
    return outcomes[rows.Outcome.KEPT]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tasks.ingestion", description=__doc__)
    parser.add_argument("lake", help="folder or object-store prefix")
    parser.add_argument("--batch", required=True, help="name of this set of pictures")
    parser.add_argument("--pages", nargs="*", default=[], help="start pages or HTML files")
    parser.add_argument("--table", nargs="*", default=[], help="URL tables")
    parser.add_argument("--kind", choices=KINDS, default="web", help="who wrote the texts")
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--shard-size", type=int, default=1000)
    parser.add_argument("--contact", default="", help="how a webmaster can reach you")
    parser.add_argument(
        "--allow-private-host", nargs="*", default=[], help="hosts that may be on this network"
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
