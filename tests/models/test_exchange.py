"""Weights cross over to transformers and back without changing a number.

transformers is the oracle: on random weights its two BLIP classes and ours give the same logits,
the same embeddings and, greedily, the same tokens.
"""

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import BlipConfig, BlipForConditionalGeneration, BlipForImageTextRetrieval

from models.blip import Blip
from models.captioner import write
from models.decoding import Decoding, Spelling
from models.exchange import (
    from_salesforce,
    from_transformers,
    load_transformers,
    shape_of_hf,
    to_captioner,
    to_filter,
)
from models.presets import preset
from models.tokenization import Tokenizer

WORDS = [f"w{number}" for number in range(31)]
DEC, SEP, PAD = 40, 3, 0


def hf_config() -> Any:
    return BlipConfig(
        text_config={
            "vocab_size": 43,
            "hidden_size": 30,
            "num_hidden_layers": 2,
            "num_attention_heads": 3,
            "intermediate_size": 44,
            "max_position_embeddings": 37,
            "bos_token_id": DEC,
            "eos_token_id": SEP,
            "sep_token_id": SEP,
            "pad_token_id": PAD,
        },
        vision_config={
            "hidden_size": 28,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "intermediate_size": 52,
            "image_size": 24,
            "patch_size": 8,
        },
        image_text_hidden_size=17,
    )


