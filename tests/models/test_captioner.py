"""A caption is a function of image, seed and settings, and obeys the settings."""

import itertools

import pytest
import torch
from torch import Tensor

from models.blip import Blip
from models.captioner import Caption, generate, write
from models.decoding import Decoding, Spelling
from models.presets import preset
from models.tokenization import Tokenizer

SENTENCE = "two red carrots and a key on the blue dog with seven cats near one old tree"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([SENTENCE] * 3, 120)


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> Blip:
    return Blip(preset("test"), tokenizer.vocab_size, seed=3).eval()


def pixels(count: int) -> Tensor:
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("method", ["nucleus", "greedy", "beam"])
def test_a_caption_does_not_depend_on_its_batch_or_place(
    model: Blip, tokenizer: Tokenizer, method: str
) -> None:
    decoding = Decoding(method=method, prompt="a key", no_repeat_ngram=2)
    images, seeds = pixels(23), torch.arange(100, 123)
    whole = generate(model, tokenizer, images, decoding, seeds)
    together = [c.text for c in whole]
    shuffled = torch.randperm(23, generator=torch.Generator().manual_seed(1))
    for size in (1, 5, 23):
        again = [""] * 23
        for rows in torch.split(shuffled, size):
            captions = generate(model, tokenizer, images[rows], decoding, seeds[rows])
            for row, caption in zip(rows.tolist(), captions, strict=True):
                again[row] = caption.text
                assert caption.logprob == pytest.approx(whole[row].logprob, rel=1e-4)
                assert caption.n_tokens == whole[row].n_tokens
        assert again == together
    assert len(set(together)) > 1


def test_another_seed_draws_another_caption(model: Blip, tokenizer: Tokenizer) -> None:
    images = pixels(1).expand(11, -1, -1, -1)
    captions = generate(model, tokenizer, images, Decoding(), torch.arange(11))
    assert len({caption.text for caption in captions}) > 5


@pytest.mark.parametrize("method", ["nucleus", "greedy", "beam"])
def test_several_captions_of_an_image_are_those_of_their_seeds(
    model: Blip, tokenizer: Tokenizer, method: str
) -> None:
    images, seeds, how = pixels(3), torch.arange(6).reshape(3, 2), Decoding(method=method)
    packed = generate(model, tokenizer, images, how, seeds)
    alone = generate(model, tokenizer, images.repeat_interleave(2, 0), how, seeds.flatten())
    assert [c.text for c in packed] == [c.text for c in alone]


def greedy_by_hand(model: Blip, tokenizer: Tokenizer, image: Tensor, length: int) -> list[int]:
    """Write greedily without a cache: the whole sequence is read again for each token."""
    keys = model.project_image(model.encode_image(image))
    ids = tokenizer.encode_prompt("a key")
    while len(ids) < length:
        row = torch.tensor([ids])
        logits = model.decode(row, torch.ones_like(row, dtype=torch.bool), keys)[0, -1]
        logits[list(tokenizer.unspeakable)] = -torch.inf
        if len(ids) < 6:
            logits[tokenizer.sep] = -torch.inf
        ids.append(int(logits.argmax()))
        if ids[-1] == tokenizer.sep:
            break
    return ids


def test_the_cache_writes_what_reading_everything_again_writes(
    model: Blip, tokenizer: Tokenizer
) -> None:
    decoding = Decoding(
        method="greedy", prompt="a key", min_length=6, max_length=17, repetition_penalty=1.0
    )
    captions = generate(model, tokenizer, pixels(5), decoding, torch.arange(5))
    with torch.no_grad():
        for image, caption in zip(pixels(5), captions, strict=True):
            ids = greedy_by_hand(model, tokenizer, image[None], 17)
            assert caption.text == tokenizer.decode([ids[3:]])[0]


def test_log_probabilities_are_those_of_the_written_tokens(
    model: Blip, tokenizer: Tokenizer
) -> None:
    captions = generate(model, tokenizer, pixels(3), Decoding(prompt="a"), torch.arange(3))
    for image, caption in zip(pixels(3), captions, strict=True):
        expected = log_probability(model, tokenizer, image, caption)
        assert caption.logprob == pytest.approx(expected, rel=1e-4)
        assert caption.mean_logprob == pytest.approx(expected / caption.n_tokens, rel=1e-4)


