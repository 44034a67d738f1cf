"""A training step is BLIP's, is a function of its inputs, and teaches what it should."""

import dataclasses

import pytest
import torch
from torch import Tensor

from models.batches import Batch, batch_of
from models.blip import Blip
from models.captioner import Decoding, generate
from models.losses import IGNORED, hard_negatives
from models.momentum import Momentum
from models.objective import Objective, Step, blip_losses, brief, captioner_loss, filter_losses
from models.presets import preset
from models.schedules import decay_groups, learning_rate
from models.tokenization import Tokenizer

TEXTS = ["a red key", "two old dogs on a table", "one cat", "a red key", "seven trees"]
COLOURS = {
    "black": (10, 10, 10),
    "white": (245, 245, 245),
    "red": (220, 30, 30),
    "green": (30, 170, 50),
    "blue": (40, 60, 220),
    "yellow": (235, 220, 40),
    "pink": (245, 150, 190),
    "grey": (128, 128, 128),
    "brown": (120, 70, 30),
    "orange": (250, 140, 20),
    "purple": (130, 40, 160),
    "cyan": (40, 210, 220),
}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXTS * 3, 120)


def model_for(tokenizer: Tokenizer, dropout: float = 0.0) -> Blip:
    shape = preset("test")
    text = dataclasses.replace(shape.text, dropout=dropout)
    return Blip(dataclasses.replace(shape, text=text), tokenizer.vocab_size, seed=3).train()


def batch(tokenizer: Tokenizer, keys: tuple[int, ...] = (2, 3, 5, 2, 7), prompt: str = "") -> Batch:
    pixels = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(7))
    return batch_of(tokenizer, pixels, TEXTS, torch.tensor(keys), prompt=prompt)


def step(
    tokenizer: Tokenizer, how: Objective, dropout: float = 0.0, seed: int = 1
) -> tuple[Blip, Momentum, dict[str, Tensor]]:
    model = model_for(tokenizer, dropout)
    momentum = Momentum(model, how.queue_size)
    generator = torch.Generator().manual_seed(seed)
    losses = blip_losses(Step(model, momentum, batch(tokenizer), 0.4, generator, how))
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    return model, momentum, losses


def test_targets_are_the_next_tokens_after_the_prompt(tokenizer: Tokenizer) -> None:
    made = batch(tokenizer, prompt="two old")
    opening = tokenizer.encode_prompt("two old")
    for row, text in enumerate(TEXTS):
        ids, mask = tokenizer.encode([text], 30, "dec")
        full = [*opening, *ids[0, 1:].tolist()]
        assert made.dec_ids[row, : len(full)].tolist() == full
        expected = [IGNORED] * (len(opening) - 1) + full[len(opening) :]
        targets = made.targets[row].tolist()
        assert targets[: len(expected)] == expected
        assert set(targets[len(expected) :]) <= {IGNORED}
        assert mask.all()


def test_a_batch_with_counts_that_differ_or_a_negative_key_is_refused(
    tokenizer: Tokenizer,
) -> None:
    pixels = torch.zeros(2, 3, 16, 16)
    with pytest.raises(ValueError, match="2 images, 1 texts and 2 keys"):
        batch_of(tokenizer, pixels, ["a"], torch.tensor([1, 2]))
    with pytest.raises(ValueError, match="0 or more"):
        batch_of(tokenizer, pixels, ["a", "b"], torch.tensor([1, -2]))


def test_the_total_is_the_weighted_sum(tokenizer: Tokenizer) -> None:
    how = Objective(itc_weight=2.0, itm_weight=3.0, lm_weight=5.0, queue_size=11)
    _, _, losses = step(tokenizer, how)
    total = 2 * losses["itc"] + 3 * losses["itm"] + 5 * losses["lm"]
    torch.testing.assert_close(losses["loss"].detach(), total)


def test_every_weight_is_trained(tokenizer: Tokenizer) -> None:
    model, _, _ = step(tokenizer, Objective(queue_size=11))
    assert not [name for name, p in model.named_parameters() if p.grad is None]


