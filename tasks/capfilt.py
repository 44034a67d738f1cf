"""CapFilt over shards: write captions for every picture, score every text a picture has.

Nothing is filtered here. Every text keeps its row with its scores, and selecting is a statement in
SQL later, so another threshold costs no GPU time. A caption is a function of its picture's key, its
index, the run and the model: neither batch size, nor worker, nor order matters.

`python -m tasks.capfilt LAKE --batch web --captioner URI --filter URI` runs it without Prefect.
"""

import argparse
import hashlib
import json
import logging
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from models.captioner import Caption, generate
from models.decoding import Decoding
from models.matcher import MAX_LENGTH, PairScore, score_texts
from tasks import rows
from tasks.bounds import at_least
from tasks.commands import run_command
from tasks.degenerate import is_degenerate
from tasks.errors import InputError, LakeError
from tasks.inference import over_pictures, shared_model
from tasks.pictures import Picture, shard_pictures
from tasks.progress import track
from tasks.storage import Commit, Lake, Shard, open_lake

log = logging.getLogger(__name__)

CAPTIONING = "captioning"
SCORING = "scoring"
INGESTED = "ingestion"


@dataclass(frozen=True, kw_only=True, slots=True)
class CapFilt:
    """How captions are written and texts scored.

    Attributes:
        captions_per_image: written for each picture, every one from its own seed.
        decoding: how; the default is the paper's nucleus sampling.
        batch_size: pictures on the device at once; has no influence on what is written.
        seed: another one gives other captions.
        max_length: most tokens of a text that is scored.
    """

    captions_per_image: int = 1
    decoding: Decoding = field(default_factory=Decoding)
    batch_size: int = 64
    seed: int = 0
    max_length: int = MAX_LENGTH

    def __post_init__(self) -> None:
        at_least(1, self, "captions_per_image", "batch_size")
        at_least(3, self, "max_length")
        if self.captions_per_image > 1 and self.decoding.method != "nucleus":
            raise InputError(
                f"{self.decoding.method} search finds one caption a picture, not "
                f"{self.captions_per_image}; take method nucleus, or captions_per_image 1"
            )


def caption_shard(
    lake: Lake, run: str, shard: Shard, captioner_uri: str, how: CapFilt, device: str = "cpu"
) -> Commit:
    """Write captions for every kept picture of a shard; nothing happens when that is done.

    Raises:
        LakeError: the shard has not been ingested.
        ModelError: the captioner is missing or damaged.
    """
    if lake.is_committed(CAPTIONING, run, shard):
        return lake.commit_of(CAPTIONING, run, shard)
    started = time.monotonic()
    loaded = shared_model(lake, captioner_uri, device, "captioner")
    pictures = shard_pictures(lake, shard)
    indices = range(how.captions_per_image)
    seeds = {p.key: [caption_seed(run, p.key, i, how.seed) for i in indices] for p in pictures}

    def write(pixels: Tensor, keys: list[str]) -> list[list[Caption]]:
        drawn = torch.tensor([seeds[key] for key in keys])
        texts = generate(loaded.model, loaded.tokenizer, pixels, how.decoding, drawn)
        g = how.captions_per_image
        return [texts[at : at + g] for at in range(0, len(texts), g)]

    items = [(picture, picture.key) for picture in pictures]
    written = over_pictures(lake, loaded, items, how.batch_size, write)
    shared = {"run": run, "model": loaded.name, "decoding": json.dumps(asdict(how.decoding))}
    found = [
        {**shared, **_caption_row(shard, run, picture.key, index, caption, how)}
        | {"seed": seeds[picture.key][index]}
        for picture, own in zip(pictures, written, strict=True)
        for index, caption in enumerate(own)
    ]
    path = lake.rows("captions", run, shard)
    rows.write_rows(lake, path, rows.table_of(found, rows.CAPTIONS))
    counts = {
        "pictures": len(pictures),
        "captions": len(found),
        "degenerate": sum(row["degenerate"] for row in found),
    }
    return _committed(lake, (CAPTIONING, run, shard), path, counts, started, device)


def score_shard(  # noqa: PLR0913  # what, by whom, how and where
    lake: Lake,
    run: str,
    shard: Shard,
    caption_runs: tuple[str, ...],
    filter_uri: str,
    how: CapFilt,
    device: str = "cpu",
) -> Commit:
    """Score every caption that these runs have for a shard; nothing happens when that is done.

    Args:
        lake: where everything lies.
        run: the name of the scores.
        shard: one shard.
        caption_runs: "ingestion" for the web's and the humans' texts, and captioners' runs.
        filter_uri: address of the judge.
        how: batch size and text length.
        device: "cpu" or "cuda".

    Raises:
        LakeError: a run has no captions for the shard.
        ModelError: the filter is missing or damaged.
    """
    if lake.is_committed(SCORING, run, shard):
        return lake.commit_of(SCORING, run, shard)
    started = time.monotonic()
    loaded = shared_model(lake, filter_uri, device, "filter")
    captions = shard_captions(lake, shard, caption_runs)
    items = by_picture(lake, shard, captions)

    def judge(pixels: Tensor, texts: list[list[str]]) -> list[list[PairScore]]:
        return score_texts(loaded.model, loaded.tokenizer, pixels, texts, how.max_length)

    own_texts = [(p, [captions[at]["text"] for at in places]) for p, places in items]
    judged = over_pictures(lake, loaded, own_texts, how.batch_size, judge)
    scores = {
        place: score
        for (_, places), own in zip(items, judged, strict=True)
        for place, score in zip(places, own, strict=True)
    }
    found = [
        {
            "caption_id": caption["caption_id"],
            "key": caption["key"],
            "batch": shard.batch,
            "shard": shard.name,
            "run": run,
            "model": loaded.name,
            "itc_cosine": scores[place].itc_cosine,
            "itm_probability": scores[place].itm_probability,
        }
        for place, caption in enumerate(captions)
    ]
    path = lake.rows("scores", run, shard)
    rows.write_rows(lake, path, rows.table_of(found, rows.SCORES))
    counts = {"pictures": len(items), "scores": len(found)}
    return _committed(lake, (SCORING, run, shard), path, counts, started, device)


