"""A question and its picture get the answer that transformers' class gives, and no pad is heard."""

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import BlipForQuestionAnswering

from models.answering import (
    Answerer,
    answer,
    answerer_from,
    next_tokens,
    rank_answers,
    token_losses,
)
from models.captioner import write
from models.decoding import Decoding, Spelling
from models.exchange import answerer_from_transformers, to_answerer
from models.presets import preset
from models.tokenization import Tokenizer
from tests.blips import (
    DEC,
    EQUAL,
    PAD,
    SEP,
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

SIZES = EQUAL["three heads"]
QUESTIONS = ["w1 w2 w3 w4", "w5", "w6 w7 w8", "w9 w10", "w11"]


Question = tuple[Tensor, Tensor]  # ids and mask


def their_logits(theirs: Any, question: Question, answers: Tensor, seen: Tensor) -> Tensor:
    """Spell out what the class does in `forward`, which returns no logits.

    A question at a time, without padding: transformers drops the mask of its cross-attention, so
    an answer there hears the padding of its question.
    """
    logits = []
    for n, (ids, mask) in enumerate(zip(*question, strict=True)):
        image = theirs.vision_model(seen[n : n + 1]).last_hidden_state
        read = theirs.text_encoder(ids[mask][None], encoder_hidden_states=image)
        hidden = read.last_hidden_state
        logits.append(theirs.text_decoder(answers[n : n + 1], encoder_hidden_states=hidden).logits)
    return torch.cat(logits)


def our_logits(model: Answerer, question: Question, ids: Tensor, seen: Tensor) -> Tensor:
    keys = model.understand(*question, seen)
    return model.language_logits(model.decode_hidden(ids, keys))


@pytest.mark.parametrize("sizes", EQUAL.values(), ids=EQUAL)
def test_an_imported_model_gives_transformers_logits_with_padded_questions(sizes: Any) -> None:
    theirs = drawn_afresh(BlipForQuestionAnswering(hf_config(sizes)))
    ours = answerer_from_transformers(theirs).eval()
    ids, mask = texts()
    answers = torch.randint(5, 43, (5, 4), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = their_logits(theirs, (ids, mask), answers, pixels(5, sizes))
        assert_equal(our_logits(ours, (ids, mask), answers, pixels(5, sizes)), expected)


@pytest.mark.parametrize("sizes", EQUAL.values(), ids=EQUAL)
@pytest.mark.parametrize("beams", [1, 3])
def test_written_answers_are_transformers_token_for_token(sizes: Any, beams: int) -> None:
    theirs = drawn_afresh(BlipForQuestionAnswering(hf_config(sizes)))
    ours = answerer_from_transformers(theirs).eval()
    # All of one length: transformers lets an answer attend to a question's padding.
    ids = texts()[0][:1].expand(5, -1)
    found = theirs.generate(
        ids, pixels(5, sizes), max_length=9, min_length=4, num_beams=beams, do_sample=False
    )
    how = Decoding(
        method="greedy" if beams == 1 else "beam",
        beams=beams,
        max_length=9,
        min_length=4,
        repetition_penalty=1.0,
    )
    with torch.no_grad():
        keys = ours.understand(ids, torch.ones_like(ids, dtype=torch.bool), pixels(5, sizes))
        written = write(ours, keys, Spelling((DEC,), SEP, PAD), how, torch.zeros(5).long())
    width = min(found.shape[1], written.shape[1])
    assert written[:, :width].tolist() == found[:, :width].tolist()
    assert (written[:, width:] == PAD).all()
    assert (found[:, width:] == PAD).all()


@pytest.mark.parametrize("sizes", EQUAL.values(), ids=EQUAL)
def test_an_exported_model_gives_our_logits_and_comes_back_unchanged(sizes: Any) -> None:
    tokenizer = Tokenizer.train(WORDS * 3, 60)
    model = drawn_afresh(Answerer(our_shape(sizes), tokenizer.vocab_size))
    theirs = to_answerer(model, tokenizer)
    question = tokenizer.encode(QUESTIONS, 9, "enc")
    answers, _ = tokenizer.encode(["w1 w2"] * 5, 9, "dec")
    with torch.no_grad():
        expected = our_logits(model, question, answers, pixels(5, sizes))
        assert_equal(their_logits(theirs, question, answers, pixels(5, sizes)), expected)
    back = answerer_from_transformers(theirs).state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.equal(back[name], tensor), name


def test_transformers_cannot_take_an_image_wider_than_the_text() -> None:
    tokenizer = Tokenizer.train(WORDS, 60)
    model = Answerer(our_shape(UNLIKE["wider image"]), tokenizer.vocab_size)
    with pytest.raises(ValueError, match=r"33 and 20.*\.pth"):
        to_answerer(model, tokenizer)
    with pytest.raises(ValueError, match="33 and 20"):
        answerer_from_transformers(BlipForQuestionAnswering(hf_config(UNLIKE["wider image"])))


@pytest.fixture(scope="module")
def model() -> Answerer:
    return Answerer(preset("test"), 60, seed=4).eval()


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(WORDS * 3, 60)


def images(count: int) -> Tensor:
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("method", ["greedy", "beam", "nucleus"])
def test_an_answer_does_not_depend_on_the_other_questions(
    model: Answerer, tokenizer: Tokenizer, method: str
) -> None:
    how = Decoding(method=method, max_length=8, min_length=3)
    seen, seeds = images(5), torch.arange(40, 45)
    together = answer(model, tokenizer, seen, QUESTIONS, how, seeds)
    for n in (4, 0, 2):
        alone = answer(model, tokenizer, seen[n : n + 1], QUESTIONS[n : n + 1], how, seeds[n, None])
        assert alone[0].text == together[n].text
        assert alone[0].logprob == pytest.approx(together[n].logprob, rel=1e-4)


def test_the_best_answer_is_the_one_that_is_likeliest_as_a_whole(
    model: Answerer, tokenizer: Tokenizer
) -> None:
    candidates = ["w1", "w2 w3", "w4 w5 w6", "w7", "w8 w9", "w10 w11"]
    chosen = rank_answers(model, tokenizer, images(5), QUESTIONS, candidates, tried=6)
    with torch.no_grad():
        for n, found in enumerate(chosen):
            scores = {c: log_likelihood(model, tokenizer, n, c) for c in candidates}
            assert found.text == max(scores, key=scores.__getitem__)
            assert found.logprob == pytest.approx(scores[found.text], rel=1e-4)


def log_likelihood(model: Answerer, tokenizer: Tokenizer, n: int, candidate: str) -> float:
    """Add up the tokens' log-probabilities, one question and one answer at a time."""
    keys = model.understand(*tokenizer.encode([QUESTIONS[n]], 35, "enc"), images(5)[n : n + 1])
    ids, _ = tokenizer.encode([candidate], 35, "dec")
    logits = model.language_logits(model.decode_hidden(ids[:, :-1], keys))[0]
    return float(logits.log_softmax(1).gather(1, ids[0, 1:, None]).sum())


def test_only_candidates_with_a_likely_first_token_are_read_whole(
    model: Answerer, tokenizer: Tokenizer
) -> None:
    candidates = ["w1", "w2", "w4 w5 w6", "w7"]
    with torch.no_grad():
        keys = model.understand(*tokenizer.encode(QUESTIONS, 35, "enc"), images(5))
        first = our_first(model, tokenizer, keys)
    firsts = [tokenizer.encode([c], 35, "dec")[0][0, 1] for c in candidates]
    chosen = rank_answers(model, tokenizer, images(5), QUESTIONS, candidates, tried=1)
    for row, found in zip(first, chosen, strict=True):
        likeliest = max(range(4), key=lambda c: float(row[firsts[c]]))
        assert found.text == candidates[likeliest]


def our_first(model: Answerer, tokenizer: Tokenizer, keys: Any) -> Tensor:
    opening = torch.full((5, 1), tokenizer.dec)
    return model.language_logits(model.decode_hidden(opening, keys))[:, 0]


def test_a_pretrained_model_hands_each_stack_its_role() -> None:
    start, _ = ours_of(SIZES)
    model = answerer_from(start)
    ours, theirs = model.state_dict(), start.state_dict()
    attention = "layers.1.self_attention"
    assert torch.equal(
        ours[f"question.{attention}.encoder.qkv.weight"],
        theirs[f"text.{attention}.encoder.qkv.weight"],
    )
    assert torch.equal(
        ours[f"text.{attention}.decoder.qkv.weight"], theirs[f"text.{attention}.decoder.qkv.weight"]
    )
    for stack in ("question", "text"):  # equally wide, so the answer's cross-attention fits too
        assert torch.equal(
            ours[f"{stack}.layers.0.cross.key_value.weight"],
            theirs["text.layers.0.cross.key_value.weight"],
        )
    assert torch.equal(ours["language.bias"], theirs["language.bias"])


def test_an_image_of_another_width_leaves_only_the_answers_keys_as_drawn() -> None:
    start, _ = ours_of(UNLIKE["wider image"])
    model = answerer_from(start)
    ours, theirs = model.state_dict(), start.state_dict()
    kept = ours["text.layers.0.cross.query.weight"]
    assert torch.equal(kept, theirs["text.layers.0.cross.query.weight"])
    assert ours["text.layers.0.cross.key_value.weight"].shape == (40, 20)


def test_a_loss_is_that_of_the_tokens_after_dec_up_to_sep(
    model: Answerer, tokenizer: Tokenizer
) -> None:
    ids, mask = tokenizer.encode(["w1 w2", "w3"], 9, "dec")
    targets = next_tokens(ids, mask)
    assert targets.tolist() == [[*ids[0, 1:].tolist(), -100], [*ids[1, 1:3].tolist(), -100, -100]]
    with torch.no_grad():
        keys = model.understand(*tokenizer.encode(QUESTIONS[:2], 35, "enc"), images(2))
        losses = token_losses(model, keys, ids, targets)
        assert (losses[targets == -100] == 0).all()
        for n, text in enumerate(["w1 w2", "w3"]):
            one = [QUESTIONS[n]]
            alone = model.understand(*tokenizer.encode(one, 35, "enc"), images(2)[n : n + 1])
            row, _ = tokenizer.encode([text], 9, "dec")
            logits = model.language_logits(model.decode_hidden(row[:, :-1], alone))[0]
            by_hand = -logits.log_softmax(1).gather(1, row[0, 1:, None]).sum()
            assert losses[n].sum().item() == pytest.approx(by_hand.item(), rel=1e-4)


def test_a_question_too_few_and_no_candidate_are_refused(
    model: Answerer, tokenizer: Tokenizer
) -> None:
    with pytest.raises(ValueError, match="2 pictures, 1 questions"):
        answer(model, tokenizer, images(2), ["w1"])
    with pytest.raises(ValueError, match="no answer to choose from"):
        rank_answers(model, tokenizer, images(1), ["w1"], [])