def drawn_afresh(model: nn.Module) -> Any:
    """Give every weight a spread: transformers draws vision weights with deviation 1e-10."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3, generator=generator)
    return model.eval()


def pixels(count: int, side: int = 24) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(7))


def texts() -> tuple[Tensor, Tensor]:
    ids = torch.randint(5, 43, (5, 11), generator=torch.Generator().manual_seed(11))
    lengths = torch.tensor([11, 7, 5, 3, 2])
    mask = torch.arange(11) < lengths[:, None]
    return ids.masked_fill(~mask, PAD), mask


@pytest.fixture
def captioner() -> Any:
    return drawn_afresh(BlipForConditionalGeneration(hf_config()))


@pytest.fixture
def judge() -> Any:
    return drawn_afresh(BlipForImageTextRetrieval(hf_config()))


def test_an_imported_captioner_gives_transformers_logits(captioner: Any) -> None:
    ours = from_transformers(captioner).model.eval()
    ids, mask = texts()
    with torch.no_grad():
        theirs = captioner(pixel_values=pixels(5), input_ids=ids, attention_mask=mask).logits
        keys = ours.project_image(ours.encode_image(pixels(5)))
        logits = ours.decode(ids, mask, keys)
    torch.testing.assert_close(logits[mask], theirs[mask], atol=1e-5, rtol=1e-5)


def test_an_imported_captioner_writes_transformers_greedy_tokens(captioner: Any) -> None:
    ours = from_transformers(captioner).model.eval()
    prompt = [DEC, 9, 13]
    theirs = captioner.generate(
        pixels(5),
        input_ids=torch.tensor([[*prompt, SEP]]).expand(5, -1).clone(),
        do_sample=False,
        max_length=19,
        min_length=6,
        repetition_penalty=1.3,
    )
    decoding = Decoding(method="greedy", max_length=19, min_length=6, repetition_penalty=1.3)
    with torch.no_grad():
        keys = ours.project_image(ours.encode_image(pixels(5)))
        spelling = Spelling(tuple(prompt), SEP, PAD)
        ids = write(ours, keys, spelling, decoding, torch.zeros(5, dtype=torch.int64))
    assert ids.tolist() == theirs.tolist()


def test_an_imported_captioner_finds_transformers_beams(captioner: Any) -> None:
    ours = from_transformers(captioner).model.eval()
    theirs = captioner.generate(
        pixels(5),
        input_ids=torch.tensor([[DEC, 9, SEP]]).expand(5, -1).clone(),
        do_sample=False,
        num_beams=3,
        max_length=13,
        min_length=5,
    )
    decoding = Decoding(method="beam", beams=3, max_length=13, min_length=5, repetition_penalty=1.0)
    with torch.no_grad():
        keys = ours.project_image(ours.encode_image(pixels(5)))
        ids = write(ours, keys, Spelling((DEC, 9), SEP, PAD), decoding, torch.zeros(5))
    assert ids[:, : theirs.shape[1]].tolist() == theirs.tolist()


def test_an_imported_filter_gives_transformers_scores(judge: Any) -> None:
    ours = from_transformers(judge).model.eval()
    ids, mask = texts()
    with torch.no_grad():
        itm = judge(ids, pixels(5), attention_mask=mask, use_itm_head=True).itm_score
        cosine = judge(ids, pixels(5), attention_mask=mask, use_itm_head=False).itm_score
        tokens = ours.encode_image(pixels(5))
        logits = ours.match(ids, mask, ours.project_image(tokens))
        ours_cosine = ours.image_embedding(tokens) @ ours.embed_text(ids, mask).T
    torch.testing.assert_close(logits, itm, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours_cosine, cosine, atol=1e-5, rtol=1e-5)


def test_texts_packed_beside_each_other_score_as_transformers_scores_them_alone(
    judge: Any,
) -> None:
    ours = from_transformers(judge).model.eval()
    ids = torch.randint(5, 43, (6, 7), generator=torch.Generator().manual_seed(13))
    mask = torch.ones_like(ids, dtype=torch.bool)
    with torch.no_grad():
        keys = ours.project_image(ours.encode_image(pixels(2)))
        packed = ours.match(ids, mask, keys)  # three texts for each of two images
        alone = judge(ids, pixels(2).repeat_interleave(3, 0), use_itm_head=True).itm_score
    torch.testing.assert_close(packed, alone, atol=1e-5, rtol=1e-5)


def ours_to_export() -> tuple[Blip, Tokenizer]:
    tokenizer = Tokenizer.train(WORDS * 3, 60)
    model = Blip(preset("test"), tokenizer.vocab_size)
    return drawn_afresh(model), tokenizer


def test_an_exported_captioner_gives_our_logits_and_comes_back_unchanged() -> None:
    model, tokenizer = ours_to_export()
    theirs = to_captioner(model, tokenizer)
    ids, mask = tokenizer.encode(["w1 w2 w3", "w4"], 9, "dec")
    with torch.no_grad():
        keys = model.project_image(model.encode_image(pixels(2, 16)))
        logits = model.decode(ids, mask, keys)
        exported = theirs(pixel_values=pixels(2, 16), input_ids=ids, attention_mask=mask).logits
    torch.testing.assert_close(exported[mask], logits[mask], atol=1e-5, rtol=1e-5)
    back = from_transformers(theirs).model.state_dict()
    kept = [n for n in back if ".decoder." in n or n.startswith(("vision.", "text.words"))]
    assert kept
    for name in kept:
        assert torch.equal(back[name], model.state_dict()[name]), name


def test_an_exported_filter_gives_our_scores_once_the_first_id_is_enc() -> None:
    model, tokenizer = ours_to_export()
    theirs = to_filter(model, tokenizer)
    ids, mask = tokenizer.encode(["w1 w2 w3", "w4"], 9, "enc")
    with torch.no_grad():
        logits = model.match(ids, mask, model.project_image(model.encode_image(pixels(2, 16))))
        exported = theirs(ids, pixels(2, 16), attention_mask=mask).itm_score
    torch.testing.assert_close(exported, logits, atol=1e-5, rtol=1e-5)


def test_a_saved_folder_loads(tmp_path: Any) -> None:
    model, tokenizer = ours_to_export()
    to_filter(model, tokenizer).save_pretrained(tmp_path)
    imported = load_transformers(str(tmp_path))
    assert imported.halves == ("filter",)
    assert torch.equal(imported.model.match_head.weight, model.match_head.weight)


def test_a_folder_of_another_architecture_is_refused(tmp_path: Any) -> None:
    BlipConfig(architectures=["BlipForQuestionAnswering"]).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="BlipForQuestionAnswering"):
        load_transformers(str(tmp_path))


def test_a_convolutional_stem_cannot_be_exported() -> None:
    tokenizer = Tokenizer.train(WORDS, 60)
    with pytest.raises(ValueError, match="small, base and large"):
        to_captioner(Blip(preset("tiny"), tokenizer.vocab_size), tokenizer)


def test_shapes_keep_the_epsilon_of_the_config_they_come_from() -> None:
    assert shape_of_hf(hf_config()).vision.norm_eps == 1e-5
    assert preset("base").vision.norm_eps == 1e-6


def salesforce_state(captioner: Any, judge: Any) -> dict[str, Tensor]:
    """Spell tensors as the original code does: transformers' conversion script, reversed."""
    state = {}
    for name, tensor in captioner.state_dict().items():
        name = name.replace("vision_model.embeddings.class_embedding", "visual_encoder.cls_token")
        name = name.replace(
            "vision_model.embeddings.position_embedding", "visual_encoder.pos_embed"
        )
        name = name.replace(
            "vision_model.embeddings.patch_embedding", "visual_encoder.patch_embed.proj"
        )
        name = name.replace("vision_model.post_layernorm", "visual_encoder.norm")
        name = name.replace("vision_model.encoder.layers", "visual_encoder.blocks")
        name = name.replace("self_attn.projection", "attn.proj").replace("self_attn", "attn")
        name = name.replace("layer_norm1", "norm1").replace("layer_norm2", "norm2")
        state[name] = tensor
    theirs = judge.state_dict()
    state |= {name: theirs[name] for name in theirs if not name.startswith("vision_model")}
    return {**state, "temp": torch.tensor(0.03), "queue_ptr": torch.zeros(1)}


