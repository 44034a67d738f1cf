"""Original .pth files load and are written without changing a number.

The oracle is transformers again: its classes, their tensors spelt as the original code spells them,
which is what the published conversion does in the other direction.
"""

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    BlipConfig,
    BlipForConditionalGeneration,
    BlipForImageTextRetrieval,
    BlipForQuestionAnswering,
)

from models.answering import Answerer
from models.blip import Blip
from models.exchange import answerer_from_transformers, shape_of_hf, to_captioner, to_filter
from models.originals import answerer_from_salesforce, from_salesforce, is_vqa, to_salesforce
from models.presets import preset
from models.tokenization import Tokenizer
from tests.blips import (
    EQUAL,
    UNLIKE,
    WORDS,
    assert_equal,
    drawn_afresh,
    hf_config,
    our_shape,
    ours_of,
    pixels,
    texts,
)

SPELLINGS = (
    ("vision_model.embeddings.class_embedding", "visual_encoder.cls_token"),
    ("vision_model.embeddings.position_embedding", "visual_encoder.pos_embed"),
    ("vision_model.embeddings.patch_embedding", "visual_encoder.patch_embed.proj"),
    ("vision_model.post_layernorm", "visual_encoder.norm"),
    ("vision_model.encoder.layers", "visual_encoder.blocks"),
    ("self_attn.projection", "attn.proj"),
    ("self_attn", "attn"),
    ("layer_norm1", "norm1"),
    ("layer_norm2", "norm2"),
)


def spelt_as_the_original(state: dict[str, Tensor]) -> dict[str, Tensor]:
    spelt = {}
    for name, tensor in state.items():
        for theirs, original in SPELLINGS:
            name = name.replace(theirs, original)
        spelt[name] = tensor
    return spelt


def spelt_as_transformers(state: dict[str, Tensor], model: Any) -> dict[str, Tensor]:
    """Return what `model` has of an original state: the conversion script."""
    wanted = {next(iter(spelt_as_the_original({n: t}))): n for n, t in model.state_dict().items()}
    return {name: state[original] for original, name in wanted.items()}


def pretrained(sizes: Any) -> tuple[Any, Any, dict[str, Tensor]]:
    """Return a captioner and a filter that share what the original ties, and their file."""
    captioner = drawn_afresh(BlipForConditionalGeneration(hf_config(sizes)))
    judge = drawn_afresh(BlipForImageTextRetrieval(hf_config(sizes)))
    shared = judge.text_encoder.state_dict()
    for name, tensor in captioner.text_decoder.bert.state_dict().items():
        if ".attention." not in name:
            shared[name].copy_(tensor)
    judge.vision_model.load_state_dict(captioner.vision_model.state_dict())
    state = spelt_as_the_original({**captioner.state_dict(), **judge.state_dict()})
    state |= {"temp": torch.tensor(0.03), "queue_ptr": torch.zeros(1)}
    state["visual_encoder_m.cls_token"] = torch.zeros(1)
    return captioner, judge, state


@pytest.mark.parametrize("sizes", UNLIKE.values(), ids=UNLIKE)
def test_a_pretrained_file_loads_with_both_halves(sizes: Any) -> None:
    captioner, judge, state = pretrained(sizes)
    imported = from_salesforce(state, shape_of_hf(hf_config(sizes)))
    assert imported.halves == ("captioner", "filter")
    model, (ids, mask), seen = imported.model.eval(), texts(), pixels(5, sizes)
    with torch.no_grad():
        itm = judge(ids, seen, attention_mask=mask).itm_score
        lm = captioner(pixel_values=seen, input_ids=ids, attention_mask=mask).logits
        keys = model.project_image(model.encode_image(seen))
        assert_equal(model.match(ids, mask, keys), itm)
        assert_equal(model.decode(ids, mask, keys)[mask], lm[mask])
    assert model.temperature.item() == pytest.approx(0.03)