def log_probability(model: Blip, tokenizer: Tokenizer, image: Tensor, caption: Caption) -> float:
    spelling = Spelling(
        tuple(tokenizer.encode_prompt("a")), tokenizer.sep, tokenizer.pad, tokenizer.unspeakable
    )
    with torch.no_grad():
        keys = model.project_image(model.encode_image(image[None]))
        written = [
            row
            for seed in range(3)
            for row in write(model, keys, spelling, Decoding(), torch.tensor([seed])).tolist()
            if tokenizer.decode([row[2:]])[0] == caption.text
        ]
        row = written[0]
        end = row.index(tokenizer.sep) + 1 if tokenizer.sep in row else len(row)
        total = 0.0
        for place in range(2, end):
            ids = torch.tensor([row[:place]])
            logits = model.decode(ids, torch.ones_like(ids, dtype=torch.bool), keys)[0, -1]
            total += logits.log_softmax(0)[row[place]].item()
    assert end - 2 == caption.n_tokens
    return total


def test_lengths_count_dec_prompt_and_end(model: Blip, tokenizer: Tokenizer) -> None:
    decoding = Decoding(min_length=9, max_length=9, prompt="a key")
    for caption in generate(model, tokenizer, pixels(5), decoding, torch.arange(5)):
        assert caption.n_tokens == 9 - 3
        assert not caption.is_finished


def test_special_tokens_are_never_written(model: Blip, tokenizer: Tokenizer) -> None:
    spelling = Spelling((tokenizer.dec,), tokenizer.sep, tokenizer.pad, tokenizer.unspeakable)
    decoding = Decoding(top_k=500, top_p=1.0, repetition_penalty=1.0)
    with torch.no_grad():
        keys = model.project_image(model.encode_image(pixels(5)))
        ids = write(model, keys, spelling, decoding, torch.arange(155).reshape(5, 31))
    written = [row[1 : row.index(tokenizer.sep)] if tokenizer.sep in row else row[1:]
               for row in ids.tolist()]  # fmt: skip
    assert not set(itertools.chain(*written)) & set(tokenizer.unspeakable)


def test_a_beam_as_wide_as_everything_finds_the_best_text_there_is(model: Blip) -> None:
    end, opening, length = 1, 2, 5
    letters = (1, 3, 4, 5)
    banned = tuple(i for i in range(model.vocab_size) if i not in letters)
    spelling = Spelling((opening,), end, 0, banned)
    decoding = Decoding(
        method="beam", beams=81, max_length=length, min_length=0, repetition_penalty=1.0
    )
    with torch.no_grad():
        keys = model.project_image(model.encode_image(pixels(1)))
        found = write(model, keys, spelling, decoding, torch.zeros(1))[0].tolist()
        best = max(every_text(letters, end, length - 1), key=lambda t: score(model, keys, t))
    assert found[1 : 1 + len(best)] == best


def every_text(letters: tuple[int, ...], end: int, longest: int) -> list[list[int]]:
    texts = [list(t) for n in range(1, longest + 1) for t in itertools.product(letters, repeat=n)]
    return [t for t in texts if end not in t[:-1] and (t[-1] == end or len(t) == longest)]


def score(model: Blip, keys: object, text: list[int]) -> float:
    ids = torch.tensor([[2, *text]])
    logits = model.language_logits(model.decode_hidden(ids[:, :-1], keys))[0]  # type: ignore[arg-type]
    chosen = logits.log_softmax(1).gather(1, ids[0, 1:, None])
    return float(chosen.sum()) / len(text)


def test_a_model_in_training_is_left_in_training(model: Blip, tokenizer: Tokenizer) -> None:
    model.train()
    generate(model, tokenizer, pixels(1), Decoding(), torch.zeros(1, dtype=torch.int64))
    assert model.training
    model.eval()


def test_a_prompt_that_fills_the_length_is_refused(model: Blip, tokenizer: Tokenizer) -> None:
    decoding = Decoding(prompt="a key on the tree", max_length=6, min_length=0)
    with pytest.raises(ValueError, match="prompt takes 6 tokens of max_length 6"):
        generate(model, tokenizer, pixels(1), decoding, torch.zeros(1, dtype=torch.int64))


@pytest.mark.parametrize(
    "wrong", [{"method": "top-a"}, {"top_p": 0.0}, {"top_k": 0}, {"min_length": 30}]
)
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"method|top_p|top_k|min_length"):
        Decoding(**wrong)  # type: ignore[arg-type]
