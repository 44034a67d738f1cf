"""`python -m tasks.capfilt LAKE`: captions and scores for an ingested batch, without Prefect.

The captioner writes for every picture that has no captions of it yet, and the filter judges every
text, the web's as well as the new ones. Both are addresses: `models:/caplift-captioner@champion`, a
checkpoint folder, `checkpoints/<run>` in the lake, or a BLIP of the hub such as
`Salesforce/blip-image-captioning-base`. The last line of stdout is a summary in JSON; all else is
said on stderr. Run again it does only what is left. On a host with several GPUs start one process
for each, with `--device cuda:0 --part 1/4` and so on.
"""

import argparse
import json
import logging
import sys
from collections import deque
from collections.abc import Sequence

from models.decoding import Decoding
from tasks.capfilt.display import showing
from tasks.capfilt.judged import capfilt_job
from tasks.capfilt.naming import named_job
from tasks.capfilt.settings import INGESTED, CapFilt
from tasks.capfilt.summary import Summary, summarise
from tasks.commands import run_command
from tasks.errors import InputError
from tasks.ingestion.options import add_options, settings_from_options
from tasks.jobs import check_device
from tasks.storage import Shard, open_lake

log = logging.getLogger("tasks.capfilt")  # run as a command this module has another name

CAPTIONER = "models:/caplift-captioner@champion"
FILTER = "models:/caplift-filter@champion"


def main(given: Sequence[str]) -> None:
    """Run the command; exit with 1 when some shards could not be done and the others are."""
    arguments = _parser().parse_args(given)
    how = _settings(arguments)
    lake = open_lake(arguments.lake)
    planned = _part(lake.planned(arguments.batch), arguments.part)
    ingested = set(lake.committed(INGESTED, INGESTED, arguments.batch))
    ready = [shard for shard in planned if shard in ingested]
    check_device(arguments.device)
    # Both before any work: a wrong filter should not be found out after an hour of captioning.
    job = named_job(lake, how, arguments.captioner, arguments.filter)
    with showing(f"{job.captions} and {job.scores}") as display:
        # To its end; each shard says its own line, and the summary is read from the lake.
        deque(capfilt_job(lake, job, ready, arguments.device, display), maxlen=0)
    _say(summarise(lake, job, arguments.device, planned, display.tally))


def _say(summary: Summary) -> None:
    """Tell a program on stdout, and a person on stderr what was and what is still to be done."""
    log.info("%s", summary.tally.line())
    sys.stdout.write(json.dumps(summary.to_json()) + "\n")
    sys.stdout.flush()
    if summary.not_ingested:
        sys.stderr.write(
            f"{summary.not_ingested} of {summary.planned} shards of {summary.batch} are not "
            "ingested yet; finish its ingestion, then run this again\n"
        )
    if summary.quarantined:
        first, reason = next(iter(summary.quarantined.items()))
        sys.stderr.write(
            f"{len(summary.quarantined)} of {summary.planned} shards of {summary.batch} could not "
            f"be read and are in quarantine, the first is {first}: {reason}\n"
        )
    if summary.not_ingested or summary.quarantined:
        sys.exit(1)


def _part(shards: list[Shard], part: str) -> list[Shard]:
    """Return every N-th shard from the I-th on, of "I/N"."""
    first, _, number = part.partition("/")
    if not (first.isdecimal() and number.isdecimal() and 1 <= int(first) <= int(number)):
        raise InputError(f"part is I/N with I from 1 to N, such as 2/4, not {part!r}")
    return shards[int(first) - 1 :: int(number)]


def _settings(arguments: argparse.Namespace) -> CapFilt:
    given = vars(arguments)
    try:
        decoding = settings_from_options(Decoding, given)
    except ValueError as error:
        raise InputError(str(error)) from error
    own = {name: value for name, value in given.items() if name != "max_length"}
    return settings_from_options(CapFilt, own, decoding=decoding, max_length=arguments.text_length)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tasks.capfilt",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("lake", help="the lake's root: a folder or an fsspec URL")
    parser.add_argument("--batch", default="web", help="a batch that was ingested (web)")
    parser.add_argument("--captioner", default=CAPTIONER, help=f"who writes ({CAPTIONER})")
    parser.add_argument("--filter", default=FILTER, help=f"who judges ({FILTER})")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (cpu)")
    parser.add_argument("--part", default="1/1", metavar="I/N", help="every N-th shard (1/1)")
    parser.add_argument(
        "--text-length",
        type=int,
        default=CapFilt().max_length,
        metavar="N",
        help="most tokens of a text that is scored",
    )
    add_options(parser, CapFilt, without=("decoding", "max_length"))
    add_options(parser, Decoding)
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