@pytest.mark.parametrize("sizes", UNLIKE.values(), ids=UNLIKE)
def test_a_file_we_write_is_read_by_others_and_comes_back_unchanged(sizes: Any) -> None:
    model, tokenizer = ours_of(sizes)
    state = to_salesforce(model)
    for theirs in (to_captioner(model, tokenizer), to_filter(model, tokenizer)):
        again = type(theirs)(theirs.config).eval()
        again.load_state_dict(spelt_as_transformers(state, theirs))
        for name, tensor in theirs.state_dict().items():
            assert torch.equal(again.state_dict()[name], tensor), name
    back = from_salesforce(state, model.shape).model.state_dict()
    assert back.keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(back[name], tensor), name


def test_a_file_we_write_has_the_position_ids_that_the_original_insists_on() -> None:
    state = to_salesforce(ours_of(UNLIKE["one head"])[0])
    for prefix in ("text_encoder", "text_decoder.bert"):
        assert state[f"{prefix}.embeddings.position_ids"].tolist() == [list(range(23))]


def test_tensors_that_are_one_here_are_several_there() -> None:
    state = to_salesforce(ours_of(UNLIKE["one head"])[0])
    places = {tensor.data_ptr() for tensor in state.values()}
    assert len(places) == len(state)  # else a safetensors file of them could not be written


@pytest.mark.parametrize("sizes", EQUAL.values(), ids=EQUAL)
def test_a_vqa_file_loads_and_is_written(sizes: Any) -> None:
    theirs = drawn_afresh(BlipForQuestionAnswering(hf_config(sizes)))
    state = spelt_as_the_original(theirs.state_dict())
    assert is_vqa(state)
    model = answerer_from_salesforce(state, shape_of_hf(hf_config(sizes)))
    expected = answerer_from_transformers(theirs).state_dict()
    written = to_salesforce(model)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
    for name, tensor in state.items():
        assert torch.equal(written[name], tensor), name


def test_a_vqa_file_may_have_an_image_encoder_wider_than_its_text() -> None:
    model = drawn_afresh(Answerer(our_shape(UNLIKE["wider image"]), 43))
    back = answerer_from_salesforce(to_salesforce(model), model.shape).state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.equal(back[name], tensor), name


def test_the_shape_of_an_original_file_is_read_off_its_tensors() -> None:
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
    assert from_salesforce(to_salesforce(Blip(small, tokenizer.vocab_size))).model.shape == small
    answerer = Answerer(dataclasses.replace(small, embedding=256), tokenizer.vocab_size)
    assert answerer_from_salesforce(to_salesforce(answerer)).shape == answerer.shape


def test_the_large_image_encoder_drops_paths_wherever_it_comes_from() -> None:
    large = preset("large")
    with torch.device("meta"):  # shapes alone: its weights would take two gigabytes
        state = to_salesforce(Blip(large, 43))
        alone = {name: t for name, t in state.items() if not name.startswith("text_encoder")}
        imported = from_salesforce(alone).model
        answering = answerer_from_salesforce(to_salesforce(Answerer(large, 43)))
    assert imported.shape == answering.shape == large
    vision = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}
    config = BlipConfig(vision_config={**vision, "intermediate_size": 4096, "image_size": 224})
    assert shape_of_hf(config).vision.drop_path == large.vision.drop_path == 0.1


def test_a_file_with_one_half_gives_the_other_a_start() -> None:
    _, _, state = pretrained(UNLIKE["wider text"])
    alone = {name: t for name, t in state.items() if not name.startswith("text_encoder")}
    alone = {name: t for name, t in alone.items() if not name.startswith("itm_head")}
    imported = from_salesforce(alone, shape_of_hf(hf_config(UNLIKE["wider text"])))
    assert imported.halves == ("captioner",)


def test_halves_that_share_nothing_are_not_called_pretrained() -> None:
    _, _, state = pretrained(UNLIKE["wider text"])
    state["text_encoder.encoder.layer.0.output.dense.bias"] += 1
    with pytest.raises(ValueError, match=r"output\.dense\.bias differ"):
        from_salesforce(state, shape_of_hf(hf_config(UNLIKE["wider text"])))
    with pytest.raises(ValueError, match="no VQA model"):
        answerer_from_salesforce(state)


def test_a_file_without_a_text_half_is_refused() -> None:
    with pytest.raises(ValueError, match="under 'model'"):
        from_salesforce({"model": torch.zeros(1)})


def test_a_convolutional_stem_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="small, base and large"):
        to_salesforce(Blip(preset("tiny"), 50))
