"""A canary is judged in every job by the filter of that job, and what is kept is what it said."""

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from models.blip import Blip
from models.decoding import Decoding
from models.matcher import score_texts
from models.preprocessing import pixels_for
from models.presets import preset
from models.tokenization import Tokenizer
from tasks import rows
from tasks.canary.__main__ import main
from tasks.canary.drawing import draw_canary
from tasks.canary.judging import CanaryTest, canary_quality, judge_canary, told
from tasks.canary.pairs import SHIPPED, read_canary
from tasks.canary.record import canary_path
from tasks.capfilt.judged import capfilt_job
from tasks.capfilt.settings import CapFilt, Job
from tasks.checkpoints import load_model, save_checkpoint
from tasks.errors import CapliftError, InputError
from tasks.inference import shared_model
from tasks.pictures import square_of
from tasks.storage import Commit, Lake, Shard, open_lake
from tests.small_lake import write_lake

FILTER = "checkpoints/filter/00000001"
FIRST = Shard("web", "00000")
PAIRS = [
    ("red.png", "a red wall", "none"),
    ("red.png", "a blue wall", "swapped"),
    ("red.png", "click here", "boilerplate"),
    ("sub/blue.png", "a blue wall", "none"),
    ("sub/blue.png", "a red wall", "swapped"),
]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = open_lake(str(tmp_path / "lake"), create=True)
    tokenizer = Tokenizer.train(["a red wall", "a blue wall", "click here"], 80)
    model = Blip(preset("test"), tokenizer.vocab_size, seed=5)
    save_checkpoint(lake, "filter", 1, model, tokenizer, {})
    return lake


@pytest.fixture
def table(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    (folder / "sub").mkdir(parents=True)
    for name, colour in (("red.png", (0, 0, 200)), ("sub/blue.png", (200, 0, 0))):
        cv2.imwrite(str(folder / name), np.full((29, 41, 3), colour, dtype=np.uint8))
    return written(folder / "pairs.jsonl", PAIRS)


def written(path: Path, pairs: list[tuple[str, str, str]]) -> Path:
    lines = [json.dumps(dict(zip(("image", "text", "noise"), one, strict=True))) for one in pairs]
    path.write_text("\n".join(lines))
    return path


def kept(lake: Lake, run: str = "s") -> list[dict[str, Any]]:
    return list(rows.read_rows(lake, canary_path(run, FIRST)).to_pylist())


def judged(lake: Lake, table: Path | None, **how: Any) -> Commit:
    test = CanaryTest(table=str(table) if table else "", **how)
    return judge_canary(lake, "s", "web", shared_model(lake, FILTER, "cpu", "filter"), test)


def test_what_is_kept_is_what_the_filter_says_of_each_pair_alone(lake: Lake, table: Path) -> None:
    commit = judged(lake, table, batch_size=1)
    assert commit.rows == {"pairs": 5, "noise": 3}
    loaded = load_model(lake, FILTER, "cpu")
    by_text = {(row["text"], row["noise"]): row for row in kept(lake)}
    assert len(by_text) == 5
    for image, text, noise in PAIRS:
        square = square_of(
            (table.parent / image).read_bytes(), loaded.model.shape.vision.image_size
        )
        assert square is not None
        pixels = pixels_for(loaded.model.shape.vision, torch.from_numpy(square)[None])
        ((score,),) = score_texts(loaded.model, loaded.tokenizer, pixels, [[text]])
        row = by_text[text, noise]
        assert row["itm_probability"] == pytest.approx(score.itm_probability, abs=1e-5)
        assert row["itc_cosine"] == pytest.approx(score.itc_cosine, abs=1e-5)
        assert (row["is_noise"], row["model"]) == (noise != "none", loaded.name)


def test_a_job_judges_its_canary_once_and_another_canary_anew(lake: Lake, table: Path) -> None:
    first = judged(lake, table)
    before = Path(lake.path(canary_path("s", FIRST))).stat().st_mtime_ns
    assert judged(lake, table) == first
    assert Path(lake.path(canary_path("s", FIRST))).stat().st_mtime_ns == before
    # The same name, another truth: it is another canary.
    written(table, [*PAIRS[:-1], ("sub/blue.png", "a red wall", "attribute")])
    second = judged(lake, table)
    assert second.versions["canary"] != first.versions["canary"]
    assert Counter(row["noise"] for row in kept(lake))["attribute"] == 1


def test_another_picture_under_the_same_name_is_another_canary(table: Path) -> None:
    before = read_canary(str(table)).name
    cv2.imwrite(str(table.parent / "red.png"), np.zeros((29, 41, 3), dtype=np.uint8))
    assert read_canary(str(table)).name != before
    assert before.startswith("pairs.jsonl-")


def test_the_shipped_canary_has_512_pairs_half_of_them_wrong() -> None:
    canary = read_canary()
    pairs = [pair for _, own in canary.pairs for pair in own]
    assert (len(canary.pairs), len(pairs), canary.name) == (128, 512, "shipped")
    kinds = Counter(pair.noise for pair in pairs)
    assert kinds == {
        "none": 256, "swapped": 128, "attribute": 43, "boilerplate": 43, "filename": 42,
    }  # fmt: skip
    for picture, own in canary.pairs:
        texts = {pair.text for pair in own if not pair.is_noise}
        assert not texts & {pair.text for pair in own if pair.is_noise}, picture.tar


def test_the_shipped_canary_is_what_its_command_draws(tmp_path: Path) -> None:
    draw_canary(tmp_path)
    assert (tmp_path / "pairs.jsonl").read_text() == SHIPPED.read_text()
    for name in ("000.jpg", "071.jpg", "127.jpg"):
        ours = Image.open(SHIPPED.with_name(name))
        drawn = Image.open(io.BytesIO((tmp_path / name).read_bytes()))
        # Another version of the renderer may smooth an edge otherwise.
        difference = np.abs(np.asarray(ours, dtype=int) - np.asarray(drawn, dtype=int))
        assert ours.size == drawn.size == (96, 96)
        assert difference.mean() < 3


def test_precision_and_recall_are_counted_by_hand() -> None:
    probabilities = [0.9, 0.4, 0.1, 0.6, float("nan")]
    truths = ["none", "none", "swapped", "swapped", "swapped"]
    found = [
        {"noise": noise, "is_noise": noise != "none", "itm_probability": probability}
        for noise, probability in zip(truths, probabilities, strict=True)
    ]
    quality = canary_quality(found, "s", "web")
    # Called noise: 0.4, which is right, and 0.1; the third wrong one has no number and is not.
    assert (quality.precision, quality.recall, quality.clean_kept) == (1 / 2, 1 / 3, 1 / 2)
    # 0.9 beats 0.1 and 0.6; 0.4 beats 0.1; what is no number ranks above both.
    assert quality.auc["itm_probability"] == pytest.approx(3 / 6)
    assert told(quality) == (
        "precision 0.500, recall 0.333, right texts kept 0.500, AUC 0.500 of 5 pairs, 3 of them "
        "wrong"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "has no right text"),
        ("[", "no table of pairs"),
        ("[3]", "no row with named columns"),
        ('{"image": "red.png", "text": "a wall"}', "lacks 'noise'"),
        ('{"image": "red.png", "text": "  ", "noise": "none"}', "lacks 'text'"),
        ('{"image": "red.png", "text": "a wall", "noise": "none"}', "has no wrong text"),
        ('{"image": "red.png", "text": "a wall", "noise": "swapped"}', "has no right text"),
        ("image,text,noise\nred.png,a wall,none\nlost.png,a dog,swapped\n", "lost.png"),
    ],
)
def test_a_canary_that_cannot_be_used_is_refused_before_any_work(
    lake: Lake, table: Path, content: str, said: str
) -> None:
    table.write_text(content)
    with pytest.raises(InputError, match=said) as caught:
        judged(lake, table)
    assert len(str(caught.value).splitlines()) == 1
    assert not lake.exists("canaries")


