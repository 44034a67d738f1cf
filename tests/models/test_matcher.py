"""Scores are those of each pair alone, however the texts are packed."""

import pytest
import torch
from torch import Tensor

from models.blip import Blip
from models.matcher import PairScore, score_texts
from models.presets import preset
from models.tokenization import Tokenizer

TEXTS = [["a red key", "two dogs near the old tree"], [], ["a dog"], ["red", "old", "a key a dog"]]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([text for own in TEXTS for text in own] * 3, 90)


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> Blip:
    return Blip(preset("test"), tokenizer.vocab_size, seed=5).eval()


def pixels() -> Tensor:
    return torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(7))


def by_hand(model: Blip, tokenizer: Tokenizer, image: Tensor, text: str) -> PairScore:
    with torch.no_grad():
        tokens = model.encode_image(image[None])
        logits = model.match(*tokenizer.encode([text], 35, "enc"), model.project_image(tokens))[0]
        hidden = model.encode_text(*tokenizer.encode([text], 35, "cls"))
        cosine = model.image_embedding(tokens)[0] @ model.text_embedding(hidden)[0]
    return PairScore(logits.softmax(0)[1].item(), logits[1].item(), cosine.item())


def test_packed_texts_score_as_each_pair_alone(model: Blip, tokenizer: Tokenizer) -> None:
    scores = score_texts(model, tokenizer, pixels(), TEXTS)
    assert [len(own) for own in scores] == [2, 0, 1, 3]
    for image, texts, own in zip(pixels(), TEXTS, scores, strict=True):
        for text, score in zip(texts, own, strict=True):
            alone = by_hand(model, tokenizer, image, text)
            assert score.itm_probability == pytest.approx(alone.itm_probability, abs=1e-5)
            assert score.itm_logit == pytest.approx(alone.itm_logit, abs=1e-5)
            assert score.itc_cosine == pytest.approx(alone.itc_cosine, abs=1e-5)


def test_a_text_longer_than_the_model_is_read_up_to_its_last_position(
    model: Blip, tokenizer: Tokenizer
) -> None:
    long = " ".join(["redkeynearolddogs"] * 13)  # several pieces a word
    (found,) = score_texts(model, tokenizer, pixels()[:1], [[long]], max_length=47)
    (cut,) = score_texts(model, tokenizer, pixels()[:1], [[long]], max_length=32)
    assert found == cut
    assert len(tokenizer.encode([long], 47, "cls")[0][0]) == 47


def test_encoded_tokens_serve_as_well_as_pixels(model: Blip, tokenizer: Tokenizer) -> None:
    with torch.no_grad():
        tokens = model.encode_image(pixels())
    assert score_texts(model, tokenizer, tokens, TEXTS) == score_texts(
        model, tokenizer, pixels(), TEXTS
    )


def test_half_precision_encoders_give_scores_of_full_precision(
    model: Blip, tokenizer: Tokenizer
) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        own = [score for own in score_texts(model, tokenizer, pixels(), TEXTS) for score in own]
    for numbers in ([score.itm_logit for score in own], [score.itc_cosine for score in own]):
        exact = torch.tensor(numbers)
        assert not torch.equal(exact.bfloat16().float(), exact)


def test_no_texts_give_no_scores(model: Blip, tokenizer: Tokenizer) -> None:
    assert score_texts(model, tokenizer, pixels(), [[], [], [], []]) == [[], [], [], []]


def test_a_list_too_few_is_refused(model: Blip, tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="4 and 1"):
        score_texts(model, tokenizer, pixels(), [["a"]])
