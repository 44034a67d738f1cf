"""What both contenders get: two random BLIPs in transformers' format, and a lake of pictures.

Nothing is downloaded: pictures are smooth colours with grain, about 60 kB each at 500 by 375 as
COCO's are, and the texts are 4 to 18 common words.
"""

import io
import json
import random
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from transformers import BlipConfig, BlipForConditionalGeneration, BlipForImageTextRetrieval

from models.packaged import bert_vocabulary
from models.presets import preset
from tasks import rows
from tasks.storage import Lake, Shard, open_lake

WIDTH, HEIGHT, QUALITY = 500, 375, 90
GRAIN = 6.0
WORDS = (
    "a", "the", "of", "in", "on", "with", "and", "near", "behind", "man", "woman", "dog", "bird",
    "bus", "boat", "street", "house", "kitchen", "table", "tree", "field", "beach", "snow", "red",
    "green", "white", "small", "old", "two", "three", "sitting", "walking", "riding", "holding",
)  # fmt: skip
CLASSES = {"captioner": BlipForConditionalGeneration, "filter": BlipForImageTextRetrieval}
BATCH, WARM_UP = "web", "warm-up"


def made_up(folder: Path, size: str, side: int, pictures: int, warm_up: int) -> None:
    """Write weights and lake of a bench into an empty folder."""
    for seed, name in enumerate(CLASSES):
        _weights(folder / name, name, size, side, seed)
    lake = open_lake(str(folder / "lake"), create=True)
    _batch(lake, WARM_UP, warm_up, 1)
    _batch(lake, BATCH, pictures, 2)


def config(size: str, side: int) -> Any:
    """Return transformers' configuration of one of our sizes; as published, eps and all."""
    shape = preset(size)

    def stack(half: Any) -> dict[str, Any]:
        return {
            "hidden_size": half.width,
            "intermediate_size": half.mlp,
            "num_hidden_layers": half.depth,
            "num_attention_heads": half.heads,
            "layer_norm_eps": half.norm_eps,
        }

    return BlipConfig(
        vision_config={**stack(shape.vision), "image_size": side, "patch_size": 16},
        text_config={**stack(shape.text), "vocab_size": 30524},
        image_text_hidden_size=shape.embedding,
    )


def _weights(folder: Path, name: str, size: str, side: int, seed: int) -> None:
    torch.manual_seed(seed)
    model = CLASSES[name](config(size, side))
    _draw(model)
    model.save_pretrained(folder)
    pieces = bert_vocabulary().read_text(encoding="utf-8")
    (folder / "vocab.txt").write_text(pieces, encoding="utf-8")


def _draw(model: nn.Module) -> None:
    """Draw weights as BERT's are: transformers draws vision weights with deviation 1e-10."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.02)


def _batch(lake: Lake, batch: str, count: int, seed: int) -> None:
    shards = [Shard(batch, f"{n:05d}") for n in range(2)]  # batches must go across a shard's end
    halves = np.array_split(np.arange(count), 2)
    for shard, numbers in zip(shards, halves, strict=True):
        _shard(lake, shard, [int(n) for n in numbers], seed)
    lake.publish_json(lake.plan_record(batch), {"shards": len(shards)})


def _shard(lake: Lake, shard: Shard, numbers: list[int], seed: int) -> None:
    web, texts = [], []
    with lake.publishing(lake.web_tar(shard)) as temporary, tarfile.open(temporary, "w") as tar:
        for number in numbers:
            key = rows.key_of(f"http://site/{shard.batch}/{number}.jpg")
            jpeg = _jpeg(np.random.default_rng([seed, number]))
            member = tarfile.TarInfo(f"{key}.jpg")
            member.size = len(jpeg)
            named = {"key": key, "batch": shard.batch, "shard": shard.name}
            place = {"tar_offset": tar.offset + tarfile.BLOCKSIZE, "tar_size": len(jpeg)}
            web.append({**named, **place, "outcome": rows.Outcome.KEPT, "source": "web"})
            tar.addfile(member, io.BytesIO(jpeg))
            texts.append({**named, "run": "ingestion", "source": "web", "index": 0}
                         | {"caption_id": rows.caption_id_of(key, "web", "ingestion", 0)}
                         | {"text": _text(seed, number)})  # fmt: skip
    rows.write_rows(lake, lake.rows("web", "", shard), rows.table_of(web, rows.WEB))
    path = lake.rows("captions", "ingestion", shard)
    rows.write_rows(lake, path, rows.table_of(texts, rows.CAPTIONS))
    counts = {"planned": len(web), "kept": len(web)}
    lake.commit("ingestion", "ingestion", shard, files=[path], rows=counts, seconds=0)


def _jpeg(generator: np.random.Generator) -> bytes:
    blots = Image.fromarray(generator.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    smooth = np.asarray(blots.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), dtype=np.int16)
    grain = generator.normal(0, GRAIN, (HEIGHT, WIDTH, 1)).astype(np.int16)
    content = io.BytesIO()
    pixels = np.clip(smooth + grain, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(content, "JPEG", quality=QUALITY)
    return content.getvalue()


def _text(seed: int, number: int) -> str:
    chosen = random.Random(f"{seed} {number}")
    return " ".join(chosen.choices(WORDS, k=chosen.randint(4, 18)))


def read_batch(lake: Lake, batch: str) -> list[tuple[str, bytes, str]]:
    """Return key, JPEG and text of every picture of a batch, in order."""
    found = []
    for shard in lake.planned(batch):
        web = rows.read_rows(lake, lake.rows("web", "", shard)).to_pylist()
        texts = rows.read_rows(lake, lake.rows("captions", "ingestion", shard)).to_pylist()
        tar = lake.read_bytes(lake.web_tar(shard))
        found += [
            (one["key"], tar[one["tar_offset"] : one["tar_offset"] + one["tar_size"]], text["text"])
            for one, text in zip(web, texts, strict=True)
        ]
    return found


def said(value: dict[str, Any]) -> str:
    """Return a contender's result as the line it prints."""
    return json.dumps(value) + "\n"
