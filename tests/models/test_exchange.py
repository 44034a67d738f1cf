"""Weights cross over to transformers and back without changing a number.

transformers is the oracle: on random weights of several shapes its captioner, its filter and ours
give the same logits and embeddings; `test_writing.py` holds their captions together.
"""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    BlipConfig,
    BlipForImageTextRetrieval,
    BlipModel,
)

from models.blip import Blip
from models.decoding import Decoding, Spelling
from models.exchange import (
    from_transformers,
    load_answerer,
    load_transformers,
    shape_of_hf,
    to_captioner,
    to_filter,
)
from models.presets import Shape, preset
from models.tokenization import Tokenizer
from tests.blips import (
    UNLIKE,
    WORDS,
    assert_equal,
    captioner_of,
    drawn_afresh,
    hf_config,
    ours_of,
    pixels,
    texts,
    told,
    unpadded,
    written,
)

SIZES = UNLIKE["wider text"]


def filter_of(sizes: Any) -> Any:
    return drawn_afresh(BlipForImageTextRetrieval(hf_config(sizes)))


@pytest.mark.parametrize("sizes", UNLIKE.values(), ids=UNLIKE)
def test_an_imported_captioner_gives_transformers_logits(sizes: Any) -> None:
    theirs = captioner_of(sizes)
    ours = from_transformers(theirs).model.eval()
    ids, mask = texts()
    with torch.no_grad():
        expected = theirs(pixel_values=pixels(5, sizes), input_ids=ids, attention_mask=mask).logits
        keys = ours.project_image(ours.encode_image(pixels(5, sizes)))
        logits = ours.decode(ids, mask, keys)
    assert_equal(logits[mask], expected[mask])


@pytest.mark.parametrize("sizes", UNLIKE.values(), ids=UNLIKE)
def test_an_imported_filter_gives_transformers_scores(sizes: Any) -> None:
    theirs = filter_of(sizes)
    ours = from_transformers(theirs).model.eval()
    ids, mask = texts()
    seen = pixels(5, sizes)
    with torch.no_grad():
        itm = theirs(ids, seen, attention_mask=mask, use_itm_head=True).itm_score
        cosine = theirs(ids, seen, attention_mask=mask, use_itm_head=False).itm_score
        tokens = ours.encode_image(seen)
        logits = ours.match(ids, mask, ours.project_image(tokens))
        our_cosine = ours.image_embedding(tokens) @ ours.embed_text(ids, mask).T
    assert_equal(logits, itm)
    assert_equal(our_cosine, cosine)


def test_texts_packed_beside_each_other_score_as_transformers_scores_them_alone() -> None:
    theirs = filter_of(SIZES)
    ours = from_transformers(theirs).model.eval()
    ids = torch.randint(5, 43, (6, 7), generator=torch.Generator().manual_seed(13))
    mask = torch.ones_like(ids, dtype=torch.bool)
    with torch.no_grad():
        keys = ours.project_image(ours.encode_image(pixels(2, SIZES)))
        packed = ours.match(ids, mask, keys)  # three texts for each of two images
        alone = theirs(ids, pixels(2, SIZES).repeat_interleave(3, 0), use_itm_head=True).itm_score
    assert_equal(packed, alone)


@pytest.mark.parametrize("sizes", UNLIKE.values(), ids=UNLIKE)
def test_an_exported_captioner_gives_our_logits_and_tokens_and_comes_back_unchanged(
    sizes: Any,
) -> None:
    model, tokenizer = ours_of(sizes)
    theirs = to_captioner(model, tokenizer)
    ids, mask = tokenizer.encode(["w1 w2 w3", "w4"], 9, "dec")
    with torch.no_grad():
        keys = model.project_image(model.encode_image(pixels(2, sizes)))
        logits = model.decode(ids, mask, keys)
        exported = theirs(pixel_values=pixels(2, sizes), input_ids=ids, attention_mask=mask).logits
    assert_equal(exported[mask], logits[mask])
    spelling = Spelling(tuple(tokenizer.encode_prompt("w5 w6")), tokenizer.sep, tokenizer.pad)
    for how, beams in ((Decoding(method="greedy"), 1), (Decoding(method="beam", beams=3), 3)):
        expected = told(
            theirs,
            spelling.prompt,
            sizes,
            num_beams=beams,
            max_length=20,
            min_length=5,
            repetition_penalty=1.1,
        )
        assert unpadded(written(model, spelling, how, sizes)) == unpadded(expected)
    unchanged(model, from_transformers(theirs).model, ".decoder.", ("match_head", "projection"))


@pytest.mark.parametrize("sizes", UNLIKE.values(), ids=UNLIKE)
def test_an_exported_filter_gives_our_scores_once_the_first_id_is_enc(sizes: Any) -> None:
    model, tokenizer = ours_of(sizes)
    theirs = to_filter(model, tokenizer)
    ids, mask = tokenizer.encode(["w1 w2 w3", "w4"], 9, "enc")
    unset = ids.clone()
    unset[:, 0] = tokenizer.cls
    seen = pixels(2, sizes)
    with torch.no_grad():
        tokens = model.encode_image(seen)
        logits = model.match(ids, mask, model.project_image(tokens))
        assert_equal(theirs(ids, seen, attention_mask=mask).itm_score, logits)
        # The trap: with [CLS], as its processor has it, transformers' filter says otherwise.
        careless = theirs(unset, seen, attention_mask=mask).itm_score
        assert (careless - logits).abs().max() > 1e-2
    unchanged(model, from_transformers(theirs).model, ".encoder.", ("language.",))


