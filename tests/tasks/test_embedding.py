"""Vectors are the model's own for each pair, in the order of the captions, whatever the batch."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.blip import Blip
from models.preprocessing import pixels_for
from models.presets import preset
from models.tokenization import Tokenizer
from tasks import rows
from tasks.aside import put_aside, reasons
from tasks.checkpoints import load_model, save_checkpoint
from tasks.embedding import Embedding, embed_shard
from tasks.errors import InputError, LakeError
from tasks.pictures import read_pictures, shard_pictures
from tasks.storage import Lake, Shard
from tasks.vectors import vectors_schema
from tests.small_lake import NAMES, write_lake, write_selection

MODEL = "checkpoints/blip/00000001"
FIRST = Shard("web", "00000")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = write_lake(tmp_path / "lake", counts=(7, 4))
    write_selection(lake, "all")
    tokenizer = Tokenizer.train([f"a {name} square" for name in NAMES], 70)
    save_checkpoint(lake, "blip", 1, Blip(preset("test"), tokenizer.vocab_size), tokenizer, {})
    return lake


def test_each_row_holds_the_vectors_of_its_own_picture_and_text(lake: Lake) -> None:
    commit = embed_shard(lake, "v", FIRST, "all", MODEL, Embedding(batch_size=3))
    found = rows.read_rows(lake, lake.rows("vectors", "v", FIRST))
    assert found.schema == vectors_schema(14)
    assert commit.rows == {"pictures": 7, "vectors": 7}
    chosen = rows.read_rows(lake, lake.rows("selections", "all", FIRST)).to_pylist()
    loaded = load_model(lake, MODEL)
    stored = {picture.key: picture for picture in shard_pictures(lake, FIRST)}
    for row, caption in zip(found.to_pylist(), chosen, strict=True):
        assert row["caption_id"] == caption["caption_id"]
        squares = read_pictures(lake, [stored[caption["key"]]], 16)
        model = loaded.model
        with torch.no_grad():
            image = model.image_embedding(
                model.encode_image(pixels_for(model.shape.vision, squares))
            )
            text = model.embed_text(*loaded.tokenizer.encode([caption["text"]], 35))
        np.testing.assert_allclose(row["image_embedding"], image[0].numpy(), atol=1e-5)
        np.testing.assert_allclose(row["text_embedding"], text[0].numpy(), atol=1e-5)


def test_caption_runs_give_every_caption_and_batches_do_not_matter(lake: Lake) -> None:
    for run, batch_size in (("one", 1), ("five", 5)):
        embed_shard(lake, run, FIRST, ("ingestion",), MODEL, Embedding(batch_size=batch_size))
    one, five = (
        rows.read_rows(lake, lake.rows("vectors", run, FIRST)).to_pylist()
        for run in ("one", "five")
    )
    assert len(one) == 7
    for a, b in zip(one, five, strict=True):
        assert a["caption_id"] == b["caption_id"]
        np.testing.assert_allclose(a["text_embedding"], b["text_embedding"], atol=1e-5)


def test_a_committed_shard_is_left_alone(lake: Lake) -> None:
    embed_shard(lake, "v", FIRST, "all", MODEL, Embedding())
    path = Path(lake.path(lake.rows("vectors", "v", FIRST)))
    before = path.stat().st_mtime_ns
    embed_shard(lake, "v", FIRST, "all", MODEL, Embedding())
    assert path.stat().st_mtime_ns == before


def test_a_shard_of_which_nothing_was_kept_has_no_vectors(lake: Lake) -> None:
    Path(lake.path(lake.rows("selections", "all", FIRST))).unlink()
    assert embed_shard(lake, "v", FIRST, "all", MODEL, Embedding()).rows["vectors"] == 0
    assert rows.read_rows(lake, lake.rows("vectors", "v", FIRST)).schema == vectors_schema(14)


def test_an_unfinished_selection_is_refused(lake: Lake) -> None:
    with pytest.raises(InputError, match="selection 'none' is missing or unfinished"):
        embed_shard(lake, "v", FIRST, "none", MODEL, Embedding())


def test_captions_of_a_run_that_is_not_there_are_refused(lake: Lake) -> None:
    with pytest.raises(LakeError, match=r"no captions of run gone for batch web .*ingestion\)$"):
        embed_shard(lake, "v", FIRST, ("ingestion", "gone"), MODEL, Embedding())
    assert not lake.exists("commits/quarantine")


def test_a_shard_that_cannot_be_read_is_put_aside_until_it_can(lake: Lake) -> None:
    tar = Path(lake.path(lake.web_tar(FIRST)))
    whole = tar.read_bytes()
    tar.write_bytes(whole[: len(whole) // 2])
    record = embed_shard(lake, "v", FIRST, "all", MODEL, Embedding())
    assert (record.stage, record.rows) == ("quarantine", {"failed": 7})
    assert reasons(lake, ["v"], [FIRST]) == {"web/00000": record.versions["reason"]}
    assert lake.committed("embedding", "v", "web") == []
    assert not lake.exists(lake.rows("vectors", "v", FIRST))
    tar.write_bytes(whole)
    assert embed_shard(lake, "v", FIRST, "all", MODEL, Embedding()).stage == "embedding"
    assert reasons(lake, ["v"], [FIRST]) == {}


def test_a_shard_that_the_captioner_has_put_aside_is_put_aside_too(lake: Lake) -> None:
    second = Shard("web", "00001")
    for run in ("ingestion", "c"):
        told = rows.read_rows(lake, lake.rows("captions", "ingestion", second))
        rows.write_rows(lake, lake.rows("captions", run, second), told)
    put_aside(lake, "c", FIRST, "it is cut off", failed=7)
    record = embed_shard(lake, "v", FIRST, ("ingestion", "c"), MODEL, Embedding())
    assert (record.stage, record.versions) == ("quarantine", {"reason": "it is cut off"})
    record = embed_shard(lake, "v", second, ("ingestion", "c"), MODEL, Embedding())
    assert (record.stage, record.rows["vectors"]) == ("embedding", 8)
