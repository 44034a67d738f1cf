"""A fresh model starts with the weights of a ViT or a BERT, and then computes what they compute."""

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    DeiTConfig,
    DeiTModel,
    ViTConfig,
    ViTForImageClassification,
    ViTModel,
)

from models.blip import Blip
from models.presets import Shape, TextShape, VisionShape, preset
from models.starting import part_of, start_image, start_text
from tests.blips import assert_equal, drawn_afresh

WORDS = 53


def fresh(side: int = 24) -> Blip:
    shape = Shape(
        vision=VisionShape(
            image_size=side, patch=8, width=28, depth=3, heads=2, mlp=52, norm_eps=1e-6
        ),
        text=TextShape(width=30, depth=2, heads=3, mlp=44, positions=37, dropout=0.0),
        embedding=13,
    )
    return Blip(shape, WORDS + 2).eval()


def vit_sizes() -> dict[str, Any]:
    return {
        "hidden_size": 28,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 52,
        "image_size": 24,
        "patch_size": 8,
        "layer_norm_eps": 1e-6,
    }


def bert_sizes() -> dict[str, Any]:
    return {
        "vocab_size": WORDS,
        "hidden_size": 30,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "intermediate_size": 44,
        "max_position_embeddings": 37,
    }


def on_file(model: Any, folder: Any) -> dict[str, Tensor]:
    """Return what transformers writes, which is spelt unlike its modules."""
    from safetensors.torch import load_file

    model.save_pretrained(folder)
    return load_file(folder / "model.safetensors")


