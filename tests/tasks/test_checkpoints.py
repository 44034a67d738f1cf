"""A checkpoint appears whole or not at all, and what is damaged or foreign is refused in a line."""

import json
from pathlib import Path

import pytest
import torch

from models.blip import Blip
from models.captioner import generate
from models.decoding import Decoding
from models.exchange import to_captioner
from models.presets import preset
from models.tokenization import Tokenizer
from tasks.checkpoints import (
    Checkpoint,
    load_model,
    newest,
    resolved,
    save_checkpoint,
    training_state,
)
from tasks.errors import ModelError
from tasks.storage import Lake

STATE = {"optimiser.x.exp_avg": torch.arange(7.0)}


def save(lake: Lake, step: int, *, final: bool = False) -> Checkpoint:
    tokenizer = Tokenizer.train(["a red square", "a blue wall"], 60)
    model = Blip(preset("test"), tokenizer.vocab_size, seed=step)
    facts = {"preset": "test", "step": step}
    return save_checkpoint(lake, "r", step, model, tokenizer, facts, None if final else STATE)


def cut(lake: Lake, uri: str, name: str) -> None:
    path = Path(lake.path(uri, name))
    path.write_bytes(path.read_bytes()[:-3])


def test_what_is_loaded_is_what_was_saved(lake: Lake) -> None:
    saved = save(lake, 5)
    loaded = load_model(lake, saved.uri)
    before = Blip(preset("test"), loaded.tokenizer.vocab_size, seed=5).state_dict()
    after = loaded.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not loaded.model.training
    assert loaded.facts == {"preset": "test", "step": 5}
    ids, _ = loaded.tokenizer.encode(["a blue wall"], 9)
    assert loaded.tokenizer.decode(ids) == ["a blue wall"]
    assert torch.equal(training_state(lake, saved)["optimiser.x.exp_avg"], torch.arange(7.0))


def test_a_run_is_an_address_of_its_newest_checkpoint_and_names_the_weights(lake: Lake) -> None:
    save(lake, 5)
    later = save(lake, 7)
    loaded = load_model(lake, "checkpoints/r")
    assert loaded.uri == "checkpoints/r/00000007"
    digest = later.card["files"]["model.safetensors"]["sha256"]
    assert loaded.name == f"checkpoints/r/00000007#{digest[:12]}"


def test_a_folder_copied_out_of_the_lake_loads_too(lake: Lake, tmp_path: Path) -> None:
    saved = save(lake, 5)
    elsewhere = tmp_path / "elsewhere"
    Path(lake.path(saved.uri)).rename(elsewhere)
    assert load_model(lake, str(elsewhere)).facts["step"] == 5
    assert resolved(lake, str(elsewhere))[0] == str(elsewhere)


def test_the_last_two_and_the_final_one_are_kept(lake: Lake) -> None:
    for step in (3, 5, 7):
        save(lake, step)
    assert lake.folders("checkpoints/r") == ["00000005", "00000007"]
    save(lake, 11, final=True)
    assert lake.folders("checkpoints/r") == ["00000007", "00000011"]
    for step in (13, 17, 19):
        save(lake, step)
    assert lake.folders("checkpoints/r") == ["00000011", "00000017", "00000019"]


def test_a_save_that_was_cut_short_is_passed_over_and_swept_by_the_next(lake: Lake) -> None:
    save(lake, 3)
    unfinished = save(lake, 5)
    Path(lake.path(unfinished.uri, "checkpoint.json")).unlink()
    found = newest(lake, "r")
    assert found is not None
    assert found.step == 3
    save(lake, 7)
    assert lake.folders("checkpoints/r") == ["00000003", "00000007"]


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(lake: Lake) -> None:
    save(lake, 3)
    cut(lake, save(lake, 5).uri, "training.safetensors")
    found = newest(lake, "r")
    assert found is not None
    assert found.step == 3


def test_damaged_weights_are_refused_with_what_to_do(lake: Lake) -> None:
    saved = save(lake, 5)
    cut(lake, saved.uri, "model.safetensors")
    with pytest.raises(ModelError, match=r"model.safetensors is damaged: .* remove the chec"):
        load_model(lake, saved.uri)


def test_a_card_that_is_not_ours_is_refused(lake: Lake) -> None:
    saved = save(lake, 5)
    path = Path(lake.path(saved.uri, "checkpoint.json"))
    path.write_text(json.dumps({"epoch": 3}))
    with pytest.raises(ModelError, match="is not a checkpoint's card"):
        load_model(lake, saved.uri)


def test_a_shape_of_another_version_is_refused(lake: Lake) -> None:
    saved = save(lake, 5)
    path = Path(lake.path(saved.uri, "checkpoint.json"))
    card = json.loads(path.read_text())
    card["shape"]["text"]["width"] = 60
    path.write_text(json.dumps(card))
    with pytest.raises(ModelError, match=r"another version of Caplift \(.*size mismatch for"):
        load_model(lake, saved.uri)


@pytest.mark.parametrize("uri", ["checkpoints/none", "checkpoints/r/00000004", "no/such/folder"])
def test_a_missing_checkpoint_names_the_runs_there_are(lake: Lake, uri: str) -> None:
    save(lake, 5)
    with pytest.raises(ModelError, match=r"there is no checkpoint .* \(runs there: r\)"):
        load_model(lake, uri)


def test_a_final_checkpoint_cannot_be_resumed(lake: Lake) -> None:
    with pytest.raises(ModelError, match="is final and holds no optimiser state"):
        training_state(lake, save(lake, 5, final=True))


def theirs(folder: Path, *, extra_pieces: int = 0) -> tuple[Blip, Tokenizer]:
    """Write a captioner as transformers would, with a vocabulary of nine pieces."""
    folder.mkdir()
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "blue", "wall"]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n")
    tokenizer = Tokenizer.bert(folder / "vocab.txt")
    model = Blip(preset("test"), tokenizer.vocab_size + extra_pieces, seed=3).eval()
    to_captioner(model, tokenizer).save_pretrained(folder)
    return model, tokenizer


def test_a_captioner_in_transformers_format_writes_what_the_original_writes(
    lake: Lake, tmp_path: Path
) -> None:
    model, tokenizer = theirs(tmp_path / "hf")
    loaded = load_model(lake, str(tmp_path / "hf"))
    assert loaded.facts["halves"] == ["captioner"]
    pixels = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(7))
    decoding, seeds = Decoding(max_length=9), torch.arange(5)
    texts = [caption.text for caption in generate(model, tokenizer, pixels, decoding, seeds)]
    found = generate(loaded.model, loaded.tokenizer, pixels, decoding, seeds)
    assert [caption.text for caption in found] == texts


def test_a_vocabulary_of_another_model_is_refused(lake: Lake, tmp_path: Path) -> None:
    theirs(tmp_path / "hf", extra_pieces=2)
    with pytest.raises(ModelError, match=r"has 13 word embeddings, its vocabulary .* has 11"):
        load_model(lake, str(tmp_path / "hf"))


def test_another_architecture_is_refused(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["GPT2LMHeadModel"]}')
    with pytest.raises(ModelError, match=r"cannot be loaded as a BLIP .*holds GPT2LMHeadModel"):
        load_model(lake, str(tmp_path))
