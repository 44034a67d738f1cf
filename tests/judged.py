"""A lake, a model and files to judge it by, for evaluations of other tasks than captions."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from models.blip import Blip
from models.presets import preset
from models.tokenization import Tokenizer
from tasks.checkpoints import save_checkpoint
from tasks.storage import Lake
from tests.small_lake import (
    COLOURS,
    caption_of,
    colour_of,
    jpeg_of,
    write_lake,
    write_selection,
)

MODEL = "checkpoints/a"
N = 11


def write_json(path: Path, value: Any) -> str:
    path.write_text(json.dumps(value))
    return str(path)


def judged_root(root: Path) -> Path:
    """A lake with eleven evaluated pictures and a model that was trained on one of another batch.

    Beside it a table of the colours, folders by colour, and 3 videos of 11 frames.
    """
    write_lake(root / "lake", batch="evaluation", counts=(N,), source="human")
    lake = write_lake(root / "lake", batch="web", counts=(1,))
    write_selection(lake, "kept", "web")
    texts = [caption_of(number) for number in range(N)]
    tokenizer = Tokenizer.train([*texts, "question what colour is this answer"], 120)
    model = Blip(preset("test"), tokenizer.vocab_size, seed=3)
    save_checkpoint(lake, "a", 1, model, tokenizer, {"selections": {"kept": "digest"}})
    lines = [
        json.dumps({"url": f"http://site/evaluation/{at}.jpg", "colour": colour_of(at)})
        for at in range(N)
        for _ in range(2)  # a line a caption, as tables come
    ]
    (root / "labels.jsonl").write_text("\n".join(lines))
    for split, shades in (("train", (0, 3, 5, 7, 9)), ("test", (1, 2))):
        for name in ("red", "blue", "white"):
            folder = root / split / name
            folder.mkdir(parents=True)
            for shade in shades:
                colour = tuple(max(0, part - shade) for part in COLOURS[name])
                (folder / f"{split}{shade}.jpg").write_bytes(jpeg_of(colour))  # type: ignore[arg-type]
    (root / "videos").mkdir()
    for number, name in enumerate(("red", "green", "blue")):
        write_video(root / "videos" / f"video{number}.avi", [COLOURS[name]] * 11)
    return root


def write_video(path: Path, colours: Sequence[tuple[int, int, int]]) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (48, 32))
    for colour in colours:
        writer.write(np.full((32, 48, 3), colour[::-1], dtype=np.uint8))
    writer.release()


def lake_of(root: Path) -> Lake:
    return Lake(str(root / "lake"))