def as_timm(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Spell a ViT of transformers as timm does; its three projections are one there."""
    spelt = {}
    for name, tensor in state.items():
        if ".key." in name or ".value." in name:
            continue
        if ".query." in name:
            parts = [state[name.replace("query", part)] for part in ("query", "key", "value")]
            spelt[name.replace("attention.attention.query", "attn.qkv")] = torch.cat(parts)
        else:
            spelt[name] = tensor
    pairs = (
        ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
        ("embeddings.position_embeddings", "pos_embed"),
        ("embeddings.cls_token", "cls_token"),
        ("encoder.layer", "blocks"),
        ("attention.output.dense", "attn.proj"),
        ("intermediate.dense", "mlp.fc1"),
        ("output.dense", "mlp.fc2"),
        ("layernorm_before", "norm1"),
        ("layernorm_after", "norm2"),
        ("layernorm", "norm"),
    )
    named = {}
    for name, tensor in spelt.items():
        for theirs, timm in pairs:
            name = name.replace(theirs, timm)
        named[name] = tensor
    return named


def pictures(side: int = 24) -> Tensor:
    return torch.randn(5, 3, side, side, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("cls", [ViTModel, ViTForImageClassification])
@pytest.mark.parametrize("layout", ["transformers", "timm"])
def test_an_image_encoder_then_sees_what_the_vit_sees(tmp_path: Any, cls: Any, layout: str) -> None:
    theirs = drawn_afresh(cls(ViTConfig(**vit_sizes())))
    state = on_file(theirs, tmp_path)
    if layout == "timm":
        bare = {name.removeprefix("vit."): tensor for name, tensor in state.items()}
        state = {**as_timm(bare), "head.weight": torch.zeros(3, 28)}
    assert part_of(state) == "image"
    ours = fresh()
    start_image(ours, state)
    seen = getattr(theirs, "vit", theirs)
    with torch.no_grad():
        assert_equal(ours.encode_image(pictures()), seen(pictures()).last_hidden_state)


def test_a_vit_of_another_resolution_fits(tmp_path: Any) -> None:
    state = on_file(drawn_afresh(ViTModel(ViTConfig(**vit_sizes()))), tmp_path)
    ours = fresh(40)
    start_image(ours, state)
    assert torch.equal(ours.vision.positions[:, 0], state["embeddings.position_embeddings"][:, 0])
    assert ours.vision.positions.shape[1] == 1 + 5 * 5


@pytest.mark.parametrize("cls", [BertModel, BertForMaskedLM])
def test_a_text_encoder_then_reads_what_bert_reads(tmp_path: Any, cls: Any) -> None:
    theirs = drawn_afresh(cls(BertConfig(**bert_sizes())))
    state = on_file(theirs, tmp_path)
    assert part_of(state) == "text"
    ours = fresh()
    start_text(ours, state)
    ids = torch.randint(0, WORDS, (5, 11), generator=torch.Generator().manual_seed(3))
    mask = torch.arange(11) < torch.tensor([11, 7, 5, 3, 2])[:, None]
    reader = getattr(theirs, "bert", theirs)
    with torch.no_grad():
        expected = reader(ids, attention_mask=mask.long()).last_hidden_state
        assert_equal(ours.encode_text(ids, mask)[mask], expected[mask])


def test_the_head_for_masked_words_becomes_that_for_next_words(tmp_path: Any) -> None:
    theirs = drawn_afresh(BertForMaskedLM(BertConfig(**bert_sizes())))
    ours = fresh()
    start_text(ours, on_file(theirs, tmp_path))
    hidden = torch.randn(5, 30, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        assert_equal(ours.language_logits(hidden)[:, :WORDS], theirs.cls(hidden))


def test_norms_spelt_as_in_the_published_bert_are_found(tmp_path: Any) -> None:
    state = on_file(drawn_afresh(BertModel(BertConfig(**bert_sizes()))), tmp_path)
    old = {
        f"bert.{n}".replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for n, tensor in state.items()
    }
    ours, again = fresh(), fresh()
    start_text(ours, state)
    start_text(again, old)
    for name, tensor in ours.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_role_tokens_and_cross_attention_keep_their_own_start(tmp_path: Any) -> None:
    state = on_file(drawn_afresh(BertModel(BertConfig(**bert_sizes()))), tmp_path)
    ours, drawn = fresh(), fresh().state_dict()
    start_text(ours, state)
    assert torch.equal(ours.text.words.weight[WORDS:], drawn["text.words.weight"][WORDS:])
    for name in ("text.layers.1.cross.query.weight", "match_head.weight", "language.bias"):
        assert torch.equal(ours.state_dict()[name], drawn[name])


def test_a_vit_of_another_size_is_refused_by_the_tensor_that_differs(tmp_path: Any) -> None:
    wider = ViTModel(ViTConfig(**{**vit_sizes(), "intermediate_size": 53}))
    with pytest.raises(ValueError, match=r"fc1.weight is \(53, 28\) there and \(52, 28\)"):
        start_image(fresh(), on_file(wider, tmp_path / "wider"))
    deeper = ViTModel(ViTConfig(**{**vit_sizes(), "num_hidden_layers": 5}))
    with pytest.raises(ValueError, match="no place in this model's image encoder of 3 blocks"):
        start_image(fresh(), on_file(deeper, tmp_path / "deeper"))
    shallow = ViTModel(ViTConfig(**{**vit_sizes(), "num_hidden_layers": 2}))
    with pytest.raises(ValueError, match="tensors are missing"):
        start_image(fresh(), on_file(shallow, tmp_path / "shallow"))


def test_a_vit_with_a_part_too_many_is_refused(tmp_path: Any) -> None:
    distilled = on_file(DeiTModel(DeiTConfig(**vit_sizes())), tmp_path)
    with pytest.raises(ValueError, match="distillation_token has no place"):
        start_image(fresh(), distilled)
    scaled = as_timm(on_file(ViTModel(ViTConfig(**vit_sizes())), tmp_path / "vit"))
    with pytest.raises(ValueError, match=r"ls1\.gamma has no place"):
        start_image(fresh(), {**scaled, "blocks.0.ls1.gamma": torch.ones(28)})


def test_a_bert_of_another_size_is_refused(tmp_path: Any) -> None:
    state = on_file(BertModel(BertConfig(**bert_sizes())), tmp_path)
    with pytest.raises(ValueError, match="its words are 53 and this model has 41"):
        start_text(Blip(fresh().shape, 41), state)
    deeper = on_file(BertModel(BertConfig(**{**bert_sizes(), "num_hidden_layers": 5})), tmp_path)
    with pytest.raises(ValueError, match="it has 5 layers, this model's text 2"):
        start_text(fresh(), deeper)


def test_a_convolutional_stem_takes_no_vit(tmp_path: Any) -> None:
    state = on_file(ViTModel(ViTConfig(**vit_sizes())), tmp_path)
    with pytest.raises(ValueError, match="plain patch embedding"):
        start_image(Blip(preset("tiny"), 60), state)


def test_something_else_is_refused_by_its_names() -> None:
    with pytest.raises(ValueError, match=r"neither a ViT .* its tensors begin transformer"):
        part_of({"transformer.h.0.ln_1.weight": torch.zeros(1)})
