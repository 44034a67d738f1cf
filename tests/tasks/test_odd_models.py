"""What is not the model it says it is gets one line, runs no code, and never loads in part."""

import json
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from models.answering import answerer_from
from models.blip import Blip
from models.presets import Shape, VisionShape, preset
from models.tokenization import Tokenizer
from tasks.checkpoints import load_any, newest, save_checkpoint
from tasks.errors import ModelError
from tasks.exporting import PTH, export
from tasks.storage import Lake, open_lake
from tasks.weights import read_state
from tests.blips import WORDS

WIDTH = 64  # of a head in an original file
State = dict[str, Tensor]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = open_lake(str(tmp_path_factory.mktemp("lake")), create=True)
    tokenizer = Tokenizer.train(WORDS * 3, 70)
    vision = VisionShape(image_size=16, patch=8, width=WIDTH, depth=1, heads=1, mlp=40)
    text = replace(preset("test").text, width=WIDTH, heads=1)
    blip = Blip(Shape(vision=vision, text=text, embedding=14), tokenizer.vocab_size, seed=3)
    save_checkpoint(lake, "blip", 5, blip, tokenizer, {})
    save_checkpoint(lake, "vqa", 5, answerer_from(blip), tokenizer, {})
    return lake


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.sprung}",)


@pytest.mark.parametrize("is_zip", [False, True])
@pytest.mark.parametrize("kind", ["captioner", "original"])
def test_no_file_runs_code(lake: Lake, tmp_path: Path, kind: str, is_zip: bool) -> None:
    folder = export(lake, "checkpoints/blip", tmp_path / "o", kind)
    path, where = (folder / PTH,) * 2 if kind == "original" else (folder / WEIGHTS_OF_OLD, folder)
    (folder / "model.safetensors").unlink(missing_ok=True)
    bad = {"model": Trap(tmp_path / "sprung")}
    if is_zip:
        torch.save(bad, path)
    else:
        path.write_bytes(pickle.dumps(bad, protocol=2))
    with pytest.raises(ModelError, match=r"no file of tensors alone, so it is not read"):
        load_any(lake, str(where))
    assert not (tmp_path / "sprung").exists()


WEIGHTS_OF_OLD = "pytorch_model.bin"


def config(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        card = json.loads((folder / "config.json").read_text())
        for name, value in changes.items():
            part, _, key = name.rpartition("__")
            (card[part] if part else card)[key] = value
        (folder / "config.json").write_text(json.dumps(card))

    return change


def tensors(edit: Callable[[State], State]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "model.safetensors"
        state = edit(safetensors.torch.load_file(path))
        safetensors.torch.save_file(state, path, metadata={"format": "pt"})

    return change


def without(*names: str) -> Callable[[State], State]:
    return lambda state: {name: t for name, t in state.items() if name not in names}


def beside(**extra: Tensor) -> Callable[[State], State]:
    return lambda state: {**state, **{n.replace("__", "."): t for n, t in extra.items()}}


def vocabulary(edit: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        pieces = (folder / "vocab.txt").read_text().splitlines()
        (folder / "vocab.txt").write_text("\n".join([*edit(pieces), ""]))

    return change


GATE = beside(text_decoder__bert__encoder__layer__0__gate=torch.ones(2))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda folder: (folder / "config.json").write_text("{"), "not a valid JSON file"),
        (lambda folder: (folder / "config.json").write_text("[]"), "cannot be loaded"),
        (config(architectures=["ViTModel"]), "holds ViTModel; Caplift reads"),
        (config(text_config__num_attention_heads=5), r"not a multiple of .* heads \(5\)"),
        (config(text_config__hidden_size="many"), "hidden_size' expected int"),
        (config(text_config__hidden_act="relu"), "hidden_act is gelu"),
        (config(text_config__num_hidden_layers=1), "26 tensors have no place"),
        (config(text_config__num_hidden_layers=3), "26 tensors are missing"),
        (config(vision_config__image_size=24), r"is \(1, 5, 64\) in the file and \(1, 10, 64\)"),
        (config(vision_config__patch_size=7), r"is \(64, 3, 8, 8\) in the file and \(64, 3, 7, 7"),
        (tensors(without("vision_model.post_layernorm.bias")), "1 tensors are missing, the first"),
        (tensors(GATE), r"1 tensors have no place .*layer\.0\.gate"),
        (tensors(lambda _: {"a": torch.ones(1)}), "tensors are missing"),
        (vocabulary(lambda pieces: pieces[:-3]), "word embeddings, its vocabulary"),
        (vocabulary(lambda pieces: [*pieces[:-1], pieces[7]]), "more than once"),
        (vocabulary(lambda pieces: [*pieces, "new"]), "word embeddings, its vocabulary"),
        (lambda folder: (folder / "vocab.txt").write_bytes(b"\xff\xfe"), "can't decode byte"),
    ],
)
def test_a_folder_of_transformers_that_is_not_whole_is_a_line(
    lake: Lake, tmp_path: Path, change: Callable[[Path], Any], line: str
) -> None:
    folder = export(lake, "checkpoints/blip", tmp_path / "o", "captioner")
    change(folder)
    with pytest.raises(ModelError, match=line) as caught:
        load_any(lake, str(folder))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (without("visual_encoder.blocks.0.mlp.fc2.bias"), "1 tensors are missing"),
        (without("visual_encoder.patch_embed.proj.weight"), "it lacks 'visual_encoder.patch"),
        (without("itm_head.weight"), "1 tensors are missing, the first is itm_head.weight"),
        (
            without("text_encoder.encoder.layer.0.crossattention.self.key.weight"),
            "1 tensors are missing",
        ),
        (
            beside(visual_encoder__blocks__0__ls1__gamma=torch.ones(WIDTH)),
            r"1 tensors have no place .* visual_encoder\.blocks\.0\.ls1\.gamma",
        ),
        (beside(visual_encoder__pos_embed=torch.zeros(1, 8, WIDTH)), "positions for 8 tokens"),
        (lambda state: {f"module.{n}": t for n, t in state.items()}, "no text_decoder or text_enc"),
        (lambda _: {}, "no text_decoder or text_encoder"),
    ],
)
def test_an_original_file_that_is_not_whole_is_a_line(
    lake: Lake, tmp_path: Path, edit: Callable[[State], State], line: str
) -> None:
    folder = export(lake, "checkpoints/blip", tmp_path / "o", "original")
    torch.save({"model": edit(read_state(folder / PTH))}, folder / PTH)
    with pytest.raises(ModelError, match=line) as caught:
        load_any(lake, str(folder / PTH))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", b"\x80\x02."])
