"""What we export others load, and what others export we load, with the same scores."""

import json
import logging
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    BlipForConditionalGeneration,
    BlipForImageTextRetrieval,
    BlipForQuestionAnswering,
    BlipProcessor,
)

from models.answering import Answerer, answerer_from
from models.blip import Blip
from models.presets import Shape, VisionShape, preset
from models.tokenization import Tokenizer
from tasks.checkpoints import load_answerer, load_model, save_checkpoint
from tasks.commands import run_command
from tasks.errors import InputError, ModelError
from tasks.exporting import PTH, export, main
from tasks.storage import Lake, open_lake
from tasks.weights import read_state
from tests.blips import WORDS, assert_equal

CAPTIONS = ["w1 w2 w3", "w4", "a red w5"]
HEADS = 64  # wide, as an original file's shape is read off its tensors


def shape() -> Shape:
    vision = VisionShape(image_size=16, patch=8, width=HEADS, depth=1, heads=1, mlp=40)
    text = replace(preset("test").text, width=HEADS, heads=1)
    return Shape(vision=vision, text=text, embedding=14, init_std=0.08)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([*WORDS, *CAPTIONS] * 3, 70)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Lake:
    lake = open_lake(str(tmp_path_factory.mktemp("lake")), create=True)
    blip = Blip(shape(), tokenizer.vocab_size, seed=3).eval()
    save_checkpoint(lake, "blip", 5, blip, tokenizer, {"stage": "pretraining"})
    save_checkpoint(lake, "vqa", 7, answerer_from(blip), tokenizer, {"stage": "finetuning"})
    return lake


def pixels(count: int) -> torch.Tensor:
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(7))


def same(ours: Blip | Answerer, theirs: Blip | Answerer) -> bool:
    mine, other = ours.state_dict(), theirs.state_dict()
    return mine.keys() == other.keys() and all(torch.equal(mine[n], other[n]) for n in mine)