def test_a_damaged_picture_is_named_and_nothing_is_kept(lake: Lake, table: Path) -> None:
    (table.parent / "red.png").write_bytes(b"GIF89a, or not")
    with pytest.raises(InputError, match=r"red\.png"):
        judged(lake, table)
    assert not lake.exists("canaries")


def test_a_missing_table_is_said_in_one_line(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        judged(lake, tmp_path / "none.jsonl")


def test_the_command_prints_each_kind_of_noise_and_writes_nothing(
    lake: Lake, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([lake.root, FILTER, "--table", str(table)])
    first, *kinds = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{read_canary(str(table)).name}: precision ")
    assert [line.split()[0] for line in kinds] == ["boilerplate", "swapped"]
    assert not lake.exists("canaries")
    with pytest.raises(CapliftError):
        main([lake.root, FILTER, "--table", str(table.parent)])


def test_every_group_of_a_capfilt_job_finds_the_canary_judged(tmp_path: Path, table: Path) -> None:
    lake = write_lake(tmp_path / "crawl", counts=(3, 2))
    tokenizer = Tokenizer.train(["a red wall", "a blue wall", "click here"], 80)
    save_checkpoint(lake, "a", 1, Blip(preset("test"), tokenizer.vocab_size), tokenizer, {})
    how = CapFilt(canary=str(table), batch_size=2)
    job = Job(judge="checkpoints/a", scores="s", how=how)
    for shard in lake.planned("web"):
        list(capfilt_job(lake, job, [shard]))
    assert len(kept(lake)) == 5
    # A job that only writes has no judge.
    decoding = Decoding(max_length=9, min_length=2)
    writing = Job(captioner="checkpoints/a", captions="c", how=CapFilt(decoding=decoding))
    list(capfilt_job(lake, writing, lake.planned("web")))
    assert lake.folders("canaries") == ["s"]


def test_the_canary_does_not_name_the_runs() -> None:
    own, shipped = CapFilt(canary="pairs.csv"), CapFilt()
    assert (own.written_by(), own.judged_by()) == (shipped.written_by(), shipped.judged_by())