def test_bytes_that_are_no_weights_are_a_line(lake: Lake, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.pth").write_bytes(content)
    with pytest.raises(
        ModelError, match=r"m\.pth is (damaged or no file of torch|no file of tens)"
    ):
        load_any(lake, str(tmp_path / "m.pth"))


def test_what_an_original_file_keeps_for_training_is_left_out(lake: Lake, tmp_path: Path) -> None:
    folder = export(lake, "checkpoints/blip", tmp_path / "o", "original")
    state = {name: t.half() if t.is_floating_point() else t
             for name, t in read_state(folder / PTH).items()}  # fmt: skip
    slow = {"visual_encoder_m.cls_token": torch.ones(2), "image_queue": torch.ones(3, 5)}
    torch.save({"model": {**state, **slow}, "optimizer": {"state": {}}}, folder / PTH)
    model = load_any(lake, str(folder / PTH)).model
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    whole = load_any(lake, "checkpoints/blip").model.state_dict()
    torch.testing.assert_close(model.state_dict(), whole, atol=1e-3, rtol=1e-3)


def saved(lake: Lake, run: str) -> Path:
    """Save two checkpoints of a run; return the folder of the second."""
    loaded = load_any(lake, "checkpoints/blip")
    for step in (3, 6):
        state = {"x": torch.ones(1)}
        save_checkpoint(lake, run, step, loaded.model, loaded.tokenizer, {}, state)
    return Path(lake.path(f"checkpoints/{run}/00000006"))


def card(folder: Path, **changes: Any) -> None:
    path = folder / "checkpoint.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    "odd",
    [
        {"files": {"model.safetensors": 3, "tokenizer.json": 3}},
        {"files": []},
        {"shape": "x"},
        {"facts": [1]},
        {"final": "no"},
        {"kind": "clip"},
        {"step": "6"},
    ],
)
def test_a_damaged_card_is_a_line_and_the_run_goes_on_from_the_one_before(
    lake: Lake, odd: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    run = f"damaged-{abs(hash(request.node.name))}"
    card(saved(lake, run), **odd)
    with pytest.raises(ModelError, match=r"not a checkpoint's card \(it.*\); remove the folder"):
        load_any(lake, f"checkpoints/{run}/00000006")
    found = newest(lake, run)
    assert found is not None
    assert found.step == 3


def test_a_checkpoint_of_a_later_format_is_not_undone_by_an_older_one(lake: Lake) -> None:
    card(saved(lake, "later"), format=2)
    for use in (newest, load_any):
        with pytest.raises(ModelError, match=r"00000006 is of format 2 and this Caplift reads up"):
            use(lake, "later" if use is newest else "checkpoints/later/00000006")


def test_a_folder_beside_the_checkpoints_disturbs_nobody(lake: Lake) -> None:
    saved(lake, "stray")
    Path(lake.path("checkpoints/stray/notes")).mkdir()
    loaded = load_any(lake, "checkpoints/blip")
    save_checkpoint(lake, "stray", 9, loaded.model, loaded.tokenizer, {})
    assert lake.folders("checkpoints/stray") == ["00000006", "00000009", "notes"]