def caption_seed(run: str, key: str, index: int, seed: int) -> int:
    """Return the seed of one caption, 0 <= seed < 2**63: a hash of what it belongs to."""
    digest = hashlib.sha256(f"{run}\0{key}\0{index}\0{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def shard_captions(lake: Lake, shard: Shard, caption_runs: Sequence[str]) -> list[dict[str, Any]]:
    """Return caption_id, key and text of every caption of these runs, run by run.

    Raises:
        LakeError: a run has none for the shard.
    """
    columns = ["caption_id", "key", "text"]
    return [
        row
        for name in caption_runs
        for row in rows.read_rows(lake, lake.rows("captions", name, shard), columns).to_pylist()
    ]


def by_picture(
    lake: Lake, shard: Shard, captions: Sequence[dict[str, Any]]
) -> list[tuple[Picture, list[int]]]:
    """Group the places of captions by picture; those with most texts first.

    Pictures with equally many texts then meet in a batch, which pads to its longest list.

    Raises:
        LakeError: a caption's picture is not in the shard.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place, caption in enumerate(captions):
        places[caption["key"]].append(place)
    stored = {picture.key: picture for picture in shard_pictures(lake, shard)}
    stray = sorted(set(places) - set(stored))
    if stray:
        raise LakeError(
            f"captions of shard {shard} name {len(stray)} pictures it does not hold, the first is "
            f"{stray[0]}; they belong to another ingestion: caption the shard again"
        )
    grouped = [(stored[key], own) for key, own in places.items()]
    return sorted(grouped, key=lambda item: (-len(item[1]), item[0].offset))


def _caption_row(  # the parts of one row
    shard: Shard, run: str, key: str, index: int, caption: Caption, how: CapFilt
) -> dict[str, Any]:
    from tasks.ingestion.texts import text_signals

    return {
        **text_signals(caption.text),
        "caption_id": rows.caption_id_of(key, rows.TextSource.SYNTHETIC, run, index),
        "key": key,
        "batch": shard.batch,
        "shard": shard.name,
        "source": rows.TextSource.SYNTHETIC,
        "index": index,
        "text": caption.text,
        "lm_logprob": caption.logprob,
        "n_tokens": caption.n_tokens,
        "degenerate": is_degenerate(caption.text, how.decoding.prompt),
    }


def _committed(
    lake: Lake,
    which: tuple[str, str, Shard],
    path: str,
    counts: dict[str, int],
    started: float,
    device: str,
) -> Commit:
    stage, run, shard = which
    seconds = time.monotonic() - started
    versions = {"torch": torch.__version__, "device": device}
    commit = lake.commit(
        stage, run, shard, files=[path], rows=counts, seconds=seconds, versions=versions
    )
    said = ", ".join(f"{number} {name}" for name, number in counts.items())
    log.info("%s %s: %s in %.1f s", stage, shard, said, seconds)
    return commit


def main(arguments: Sequence[str]) -> None:
    """Read the command line, caption a batch and score it."""
    parser = argparse.ArgumentParser(prog="python -m tasks.capfilt", description=__doc__)
    parser.add_argument("lake", help="the lake's root: a folder or an fsspec URL")
    parser.add_argument("--batch", required=True, help="a batch that was ingested")
    parser.add_argument("--captioner", required=True, help="address of the model that writes")
    parser.add_argument("--filter", required=True, help="address of the model that judges")
    parser.add_argument("--captions-per-image", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--prompt", default="", help="what every caption begins with")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args(arguments)
    how = CapFilt(
        captions_per_image=given.captions_per_image,
        decoding=Decoding(prompt=given.prompt),
        batch_size=given.batch_size,
        seed=given.seed,
    )
    lake = open_lake(given.lake)
    shards = lake.planned(given.batch)
    # Both before any work: a wrong filter should not be found out after an hour of captioning.
    addresses = {"captioner": given.captioner, "filter": given.filter}
    names = [shared_model(lake, uri, given.device, half).name for half, uri in addresses.items()]
    captions = f"captions-{rows.fingerprint([asdict(how), names[0]])}"
    scores = f"scores-{rows.fingerprint([asdict(how), names[1], captions])}"
    for shard in track(shards, f"{captions} and {scores}", len(shards)):
        caption_shard(lake, captions, shard, given.captioner, how, given.device)
        runs = (INGESTED, captions)
        score_shard(lake, scores, shard, runs, given.filter, how, given.device)


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
