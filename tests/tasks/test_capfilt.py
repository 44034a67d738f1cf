"""Captions and scores depend on key, index, run and model alone, and a rerun redoes nothing."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.blip import Blip
from models.decoding import Decoding
from models.matcher import score_texts
from models.preprocessing import pixels_for
from models.presets import preset
from models.tokenization import Tokenizer
from tasks import rows
from tasks.capfilt.__main__ import main
from tasks.capfilt.seeds import caption_seed
from tasks.capfilt.settings import CapFilt
from tasks.capfilt.stage import caption_shard, score_shard
from tasks.checkpoints import load_model, save_checkpoint
from tasks.commands import run_command
from tasks.errors import InputError, LakeError
from tasks.pictures import read_pictures, shard_pictures
from tasks.storage import Lake, Shard
from tests.small_lake import NAMES, SHAPES, caption_of, picture_key, write_lake

CAPTIONER, FILTER = "checkpoints/captioner/00000001", "checkpoints/filter/00000001"
HOW = CapFilt(captions_per_image=2, batch_size=3, decoding=Decoding(max_length=9, min_length=2))
FIRST = Shard("web", "00000")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = write_lake(tmp_path / "lake", counts=(7, 4))
    tokenizer = Tokenizer.train([f"a {name} {shape}" for name in NAMES for shape in SHAPES], 90)
    for seed, run in enumerate(("captioner", "filter")):
        model = Blip(preset("test"), tokenizer.vocab_size, seed)
        save_checkpoint(lake, run, 1, model, tokenizer, {"seed": seed})
    return lake


def read(lake: Lake, table: str, run: str, shard: Shard = FIRST) -> list[dict[str, Any]]:
    return list(rows.read_rows(lake, lake.rows(table, run, shard)).to_pylist())


def test_every_kept_picture_gets_its_captions_with_where_they_come_from(lake: Lake) -> None:
    commit = caption_shard(lake, "c", FIRST, CAPTIONER, HOW)
    found = read(lake, "captions", "c")
    assert commit.rows["pictures"] == 7
    assert commit.rows["captions"] == len(found) == 14
    assert [row["key"] for row in found[::2]] == [picture_key("web", n) for n in range(7)]
    row = found[1]
    key = picture_key("web", 0)
    assert row["caption_id"] == rows.caption_id_of(key, "synthetic", "c", 1)
    assert (row["source"], row["run"], row["index"]) == ("synthetic", "c", 1)
    assert (row["batch"], row["shard"]) == ("web", "00000")
    assert row["model"].startswith(f"{CAPTIONER}#")
    assert json.loads(row["decoding"])["top_p"] == 0.9
    assert row["seed"] == caption_seed("c", key, 1, 0)
    assert row["lm_logprob"] < 0
    assert 2 <= row["n_tokens"] <= 9
    assert row["n_words"] == len(row["text"].split())
    assert row["degenerate"] is not None


def test_captions_do_not_depend_on_the_batch_size(lake: Lake) -> None:
    caption_shard(lake, "c", FIRST, CAPTIONER, HOW)
    wanted = read(lake, "captions", "c")
    for batch_size in (1, 7):
        other = Lake(lake.root)
        other.fs.rm(other.path("commits/captioning"), recursive=True)
        caption_shard(other, "c", FIRST, CAPTIONER, replace(HOW, batch_size=batch_size))
        found = read(lake, "captions", "c")
        assert [r["text"] for r in found] == [r["text"] for r in wanted]
        logprobs = [r["lm_logprob"] for r in found]
        assert logprobs == pytest.approx([r["lm_logprob"] for r in wanted], abs=1e-4)


def test_more_captions_leave_the_first_ones_as_they_were(lake: Lake) -> None:
    caption_shard(lake, "c", FIRST, CAPTIONER, HOW)
    before = {row["caption_id"]: row["text"] for row in read(lake, "captions", "c")}
    lake.fs.rm(lake.path("commits/captioning"), recursive=True)
    caption_shard(lake, "c", FIRST, CAPTIONER, replace(HOW, captions_per_image=3))
    after = {row["caption_id"]: row["text"] for row in read(lake, "captions", "c")}
    assert len(after) == 21
    assert before.items() <= after.items()


def test_seeds_differ_by_run_key_index_and_seed() -> None:
    seeds = {
        caption_seed(run, key, index, seed)
        for run in "ab"
        for key in "xyz"
        for index in range(5)
        for seed in range(7)
    }
    assert len(seeds) == 2 * 3 * 5 * 7
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_web_and_synthetic_texts_are_scored_each_against_its_own_picture(lake: Lake) -> None:
    caption_shard(lake, "c", FIRST, CAPTIONER, HOW)
    commit = score_shard(lake, "s", FIRST, ("ingestion", "c"), FILTER, HOW)
    found = read(lake, "scores", "s")
    texts = read(lake, "captions", "ingestion") + read(lake, "captions", "c")
    assert commit.rows == {"pictures": 7, "scores": 21}
    assert [row["caption_id"] for row in found] == [row["caption_id"] for row in texts]
    loaded = load_model(lake, FILTER)
    stored = {picture.key: picture for picture in shard_pictures(lake, FIRST)}
    for row, text in zip(found, texts, strict=True):
        squares = read_pictures(lake, [stored[text["key"]]], 16)
        pixels = pixels_for(loaded.model.shape.vision, squares)
        [[alone]] = score_texts(loaded.model, loaded.tokenizer, pixels, [[text["text"]]])
        assert row["itm_probability"] == pytest.approx(alone.itm_probability, abs=1e-5)
        assert row["itc_cosine"] == pytest.approx(alone.itc_cosine, abs=1e-5)
        assert row["rbm_pmi"] is None


def test_scores_do_not_depend_on_the_batch_size(lake: Lake) -> None:
    caption_shard(lake, "c", FIRST, CAPTIONER, HOW)
    for run, batch_size in (("one", 1), ("five", 5)):
        how = replace(HOW, batch_size=batch_size)
        score_shard(lake, run, FIRST, ("ingestion", "c"), FILTER, how)
    one, five = read(lake, "scores", "one"), read(lake, "scores", "five")
    assert [r["caption_id"] for r in one] == [r["caption_id"] for r in five]
    for name in ("itm_probability", "itc_cosine"):
        assert [r[name] for r in one] == pytest.approx([r[name] for r in five], abs=1e-5)


def test_a_committed_shard_is_left_alone_and_one_without_commit_is_redone(lake: Lake) -> None:
    caption_shard(lake, "c", FIRST, CAPTIONER, HOW)
    path = Path(lake.path(lake.rows("captions", "c", FIRST)))
    whole, written_at = path.read_bytes(), path.stat().st_mtime_ns
    caption_shard(lake, "c", FIRST, CAPTIONER, HOW)
    assert path.stat().st_mtime_ns == written_at
    # As a kill between the rows and the commit record leaves it, with the rows half believed.
    Path(lake.path(lake.commit_path("captioning", "c", FIRST))).unlink()
    path.write_bytes(whole[: len(whole) // 2])
    caption_shard(lake, "c", FIRST, CAPTIONER, HOW)
    assert path.read_bytes() == whole


def test_a_shard_without_pictures_is_committed_with_no_rows(lake: Lake) -> None:
    empty = Shard("web", "00009")
    rows.write_rows(lake, lake.rows("web", "", empty), rows.table_of([], rows.WEB))
    path = lake.rows("captions", "ingestion", empty)
    rows.write_rows(lake, path, rows.table_of([], rows.CAPTIONS))
    assert caption_shard(lake, "c", empty, CAPTIONER, HOW).rows["captions"] == 0
    assert score_shard(lake, "s", empty, ("ingestion", "c"), FILTER, HOW).rows["scores"] == 0


def test_scoring_before_captioning_names_what_is_missing(lake: Lake) -> None:
    with pytest.raises(LakeError, match=r"captions/c/web/00000.parquet is missing"):
        score_shard(lake, "s", FIRST, ("ingestion", "c"), FILTER, HOW)


def test_captions_of_another_ingestion_are_refused(lake: Lake) -> None:
    caption_shard(lake, "c", FIRST, CAPTIONER, HOW)
    other = lake.rows("captions", "ingestion", Shard("web", "00001"))
    Path(lake.path(lake.rows("captions", "ingestion", FIRST))).write_bytes(lake.read_bytes(other))
    with pytest.raises(LakeError, match="name 4 pictures it does not hold"):
        score_shard(lake, "s", FIRST, ("ingestion", "c"), FILTER, HOW)


def test_settings_check_themselves() -> None:
    with pytest.raises(InputError, match="batch_size is 1 or more, not 0"):
        CapFilt(batch_size=0)
    for method in ("beam", "greedy"):
        with pytest.raises(InputError, match=f"{method} search finds one caption a picture, not 2"):
            CapFilt(captions_per_image=2, decoding=Decoding(method=method))


def test_the_command_captions_and_scores_a_batch_and_a_second_one_redoes_nothing(
    lake: Lake,
) -> None:
    arguments = [lake.root, "--batch", "web", "--captioner", CAPTIONER, "--filter", FILTER]
    command = [sys.executable, "-m", "tasks.capfilt", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = lake.glob("captions/captions-*/web/*.parquet") + lake.glob("scores/*/web/*.parquet")
    assert len(made) == 4
    times = [Path(lake.path(name)).stat().st_mtime_ns for name in made]
    assert run_command(main, arguments) == 0
    assert [Path(lake.path(name)).stat().st_mtime_ns for name in made] == times
    texts = {row["key"]: row["text"] for row in read(lake, "captions", "ingestion")}
    assert texts[picture_key("web", 3)] == caption_of(3)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"lake": "nowhere"}, "there is no lake at"),
        ({"--batch": "wab"}, "batch 'wab' has no plan in"),
        ({"--captioner": "checkpoints/none"}, "there is no checkpoint checkpoints/none"),
        ({"--filter": "checkpoints/none/1"}, "there is no checkpoint checkpoints/none/1"),
        ({"--batch-size": "0"}, "batch_size is 1 or more, not 0"),
        ({"--device": "abacus"}, "device 'abacus' cannot be used here"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    lake: Lake,
    change: dict[str, str],
    line: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = {"--batch": "web", "--captioner": CAPTIONER, "--filter": FILTER, **change}
    root = str(tmp_path / options.pop("lake")) if "lake" in options else lake.root
    arguments = [root, *(word for option in options.items() for word in option)]
    assert run_command(main, arguments) == 2
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1
    assert lake.folders("captions") == ["ingestion"]
