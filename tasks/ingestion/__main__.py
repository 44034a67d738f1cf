"""`python -m tasks.ingestion INPUT… LAKE`: pages and URL tables into a lake, without Prefect.

An input is a URL table (.parquet .csv .tsv .json .jsonl .txt, .gz too), an archive (.warc .wat, .gz
too), an HTML file, a folder or a pattern of one of these, or a start page; files may lie on any
store that fsspec knows, and so may the lake. Options of img2dataset may be written as it has them;
docs/from-img2dataset.md lists what each comes to. The last line of stdout is a summary in JSON; all
else is said on stderr. Run again it finishes what is left.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace

from tasks.commands import run_command
from tasks.errors import InputError
from tasks.ingestion import footprint
from tasks.ingestion.display import showing
from tasks.ingestion.options import add_options, settings_from_options
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.sources.places import kind_of
from tasks.ingestion.sources.planning import RUN, STAGE, candidates_left
from tasks.ingestion.sources.retrying import retry_source
from tasks.ingestion.sources.sampling import estimate, sampled
from tasks.ingestion.spellings import in_our_words
from tasks.ingestion.stage import plan
from tasks.ingestion.summary import Summary, summarise
from tasks.ingestion.tally import Tally
from tasks.ingestion.workers import ingest
from tasks.storage import Lake, Shard, open_lake


def main(given: Sequence[str]) -> None:
    """Run the command; exit with 1 when it all worked and yet no picture is stored."""
    arguments = _parser().parse_args(in_our_words(given))
    how = settings_from_options(Ingestion, vars(arguments))
    if arguments.processes < 1:
        raise InputError(f"processes is 1 or more, not {arguments.processes}")
    if arguments.thread_count is not None:
        how = replace(how, concurrency=arguments.thread_count * arguments.processes)
    *inputs, root = arguments.places
    if arguments.sample is not None:
        source = _source(arguments, inputs)
        with tempfile.TemporaryDirectory() as folder:
            lake = open_lake(folder)
            chosen = sampled(lake, source, how, arguments.sample)
            summary = _ingested(lake, chosen.shards, source.batch, how, arguments.processes)
            _say(summary, {"estimate": estimate(summary, chosen.candidates)})
        return
    if arguments.retry_failed:
        if inputs:
            raise InputError(f"a retry reads the lake alone; leave out {', '.join(inputs)}")
        lake = open_lake(root)
        source = retry_source(lake, arguments.batch)
    else:
        source = _source(arguments, inputs)
        lake = open_lake(root, create=True)
    shards = plan(lake, source, how)
    summary = _ingested(lake, shards, source.batch, how, arguments.processes)
    _say(summary, {})
    if not summary.kept:
        sys.stderr.write(
            f"batch {source.batch} kept no picture at all; the outcomes above say why. Their rows "
            "stay: mend the cause and ingest under another batch name\n"
        )
        sys.exit(1)


def _source(arguments: argparse.Namespace, inputs: list[str]) -> Source:
    is_table = bool(arguments.input_format)
    kinds = {place: "tables" if is_table else kind_of(place) for place in inputs}
    places = {
        kind: tuple(place for place in inputs if kinds[place] == kind)
        for kind in ("pages", "archives", "tables")
    }
    return settings_from_options(Source, vars(arguments), **places)


def _ingested(
    lake: Lake, shards: list[Shard], batch: str, how: Ingestion, processes: int
) -> Summary:
    """Ingest what is left of a batch while showing how far it is; mark its duplicates."""
    began_s = time.monotonic()
    left = sorted(set(shards) - set(lake.committed(STAGE, RUN, batch)))
    tally = Tally()
    if left:
        with showing(batch, candidates_left(lake, batch), processes) as display:
            tally = ingest(lake, left, how, processes, display)
    # Here, not above: DuckDB would be in memory while pictures are.
    from tasks.ingestion.duplicates import mark_duplicates

    mark_duplicates(lake, batch, how)
    return summarise(lake, batch, tally, time.monotonic() - began_s)


def _say(summary: Summary, more: dict[str, object]) -> None:
    """Tell a person on stderr and a program on stdout."""
    for outcome, count in summary.outcomes.items():
        sys.stderr.write(f"{count:10,d}  {outcome}\n")
    if summary.hint:
        sys.stderr.write(f"{summary.hint}\n")
    sys.stderr.flush()
    sys.stdout.write(json.dumps({**summary.to_json(), **more}) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tasks.ingestion",
        usage="python -m tasks.ingestion INPUT [INPUT ...] LAKE [options]\n"
        "       python -m tasks.ingestion --retry-failed [--batch NAME] LAKE [options]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("places", nargs="+", metavar="INPUT… LAKE", help="the lake comes last")
    parser.add_argument("--batch", default="web", help="name of this set of pictures (web)")
    parser.add_argument("--kind", default="web", help="who wrote the texts: web or human")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, help="one a core by default"
    )
    parser.add_argument(
        "--thread-count",
        type=int,
        metavar="N",
        help="requests under way at once in each process, in place of --concurrency",
    )
    parser.add_argument(
        "--sample",
        type=int,
        metavar="N",
        help="fetch N candidates into nothing and say what all would take",
    )
    parser.add_argument(
        "--retry-failed",
        action="store_true",
        help="try again, as a batch of their own, the failures of --batch that may pass",
    )
    add_options(
        parser, Source, without=("batch", "pages", "archives", "tables", "kind", "retry_of")
    )
    add_options(parser, Ingestion)
    return parser


if __name__ == "__main__":
    footprint.own()
    sys.exit(run_command(main, sys.argv[1:]))
