"""How the shipped canary was made: `python -m tasks.canary.drawing FOLDER` draws it again.

Pictures of the demo's kind that no site shows, in Twemoji's hand alone (CC BY 4.0), whose licence
lets them lie here. Each has two right texts and two wrong ones: of a picture that shows none of
its things, and in turn one with a wrong number or ground, boilerplate, or the name of a file.
"""

import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasks.commands import run_command
from tasks.demo.planting import BOILERPLATE, FILENAMES
from tasks.demo.scenes import Scene, compose, jpeg, picture
from tasks.demo.words import GROUNDS, english

PICTURES = 128
SEED = 37
QUALITY = 85
PAIRS = "pairs.jsonl"


def draw_canary(folder: Path) -> None:
    """Write the pictures and the table of pairs.

    Raises:
        InputError: the packages of the `demo` extra are not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Of another seed than any site's: a model has not been trained on these.
    scenes = [replace(compose(SEED, "web", at), hand="twemoji") for at in range(PICTURES)]
    for at, scene in enumerate(scenes):
        (folder / _file(at)).write_bytes(jpeg(picture(scene), QUALITY))
    lines = [json.dumps(pair, ensure_ascii=False) for pair in _pairs(scenes)]
    (folder / PAIRS).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _file(at: int) -> str:
    return f"{at:03d}.jpg"


def _pairs(scenes: Sequence[Scene]) -> Iterator[dict[str, Any]]:
    draw = random.Random(SEED)
    for at, scene in enumerate(scenes):
        others = [one for one in scenes if not one.kinds & scene.kinds]
        texts = [
            ("none", scene.caption),
            ("none", scene.paraphrase(1)),
            ("swapped", draw.choice(others).caption),
            _wrong(draw, scene, at),
        ]
        for noise, text in texts:
            yield {"image": _file(at), "text": text, "noise": noise}


def _wrong(draw: random.Random, scene: Scene, at: int) -> tuple[str, str]:
    """Return a kind of noise and its text, one kind after the other."""
    counts, colour = dict(scene.counts), scene.colour
    if at % 3 == 1:
        return "boilerplate", draw.choice(BOILERPLATE)
    if at % 3 == 2:
        return "filename", draw.choice(FILENAMES).format(draw.randint(1, 999))
    if at % 2:
        first = next(iter(counts))
        counts[first] = draw.choice([n for n in (1, 2, 3) if n != counts[first]])
    else:
        colour = draw.choice([name for name in GROUNDS if name != colour])
    return "attribute", english(counts, colour, scene.template)


def main(arguments: Sequence[str]) -> None:
    """Draw the canary into a folder."""
    draw_canary(Path(arguments[0] if arguments else "tasks/canary/drawings"))


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