def test_the_copy_moves_first_and_its_vectors_are_queued_last(tokenizer: Tokenizer) -> None:
    how = Objective(momentum=0.0, queue_size=11)
    model = model_for(tokenizer)
    momentum = Momentum(model, 11)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    made = batch(tokenizer)
    blip_losses(Step(model, momentum, made, 0.4, torch.Generator(), how))
    # With momentum 0 the copy is the model by the time it embeds.
    with torch.no_grad():
        images = model.image_embedding(model.encode_image(made.pixels))
    torch.testing.assert_close(momentum.image_queue[:5], images)
    assert momentum.key_queue.tolist() == [2, 3, 5, 2, 7] + [-1] * 6


def test_the_contrastive_loss_is_that_of_the_loop(tokenizer: Tokenizer) -> None:
    model = model_for(tokenizer)
    momentum, made = Momentum(model, 0), batch(tokenizer)
    how = Objective(momentum=0.0, queue_size=0)
    losses = blip_losses(Step(model, momentum, made, 0.0, torch.Generator(), how))
    with torch.no_grad():
        images = model.image_embedding(model.encode_image(made.pixels))
        texts = model.embed_text(made.cls_ids, made.mask)
        similarity = images @ texts.T / 0.07
    expected = 0.0
    for scores in (similarity, similarity.T):
        for row, key in zip(scores.log_softmax(1).tolist(), made.keys.tolist(), strict=True):
            own = [p for p, other in zip(row, made.keys.tolist(), strict=True) if other == key]
            expected -= sum(own) / len(own) / 10
    assert losses["itc"].item() == pytest.approx(expected, rel=1e-4)


def test_similarities_are_of_full_precision_where_the_encoders_are_of_half(
    tokenizer: Tokenizer,
) -> None:
    model, pairs = model_for(tokenizer), batch(tokenizer, (2, 3, 5, 11, 7))
    momentum = Momentum(model, 0)
    how = Objective(queue_size=0)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        generator = torch.Generator().manual_seed(1)
        found = blip_losses(Step(model, momentum, pairs, 0.0, generator, how))["itc"]
        images = model.image_embedding(model.encode_image(pairs.pixels)).double()
        texts = model.embed_text(pairs.cls_ids, pairs.mask).double()
    scores = images @ texts.T / model.temperature.item()  # the slow copy has the same weights
    wanted = -(scores.log_softmax(1).diag().mean() + scores.log_softmax(0).diag().mean()) / 2
    assert float(found) == pytest.approx(float(wanted), abs=2e-6)


def test_the_matching_loss_is_that_of_every_pair_judged_alone_behind_enc(
    tokenizer: Tokenizer,
) -> None:
    model, made = model_for(tokenizer), batch(tokenizer)
    how = Objective(momentum=0.0, queue_size=0)
    momentum, generator = Momentum(model, 0), torch.Generator().manual_seed(5)
    losses = blip_losses(Step(model, momentum, made, 0.0, generator, how))
    with torch.no_grad():
        tokens = model.encode_image(made.pixels)
        images, texts = model.image_embedding(tokens), model.embed_text(made.cls_ids, made.mask)
        similarity = images @ texts.T / 0.07
        same = made.keys[:, None] == made.keys[None, :]
        again = torch.Generator().manual_seed(5)
        drawn = [torch.rand(1, 5, generator=again)[0] for _ in range(2)]
        unlike_text, _ = hard_negatives(similarity, same, drawn[0])
        unlike_image, _ = hard_negatives(similarity.T, same, drawn[1])
        pairs = [(n, n, 1) for n in range(5)]
        pairs += [(int(unlike_image[n]), n, 0) for n in range(5)]
        pairs += [(n, int(unlike_text[n]), 0) for n in range(5)]
        expected, right = 0.0, 0
        for image, text, label in pairs:
            assert label or made.keys[image] != made.keys[text]
            ids, mask = tokenizer.encode([TEXTS[text]], 30, "enc")
            logits = model.match(ids, mask, model.project_image(tokens[image : image + 1]))[0]
            expected -= logits.log_softmax(0)[label].item() / len(pairs)
            right += int(logits.argmax()) == label
    assert losses["itm"].item() == pytest.approx(expected, rel=1e-4)
    assert losses["itm_accuracy"].item() == pytest.approx(right / len(pairs))