def test_an_original_checkpoint_loads_with_both_halves(captioner: Any, judge: Any) -> None:
    shared = judge.text_encoder.state_dict()
    for name, tensor in captioner.text_decoder.bert.state_dict().items():
        if ".attention." not in name:  # the original ties all but self-attention
            shared[name].copy_(tensor)
    imported = from_salesforce(salesforce_state(captioner, judge), shape_of_hf(hf_config()))
    assert imported.halves == ("captioner", "filter")
    model, (ids, mask) = imported.model.eval(), texts()
    with torch.no_grad():
        judge.vision_model.load_state_dict(captioner.vision_model.state_dict())
        itm = judge(ids, pixels(5), attention_mask=mask).itm_score
        lm = captioner(pixel_values=pixels(5), input_ids=ids, attention_mask=mask).logits
        keys = model.project_image(model.encode_image(pixels(5)))
        torch.testing.assert_close(model.match(ids, mask, keys), itm, atol=1e-5, rtol=1e-5)
        logits = model.decode(ids, mask, keys)
    torch.testing.assert_close(logits[mask], lm[mask], atol=1e-5, rtol=1e-5)
    assert model.temperature.item() == pytest.approx(0.03)


def test_the_shape_of_an_original_checkpoint_is_read_off_its_tensors() -> None:
    shape = preset("base")
    small = dataclasses.replace(
        shape,
        vision=dataclasses.replace(
            shape.vision, width=128, heads=2, depth=1, mlp=52, image_size=48
        ),
        text=dataclasses.replace(shape.text, width=192, heads=3, depth=2, mlp=44, positions=37),
        embedding=17,
    )
    tokenizer = Tokenizer.train(WORDS, 60)
    model = Blip(small, tokenizer.vocab_size)
    state = salesforce_state(to_captioner(model, tokenizer), to_filter(model, tokenizer))
    assert from_salesforce(state).model.shape == small


def test_a_file_without_a_text_half_is_refused() -> None:
    with pytest.raises(ValueError, match="under 'model'"):
        from_salesforce({"model": torch.zeros(1)})
