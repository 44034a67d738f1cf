"""A text's probability is the product of its tokens', whatever else is scored beside it."""

import pytest
import torch
from torch import Tensor

from models.blip import Blip
from models.captioner import generate, write
from models.decoding import Decoding, Spelling
from models.likelihood import text_log_probabilities
from models.presets import preset
from models.tokenization import Tokenizer

SENTENCE = "two red carrots and a key on the blue dog with seven cats near one old tree"
TEXTS = ["two red carrots", "a key on the old blue dog", "seven cats", "one old tree near a key"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([SENTENCE] * 3, 120)


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> Blip:
    return Blip(preset("test"), tokenizer.vocab_size, seed=3).eval()


def pixels(count: int) -> Tensor:
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(7))


def by_hand(model: Blip, tokenizer: Tokenizer, image: Tensor, text: str, prompt: str) -> float:
    """Read the text again for every token of it."""
    keys = model.project_image(model.encode_image(image[None]))
    opening = tokenizer.encode_prompt(prompt)
    body = tokenizer.encode([text], 35, "dec")[0][0, 1:].tolist()
    total = 0.0
    for at, token in enumerate(body):
        row = torch.tensor([opening + body[:at]])
        logits = model.decode(row, torch.ones_like(row, dtype=torch.bool), keys)[0, -1]
        total += float(logits.log_softmax(0)[token])
    return total


@pytest.mark.parametrize("prompt", ["", "a key"])
def test_it_is_what_reading_one_token_after_another_gives(
    model: Blip, tokenizer: Tokenizer, prompt: str
) -> None:
    images = pixels(2)
    with torch.no_grad():
        found = text_log_probabilities(model, tokenizer, images, TEXTS, prompt=prompt)
        wanted = [
            by_hand(model, tokenizer, images[n // 2], text, prompt) for n, text in enumerate(TEXTS)
        ]
    assert found.tolist() == pytest.approx(wanted, abs=1e-4)


def test_it_is_what_captioning_reported_of_its_own_text(model: Blip, tokenizer: Tokenizer) -> None:
    images, seeds, decoding = pixels(83), torch.arange(83), Decoding(min_length=3)
    spelling = Spelling((tokenizer.dec,), tokenizer.sep, tokenizer.pad, tokenizer.unspeakable)
    with torch.no_grad():
        ids = write(
            model, model.project_image(model.encode_image(images)), spelling, decoding, seeds
        )
    captions = generate(model, tokenizer, images, decoding, seeds)
    # A text may have been written in other pieces than those it is read in.
    alike = [
        place
        for place, caption in enumerate(captions)
        if caption.is_finished
        and tokenizer.encode([caption.text], 35, "dec")[0][0].tolist()
        == ids[place, : caption.n_tokens + 1].tolist()
    ]
    assert len(alike) >= 1
    texts = [captions[place].text for place in alike]
    found = text_log_probabilities(model, tokenizer, images[alike], texts)
    wanted = [captions[place].logprob for place in alike]
    assert found.tolist() == pytest.approx(wanted, abs=1e-3)


def test_texts_that_cannot_be_shared_out_are_refused(model: Blip, tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="4 texts cannot belong evenly to 3 images"):
        text_log_probabilities(model, tokenizer, pixels(3), TEXTS)