def test_the_language_loss_is_that_of_full_logits(tokenizer: Tokenizer) -> None:
    model, made = model_for(tokenizer).eval(), batch(tokenizer)
    how = Objective(label_smoothing=0.0)
    loss = captioner_loss(model, made, torch.Generator(), how)["lm"].item()
    with torch.no_grad():
        keys = model.project_image(model.encode_image(made.pixels))
        logits = model.decode(made.dec_ids, made.dec_ids != tokenizer.pad, keys)
    picked = [
        logits[row, place].log_softmax(0)[target].item()
        for row, targets in enumerate(made.targets.tolist())
        for place, target in enumerate(targets)
        if target != IGNORED
    ]
    assert loss == pytest.approx(-sum(picked) / len(picked), rel=1e-4)


def test_a_step_is_a_function_of_its_generator_even_with_dropout(tokenizer: Tokenizer) -> None:
    how = Objective(queue_size=11)
    torch.manual_seed(1)
    first = step(tokenizer, how, dropout=0.3)[2]
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again = step(tokenizer, how, dropout=0.3)[2]
    assert torch.equal(torch.get_rng_state(), state)
    other = step(tokenizer, how, dropout=0.3, seed=9)[2]
    assert first["loss"].item() == again["loss"].item() != other["loss"].item()


def test_a_batch_of_one_image_trains_without_negatives(tokenizer: Tokenizer) -> None:
    model = model_for(tokenizer)
    made = batch(tokenizer, keys=(4, 4, 4, 4, 4))
    losses = blip_losses(
        Step(model, Momentum(model, 7), made, 0.4, torch.Generator(), Objective(queue_size=7))
    )
    assert all(value.isfinite() for value in losses.values())


def test_the_filter_learns_no_language_and_the_captioner_nothing_else(tokenizer: Tokenizer) -> None:
    model, made = model_for(tokenizer), batch(tokenizer)
    how, generator = Objective(queue_size=7), torch.Generator()
    filtering = filter_losses(Step(model, Momentum(model, 7), made, 0.4, generator, how))
    assert set(filtering) == {"loss", "itc", "itm", "itm_accuracy"}
    filtering["loss"].backward()  # type: ignore[no-untyped-call]
    assert trained(model) & {"language.bias", "match_head.bias"} == {"match_head.bias"}
    model.zero_grad()
    captioner_loss(model, made, generator, how)["loss"].backward()  # type: ignore[no-untyped-call]
    assert trained(model) & {"language.bias", "match_head.bias"} == {"language.bias"}


def trained(model: Blip) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.grad is not None}


def test_a_brief_run_has_a_quick_copy() -> None:
    assert brief(300).momentum == pytest.approx(0.9)
    assert brief(10).momentum == 0.5
    assert brief(10**6).momentum == 0.995


@pytest.mark.parametrize("wrong", [{"alpha": 1.2}, {"momentum": -0.1}, {"queue_size": -1}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Objective(**wrong)  # type: ignore[arg-type]


def test_twelve_colours_are_learned_by_heart() -> None:
    captions = [f"a {colour} picture with nothing else" for colour in COLOURS]
    tokenizer = Tokenizer.train(captions, 120)
    values = torch.tensor(list(COLOURS.values())) / 128.0 - 1
    pixels = values[:, :, None, None].expand(-1, -1, 64, 64)
    model = Blip(preset("tiny"), tokenizer.vocab_size).train()
    steps, how = 50, dataclasses.replace(brief(50), queue_size=24)
    momentum, generator = Momentum(model, how.queue_size), torch.Generator().manual_seed(1)
    optimiser = torch.optim.AdamW(decay_groups(model, 0.05), lr=1e-3)
    made = batch_of(tokenizer, pixels, captions, torch.arange(12))
    for number in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(number, total=steps, peak=1e-3, warmup=5)
        losses = blip_losses(Step(model, momentum, made, how.alpha, generator, how))
        optimiser.zero_grad()
        losses["loss"].backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    model.eval()
    with torch.no_grad():
        images = model.image_embedding(model.encode_image(pixels))
        ranked = (images @ model.embed_text(made.cls_ids, made.mask).T).argmax(dim=1)
    assert (ranked == torch.arange(12)).float().mean() >= 0.9
    decoding = Decoding(method="greedy", repetition_penalty=1.0)
    written = generate(model, tokenizer, pixels, decoding, torch.zeros(12, dtype=torch.int64))
    assert [caption.text for caption in written] == captions
