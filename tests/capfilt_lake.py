"""A lake of painted pictures with a captioner and a filter of random weights."""

from pathlib import Path
from typing import Any

from models.blip import Blip
from models.decoding import Decoding
from models.presets import preset
from models.tokenization import Tokenizer
from tasks import rows
from tasks.capfilt.settings import CapFilt, Job
from tasks.checkpoints import save_checkpoint
from tasks.storage import Lake, Shard
from tests.small_lake import NAMES, SHAPES, write_lake

CAPTIONER, FILTER = "checkpoints/captioner/00000001", "checkpoints/filter/00000001"
HOW = CapFilt(captions_per_image=2, batch_size=3, decoding=Decoding(max_length=9, min_length=2))


def capfilt_lake(root: Path, counts: tuple[int, ...] = (7, 4, 5)) -> Lake:
    lake = write_lake(root, counts=counts)
    tokenizer = Tokenizer.train([f"a {name} {shape}" for name in NAMES for shape in SHAPES], 90)
    for seed, run in enumerate(("captioner", "filter")):
        model = Blip(preset("test"), tokenizer.vocab_size, seed)
        save_checkpoint(lake, run, 1, model, tokenizer, {"seed": seed})
    return lake


def job(how: CapFilt = HOW) -> Job:
    return Job(captioner=CAPTIONER, judge=FILTER, captions="c", scores="s", how=how)


def read(lake: Lake, table: str, run: str, shard: Shard) -> list[dict[str, Any]]:
    return list(rows.read_rows(lake, lake.rows(table, run, shard)).to_pylist())


def read_all(lake: Lake) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return all captions and all scores of the job, in order."""
    shards = lake.planned("web")
    return tuple(
        [row for shard in shards for row in read(lake, table, run, shard)]
        for table, run in (("captions", "c"), ("scores", "s"))
    )  # type: ignore[return-value]


def forget(lake: Lake) -> None:
    """Remove what was committed of the job, so that it is done again."""
    for stage in ("captioning", "scoring"):
        lake.fs.rm(lake.path(f"commits/{stage}"), recursive=True)