def unchanged(model: Blip, back: Blip, role: str, absent: tuple[str, ...]) -> None:
    ours, theirs = model.state_dict(), back.state_dict()
    for name in ours:
        if ("self_attention" in name and role not in name) or any(part in name for part in absent):
            continue
        if name == "temperature":
            assert theirs[name].item() == pytest.approx(0.031)
        else:
            assert torch.equal(theirs[name], ours[name]), name
    assert back.shape == model.shape


def test_a_config_made_for_export_starts_nobody_blind() -> None:
    model, tokenizer = ours_of(SIZES)
    config = to_filter(model, tokenizer).config
    afresh = BlipForImageTextRetrieval(config).vision_model.encoder.layers[0].mlp.fc1.weight
    assert afresh.std().item() == pytest.approx(model.shape.init_std, rel=0.1)
    assert BlipConfig().vision_config.initializer_range == 1e-10


def test_heads_and_epsilons_are_those_of_the_config_not_of_a_default() -> None:
    shape = shape_of_hf(hf_config(UNLIKE["wider image"]))
    assert (shape.text.heads, shape.vision.heads) == (5, 3)
    assert (shape.text.norm_eps, shape.vision.norm_eps) == (1e-6, 1e-6)
    assert shape_of_hf(hf_config(SIZES)).vision.norm_eps == 1e-5
    assert preset("base").vision.norm_eps == 1e-6
    assert preset("base").text.heads == 12  # transformers' default is 8
    model, tokenizer = ours_of(UNLIKE["wider image"])
    assert to_captioner(model, tokenizer).config.text_config.num_attention_heads == 5


def test_an_exported_captioner_ends_at_sep() -> None:
    model, tokenizer = ours_of(SIZES)
    model.language.bias.data[tokenizer.sep] = 1e3
    theirs = to_captioner(model, tokenizer)
    prompt = tuple(tokenizer.encode_prompt("w5"))
    assert told(theirs, prompt, SIZES, max_length=9) == [[*prompt, tokenizer.sep]] * 5


def test_another_activation_is_refused() -> None:
    config = hf_config(SIZES)
    config.text_config.hidden_act = "quick_gelu"
    with pytest.raises(ValueError, match="quick_gelu"):
        shape_of_hf(config)


def test_a_saved_folder_loads(tmp_path: Any) -> None:
    model, tokenizer = ours_of(SIZES)
    to_filter(model, tokenizer).save_pretrained(tmp_path)
    imported = load_transformers(str(tmp_path))
    assert imported.halves == ("filter",)
    assert torch.equal(imported.model.match_head.weight, model.match_head.weight)
    with pytest.raises(ValueError, match="answers no questions"):
        load_answerer(str(tmp_path))


def test_the_half_that_did_not_come_starts_from_the_one_that_did() -> None:
    layer = from_transformers(captioner_of(SIZES)).model.text.stack[1]
    came, other = layer.attention("decoder"), layer.attention("encoder")
    assert torch.equal(came.qkv.weight, other.qkv.weight)


def test_positions_of_another_resolution_are_fitted_when_a_state_loads() -> None:
    ours = from_transformers(captioner_of(SIZES)).model
    larger = Blip(shape_at(ours, 32), ours.vocab_size)
    larger.load_state_dict(ours.state_dict())
    assert larger.vision.positions.shape[1] == 1 + 4 * 4
    assert torch.equal(larger.vision.positions[:, 0], ours.vision.positions[:, 0])


def shape_at(model: Blip, side: int) -> Shape:
    return replace(model.shape, vision=replace(model.shape.vision, image_size=side))


def test_a_folder_of_another_architecture_is_refused(tmp_path: Any) -> None:
    BlipConfig(architectures=[BlipModel.__name__]).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="holds BlipModel; Caplift reads BlipForConditional"):
        load_transformers(str(tmp_path))


def test_a_convolutional_stem_cannot_be_exported() -> None:
    tokenizer = Tokenizer.train(WORDS, 60)
    with pytest.raises(ValueError, match="small, base and large"):
        to_captioner(Blip(preset("tiny"), tokenizer.vocab_size), tokenizer)


def test_padding_on_the_right_changes_no_logit() -> None:
    ours = from_transformers(captioner_of(SIZES)).model.eval()
    ids, mask = texts()
    with torch.no_grad():
        keys = ours.project_image(ours.encode_image(pixels(5, SIZES)))
        padded = ours.decode(ids, mask, keys)
        one: Tensor = torch.tensor([2])
        alone = ours.decode(ids[one, :5], mask[one, :5], keys.select(one))
    assert_equal(padded[2, :5], alone[0])
