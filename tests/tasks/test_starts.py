"""Pretraining starts where it is told to, and says in a line when it cannot."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertModel, ViTConfig, ViTModel

from models.presets import Shape, TextShape, VisionShape
from tasks.errors import InputError
from tasks.pretraining import Pretraining
from tasks.starts import Start, check_init, first_model
from tasks.weights import read_state
from tests.blips import drawn_afresh

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "blue", "wall", "##s"]
TEXTS = ["a red wall", "a blue wall"] * 3


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vit")
    config = ViTConfig(
        hidden_size=28,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=52,
        image_size=24,
        patch_size=8,
        layer_norm_eps=1e-9,
    )
    drawn_afresh(ViTModel(config)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    config = BertConfig(
        vocab_size=len(PIECES),
        hidden_size=30,
        num_hidden_layers=1,
        num_attention_heads=3,
        intermediate_size=44,
        max_position_embeddings=37,
        layer_norm_eps=1e-11,
    )
    drawn_afresh(BertModel(config)).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    return folder


def start(init: str, **text: Any) -> Start:
    vision = VisionShape(image_size=40, patch=8, width=28, depth=1, heads=2, mlp=52)
    sizes = {"width": 30, "depth": 1, "heads": 3, "mlp": 44, "positions": 37, **text}
    shape = Shape(vision=vision, text=TextShape(**sizes), embedding=13)
    return Start(shape=shape, init=init, vocab_size=60, seed=3)


def test_both_parts_start_from_the_folders_named(vit: Path, bert: Path) -> None:
    model, tokenizer = first_model(start(f"{vit}, {bert}"), TEXTS)
    theirs = BertModel.from_pretrained(bert)
    words = theirs.embeddings.word_embeddings.weight
    assert torch.equal(model.text.words.weight[: len(PIECES)], words)
    seen = ViTModel.from_pretrained(vit)
    assert torch.equal(model.vision.norm.weight, seen.layernorm.weight)
    assert (tokenizer.dec, tokenizer.enc) == (len(PIECES), len(PIECES) + 1)
    # Each half's norms divide as they were trained to.
    assert (model.shape.vision.norm_eps, model.shape.text.norm_eps) == (1e-9, 1e-11)


def test_a_vit_alone_leaves_the_vocabulary_to_the_corpus(vit: Path) -> None:
    model, tokenizer = first_model(start(str(vit)), TEXTS)
    assert tokenizer.kind == "trained"
    assert tokenizer.pieces.token_to_id("wall") is not None
    assert model.shape.text.norm_eps == 1e-12


def test_a_file_starts_a_part_as_its_folder_does(vit: Path, tmp_path: Path) -> None:
    state = read_state(vit)
    torch.save({"model": state}, tmp_path / "vit.pth")
    model, _ = first_model(start(str(tmp_path / "vit.pth")), TEXTS)
    assert torch.equal(model.vision.norm.weight, state["layernorm.weight"])


def test_a_part_of_another_size_is_a_line(bert: Path) -> None:
    with pytest.raises(InputError, match=r"cannot start this preset: .*mlp\.fc1\.weight is"):
        first_model(start(str(bert), mlp=46), TEXTS)


def test_two_of_a_part_are_refused(vit: Path) -> None:
    with pytest.raises(InputError, match="two models of the same part"):
        first_model(start(f"{vit},{vit}"), TEXTS)


def test_a_folder_without_weights_is_a_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no weights"):
        first_model(start(str(tmp_path)), TEXTS)


def test_something_else_is_a_line(tmp_path: Path) -> None:
    torch.save({"transformer.h.0.weight": torch.zeros(3)}, tmp_path / "gpt.pth")
    with pytest.raises(InputError, match="neither a ViT"):
        first_model(start(str(tmp_path / "gpt.pth")), TEXTS)


def test_a_misspelt_start_is_refused_before_anything_runs(vit: Path) -> None:
    check_init("packaged")
    check_init(str(vit))
    with pytest.raises(InputError, match="there is no pakaged"):
        Pretraining(init="pakaged")