def test_a_captioner_and_its_processor_load_in_transformers(
    lake: Lake, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    folder = export(lake, "checkpoints/blip", tmp_path / "c", "captioner")
    theirs = BlipForConditionalGeneration.from_pretrained(folder).eval()
    processor = BlipProcessor.from_pretrained(folder)
    ids = processor.tokenizer(CAPTIONS, padding=True, return_tensors="pt").input_ids
    assert ids.tolist() == tokenizer.encode(CAPTIONS, 30, "cls")[0].tolist()
    assert processor.tokenizer.convert_tokens_to_ids(["[DEC]", "[ENC]"]) == [
        tokenizer.dec,
        tokenizer.enc,
    ]
    model = load_model(lake, "checkpoints/blip").model
    dec, mask = tokenizer.encode(CAPTIONS, 30, "dec")
    with torch.no_grad():
        keys = model.project_image(model.encode_image(pixels(3)))
        expected = model.decode(dec, mask, keys)
        logits = theirs(pixel_values=pixels(3), input_ids=dec, attention_mask=mask).logits
    assert_equal(logits[mask], expected[mask])
    back = load_model(lake, str(folder))
    assert back.facts["halves"] == ["captioner"]
    assert back.tokenizer.pieces.get_vocab() == tokenizer.pieces.get_vocab()


def test_a_filter_is_exported_with_a_warning_that_transformers_feeds_cls(
    lake: Lake, tmp_path: Path, tokenizer: Tokenizer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        folder = export(lake, "checkpoints/blip", tmp_path / "f", "filter")
    assert "behind [CLS]" in caplog.text
    assert f"by {tokenizer.enc} before" in caplog.text
    theirs = BlipForImageTextRetrieval.from_pretrained(folder).eval()
    ids, mask = tokenizer.encode(CAPTIONS, 30, "enc")
    model = load_model(lake, "checkpoints/blip").model
    with torch.no_grad():
        keys = model.project_image(model.encode_image(pixels(3)))
        scores = theirs(ids, pixels(3), attention_mask=mask).itm_score
        assert_equal(scores, model.match(ids, mask, keys))


def test_the_half_that_was_not_finetuned_is_exported_with_a_warning(
    lake: Lake, tmp_path: Path, tokenizer: Tokenizer, caplog: pytest.LogCaptureFixture
) -> None:
    blip = load_model(lake, "checkpoints/blip").model
    save_checkpoint(lake, "judge", 5, blip, tokenizer, {"half": "filter"})
    for form in ("filter", "original", "captioner"):
        assert "was finetuned as a filter" not in caplog.text
        with caplog.at_level(logging.WARNING):
            export(lake, "checkpoints/judge", tmp_path / form, form)
    assert "was finetuned as a filter, which moved weights that a captioner reads" in caplog.text


def test_an_answerer_goes_there_and_back(
    lake: Lake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        folder = export(lake, "checkpoints/vqa", tmp_path / "q", "answerer")
    assert "padding" in caplog.text
    BlipForQuestionAnswering.from_pretrained(folder)
    assert same(
        load_answerer(lake, str(folder)).model, load_answerer(lake, "checkpoints/vqa").model
    )


@pytest.mark.parametrize("run", ["blip", "vqa"])
def test_an_original_file_goes_there_and_back_with_its_vocabulary(
    lake: Lake, tmp_path: Path, tokenizer: Tokenizer, run: str
) -> None:
    folder = export(lake, f"checkpoints/{run}", tmp_path / run, "original")
    load: Any = load_model if run == "blip" else load_answerer
    back = load(lake, str(folder / PTH))
    assert same(back.model, load(lake, f"checkpoints/{run}").model)
    assert back.tokenizer.pieces.get_vocab() == tokenizer.pieces.get_vocab()


def test_an_original_file_of_ours_knows_its_heads_and_epsilons(
    lake: Lake, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    # Heads of 64, as all released files have them, would fit these tensors too.
    text = replace(preset("test").text, width=HEADS, heads=4, norm_eps=1e-5)
    vision = replace(shape().vision, heads=8, norm_eps=1e-4, drop_path=0.1)
    blip = Blip(replace(shape(), text=text, vision=vision), tokenizer.vocab_size, seed=3)
    save_checkpoint(lake, "heads", 5, blip, tokenizer, {})
    save_checkpoint(lake, "asked", 5, answerer_from(blip), tokenizer, {})
    for run, load in (("heads", load_model), ("asked", load_answerer)):
        folder = export(lake, f"checkpoints/{run}", tmp_path / run, "original")
        assert load(lake, str(folder / PTH)).model.shape == blip.shape


def test_a_folder_of_transformers_5_has_its_vocabulary_in_tokenizer_json_alone(
    lake: Lake, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    folder = export(lake, "checkpoints/blip", tmp_path / "c", "captioner")
    (folder / "vocab.txt").unlink()
    found = load_model(lake, str(folder)).tokenizer
    assert found.pieces.get_vocab() == tokenizer.pieces.get_vocab()
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"without vocab\.txt and tokenizer\.json"):
        load_model(lake, str(folder))


def test_the_vocabulary_is_part_of_every_checkpoint(lake: Lake, tokenizer: Tokenizer) -> None:
    assert load_model(lake, "checkpoints/blip").tokenizer.to_json() == tokenizer.to_json()


def test_a_pickle_that_would_run_code_is_not_read(lake: Lake, tmp_path: Path) -> None:
    trap = tmp_path / "trap.pth"
    trap.write_bytes(pickle.dumps({"model": Path("x")}, protocol=2))
    with pytest.raises(ModelError, match="no file of tensors alone"):
        load_model(lake, str(trap))


def test_a_file_cut_short_is_a_line(lake: Lake, tmp_path: Path) -> None:
    folder = export(lake, "checkpoints/blip", tmp_path / "o", "original")
    whole = (folder / PTH).read_bytes()
    (folder / PTH).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"model\.pth is damaged"):
        load_model(lake, str(folder / PTH))


def test_weights_of_another_shape_than_their_config_are_a_line(lake: Lake, tmp_path: Path) -> None:
    folder = export(lake, "checkpoints/blip", tmp_path / "c", "captioner")
    card = json.loads((folder / "config.json").read_text())
    card["text_config"]["intermediate_size"] = 46
    (folder / "config.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="cannot be loaded as a BLIP"):
        load_model(lake, str(folder))


def test_a_folder_cut_short_is_a_line(lake: Lake, tmp_path: Path) -> None:
    folder = export(lake, "checkpoints/blip", tmp_path / "c", "captioner")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot be loaded as a BLIP"):
        load_model(lake, str(folder))


def test_an_original_file_whose_tensors_do_not_fit_together_is_a_line(
    lake: Lake, tmp_path: Path
) -> None:
    folder = export(lake, "checkpoints/blip", tmp_path / "o", "original")
    state = read_state(folder / PTH)
    state["visual_encoder.blocks.0.mlp.fc2.weight"] = torch.zeros(HEADS, 41)
    torch.save({"model": state}, folder / PTH)
    with pytest.raises(
        ModelError, match=r"cannot be loaded as a BLIP \(.*size mismatch for vision"
    ):
        load_model(lake, str(folder / PTH))


def test_weights_in_parts_are_read_together(tmp_path: Path, lake: Lake) -> None:
    theirs = export(lake, "checkpoints/blip", tmp_path / "whole", "captioner")
    model = BlipForConditionalGeneration.from_pretrained(theirs)
    model.save_pretrained(tmp_path / "parts", max_shard_size="40KB")
    assert len(list((tmp_path / "parts").glob("model-*.safetensors"))) > 1
    parts, whole = read_state(tmp_path / "parts"), read_state(theirs)
    assert parts.keys() == whole.keys()
    assert all(torch.equal(parts[name], whole[name]) for name in whole)


def test_what_cannot_be_exported_leaves_nothing_behind(lake: Lake, tmp_path: Path) -> None:
    tiny = Blip(preset("tiny"), 70)
    save_checkpoint(lake, "tiny", 1, tiny, load_model(lake, "checkpoints/blip").tokenizer, {})
    with pytest.raises(ModelError, match=r"cannot be written as filter: .*small, base and large"):
        export(lake, "checkpoints/tiny", tmp_path / "t", "filter")
    assert list(tmp_path.iterdir()) == []


def test_a_place_where_nothing_can_be_written_is_a_line(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InputError, match=r"file/theirs cannot be written \(Not a directory\)"):
        export(lake, "checkpoints/blip", tmp_path / "file" / "theirs", "original")


def test_a_half_without_weights_is_not_exported(lake: Lake, tmp_path: Path) -> None:
    folder = export(lake, "checkpoints/blip", tmp_path / "c", "captioner")
    with pytest.raises(ModelError, match="weights for a captioner only"):
        export(lake, str(folder), tmp_path / "f", "filter")


def test_models_of_the_wrong_kind_are_named(lake: Lake) -> None:
    with pytest.raises(ModelError, match="answers questions; it writes no captions"):
        load_model(lake, "checkpoints/vqa")
    with pytest.raises(ModelError, match="answers no questions"):
        load_answerer(lake, "checkpoints/blip")


def test_the_command_says_what_is_wrong_in_one_line(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there").mkdir()
    arguments = [lake.root, "checkpoints/blip", str(tmp_path / "there"), "--as", "filter"]
    assert run_command(main, arguments) == 2
    assert capsys.readouterr().err.endswith("is there already; name a folder that is not\n")
    with pytest.raises(InputError, match="not 'onnx'"):
        export(lake, "checkpoints/blip", tmp_path / "x", "onnx")
