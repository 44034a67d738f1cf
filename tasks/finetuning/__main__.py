r"""Finetune a model on your own pictures, in one command.

    python -m tasks.finetuning captioner LAKE START pictures/ prompt="a picture of"
    python -m tasks.finetuning filter    LAKE START pairs.jsonl --images pictures/ steps=2000
    python -m tasks.finetuning vqa       LAKE START questions.parquet image_size=480

captioner   writes captions (language loss on what follows the prompt)
filter      judges and retrieves (contrast and matching; texts of one picture are no negatives)
vqa         answers questions, freely or by ranking given answers

START is a pretrained model: checkpoints/RUN in the lake, models:/NAME@ALIAS, a folder of ours or of
transformers, an original .pth file, or hub:OWNER/NAME. What to learn from is one of

    a folder                  dog.jpg with dog.txt beside it, a caption a line
    .jsonl, .json             {"image": "dog.jpg", "caption": "a dog"}; caption may be a list
    .parquet                  the same columns; image may hold the bytes
    .tar, a folder of them    webdataset shards: dog.jpg with dog.txt or dog.json
    selection:ID              a selection of the lake

For vqa a record has "question" and "answers" (a list, an answer a person; or "answer"), a .txt the
question and below it the answers. What follows are settings by name, lists are JSON: steps,
batch_size, learning_rate, warmup_steps, schedule, max_length, prompt, image_size, held_out, seed,
checkpoint_every, augmentation.min_scale, decoding.method and all others of
tasks.finetuning.settings.Finetuning. The learning rate of 3e-4 and the 200 steps suit the presets
tiny and minilm; BLIP's own sizes were finetuned with learning_rate=1e-5 (large 5e-6, its captioner
2e-6; 2e-5 for vqa) over several epochs, and fall into "post post post" with much more.

A part of the pictures (held_out) is not trained on; at every checkpoint the model writes for them,
and it is said when all captions are one or "post post post". A run that was stopped goes on when
the same command is given again. Under torchrun the work is divided over the ranks.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tasks.checkpoints import newest, resolved
from tasks.commands import run_command
from tasks.finetuning.settings import Finetuning
from tasks.finetuning.stage import FINETUNE
from tasks.pairs.taking import is_taken, take_pairs
from tasks.progress import track
from tasks.rows import fingerprint
from tasks.samples import selection_digest
from tasks.settings import nested, settings_from
from tasks.storage import Lake, open_lake
from tasks.team import Team, team_of

log = logging.getLogger(__name__)

SELECTION = "selection:"
STEPS_A_LINE = 50


def main(arguments: Sequence[str]) -> None:
    """Run one finetuning."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.finetuning",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", choices=FINETUNE)
    parser.add_argument("lake", help="where all of it lies: a folder or an fsspec URL; may be new")
    parser.add_argument("start", help="address of the pretrained model")
    parser.add_argument("source", help="what to learn from")
    parser.add_argument("settings", nargs="*", metavar="name=value")
    parser.add_argument("--images", type=Path, help="where a list's pictures lie; else beside it")
    parser.add_argument("--name", default="", help="of the run; else after its settings")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    given = parser.parse_intermixed_args(arguments)
    how = settings_from(Finetuning, nested(given.settings))
    team = team_of(given.device)
    lake = open_lake(given.lake, create=True)
    selection = _selection(lake, given, team)
    digest = selection_digest(lake, selection)
    run = given.name or _named(lake, given, digest, how)
    steps = FINETUNE[given.kind](lake, run, given.start, (selection,), how, given.device)
    for metrics in track(steps, run, how.steps) if team.leads else steps:
        if metrics.step % STEPS_A_LINE == 0 or metrics.step == how.steps:
            said = ", ".join(f"{name} {value:.3f}" for name, value in metrics.losses.items())
            log.info("step %d: loss %.3f (%s)", metrics.step, metrics.total, said)
    found = newest(lake, run)
    if found is not None and team.leads:
        sys.stdout.write(f"{found.uri}\n")


def _named(lake: Lake, given: argparse.Namespace, digest: str, how: Finetuning) -> str:
    """Name a run after all that decides it; an address may mean other weights tomorrow."""
    return f"{given.kind}-{fingerprint([*resolved(lake, given.start), digest, asdict(how)])}"


def _selection(lake: Lake, given: argparse.Namespace, team: Team) -> str:
    """Return the selection to learn from; files are taken into the lake by the first rank."""
    if given.source.startswith(SELECTION):
        return str(given.source.removeprefix(SELECTION))
    source, questions = Path(given.source).expanduser(), given.kind == "vqa"
    if team.leads and not is_taken(lake, source, questions=questions, images=given.images):
        resolved(lake, given.start)  # so that not many pictures are taken in for nothing
        take_pairs(lake, source, questions=questions, images=given.images)
    team.wait()
    return take_pairs(lake, source, questions=questions, images=given.images)


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
