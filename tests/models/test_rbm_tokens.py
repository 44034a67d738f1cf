"""An RBM's tokens are heard by the decoder alone, each picture's apart, and unheard at gate 0."""

import itertools
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.blip import Blip
from models.captioner import Caption, generate
from models.decoding import Decoding
from models.exchange import to_captioner
from models.presets import RbmShape, preset, shape_from
from models.rbm.gaussian import log_density
from models.rbm.machine import RBM
from models.rbm.pmi import JointMachine, joint_machine
from models.rbm.whitening import Whitener, fit_whitener
from models.rbm_tokens import HiddenField, RbmTokens, hidden_field
from models.tokenization import Tokenizer

EMBEDDING, HIDDEN = preset("test").embedding, 5
METHODS = ["nucleus", "greedy", "beam"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["two red carrots and a key on the blue dog with seven cats"] * 3, 120)


def machine_over(width: int, strength: float) -> tuple[JointMachine, Whitener]:
    """A machine with random parameters over pairs of vectors of this width."""
    generator = torch.Generator().manual_seed(2)
    rows = torch.randn(211, 2 * width, generator=generator, dtype=torch.float64)
    rows = rows @ torch.randn(2 * width, 2 * width, generator=generator, dtype=torch.float64)
    whitener = fit_whitener([rows + 3], width)
    machine = RBM(whitener.n_kept, HIDDEN)
    for name, scale in (("weight", strength), ("vbias", 0.3), ("hbias", 0.5), ("log_var", 0.2)):
        value = getattr(machine, name)
        value.copy_(scale * torch.randn(value.shape, generator=generator, dtype=value.dtype))
    return joint_machine(machine, whitener, 0.0), whitener


def hearing(tokenizer: Tokenizer, gate: float) -> Blip:
    model = Blip(preset("test"), tokenizer.vocab_size, seed=3).eval()
    model.hear(hidden_field(*machine_over(EMBEDDING, 0.4)), 3, seed=1)
    assert model.rbm_tokens is not None
    torch.nn.init.constant_(model.rbm_tokens.gate, gate)
    return model.eval()


def pixels(count: int) -> Tensor:
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(7))


def written(model: Blip, tokenizer: Tokenizer, method: str) -> list[Caption]:
    seeds = torch.arange(14).reshape(7, 2)
    decoding = Decoding(method=method, prompt="a key")
    return generate(
        model, tokenizer, pixels(7), decoding, seeds[:, 0] if method == "beam" else seeds
    )


@pytest.mark.parametrize("method", METHODS)
def test_at_gate_zero_captions_and_their_probabilities_are_the_same_bits(
    tokenizer: Tokenizer, method: str
) -> None:
    without = Blip(preset("test"), tokenizer.vocab_size, seed=3).eval()
    assert written(hearing(tokenizer, 0.0), tokenizer, method) == written(
        without, tokenizer, method
    )
    assert written(hearing(tokenizer, 1.0), tokenizer, method) != written(
        without, tokenizer, method
    )


def test_at_gate_zero_every_logit_is_the_same_bits_and_the_judge_never_hears(
    tokenizer: Tokenizer,
) -> None:
    ids, mask = tokenizer.encode(["a red key", "two cats"] * 3, 20, "dec")
    whole = torch.ones_like(mask)
    logits, matches = [], []
    for model in (
        Blip(preset("test"), tokenizer.vocab_size, seed=3).eval(),
        hearing(tokenizer, 0.0),
        hearing(tokenizer, 2.0),
    ):
        with torch.no_grad():
            keys = model.project_image(model.encode_image(pixels(3)))
            logits.append(model.decode(ids, whole, keys))
            matches.append(model.match(ids, mask, keys))
    assert torch.equal(logits[0], logits[1])
    assert not torch.allclose(logits[0], logits[2])
    assert torch.equal(matches[0], matches[2])


def test_the_gate_starts_at_zero_and_learns_before_the_tokens_do(tokenizer: Tokenizer) -> None:
    model = Blip(preset("test"), tokenizer.vocab_size, seed=3)
    model.hear(hidden_field(*machine_over(EMBEDDING, 0.4)), 3)
    tokens = model.rbm_tokens
    assert tokens is not None
    assert float(tokens.gate.detach()) == 0
    ids, mask = tokenizer.encode(["a red key", "two cats"], 20, "dec")
    logits = model.decode(ids, mask, model.project_image(model.encode_image(pixels(2))))
    gate, drawn = torch.autograd.grad(logits.square().sum(), [tokens.gate, tokens.project.weight])
    assert float(gate.abs()) > 0
    assert float(drawn.abs().max()) == 0  # what is not heard is not blamed


def test_captions_do_not_depend_on_the_batch_with_the_gate_open(tokenizer: Tokenizer) -> None:
    model, images, seeds = hearing(tokenizer, 1.0), pixels(7), torch.arange(7)
    together = [c.text for c in generate(model, tokenizer, images, Decoding(), seeds)]
    for size in (1, 3):
        alone = [
            c.text
            for at in range(0, 7, size)
            for c in generate(
                model, tokenizer, images[at : at + size], Decoding(), seeds[at : at + size]
            )
        ]
        assert alone == together


def test_keys_that_are_chosen_keep_their_own_tokens(tokenizer: Tokenizer) -> None:
    model, index = hearing(tokenizer, 1.0), torch.tensor([2, 0, 2])
    with torch.no_grad():
        seen = model.encode_image(pixels(3))
        chosen, projected = (
            model.project_image(seen).select(index),
            model.project_image(seen[index]),
        )
    for one, other in zip(chosen.extra, projected.extra, strict=True):
        for left, right in zip(one, other, strict=True):
            torch.testing.assert_close(left, right)


def expected_by_summing(joint: JointMachine, rows: Tensor) -> Tensor:
    """E[h | x]: p(u | h) is Gaussian, so p(x | h) is its marginal; all 2^H states are summed."""
    covariance = torch.linalg.inv(joint.precision)
    states = torch.tensor(list(itertools.product((0.0, 1.0), repeat=HIDDEN)), dtype=torch.float64)
    pulls = joint.pull + states @ joint.push.T
    weight = states @ joint.hbias + ((pulls @ covariance) * pulls).sum(-1) / 2
    means = (pulls @ covariance)[:, : joint.split]
    spread = covariance[: joint.split, : joint.split]
    logs = torch.stack([weight + log_density(row - means, spread) for row in rows])
    return torch.softmax(logs, 1) @ states


@pytest.mark.parametrize(("strength", "within"), [(1e-3, 1e-5), (0.4, 0.02)])
def test_features_are_the_mean_hidden_activities_given_the_picture_alone(
    strength: float, within: float
) -> None:
    joint, whitener = machine_over(7, strength)
    tokens = RbmTokens(RbmShape(hidden=HIDDEN), 7, 11)
    tokens.take(hidden_field(joint, whitener))
    vectors = torch.randn(13, 7, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    # Of a whole pair only the picture's cut columns are used.
    pairs = torch.cat([vectors, torch.zeros(13, 7)], 1)
    cut = whitener.project(pairs)[:, : joint.split]
    exact = expected_by_summing(joint, cut)
    found = tokens.features(vectors.float())
    torch.testing.assert_close(found.double(), exact, atol=within, rtol=0)
    if strength > 0.1:
        assert float(exact.std(0).min()) > 0.01


def test_the_choice_is_part_of_the_shape_and_survives_it() -> None:
    plain = preset("test")
    assert shape_from(plain.to_dict()) == plain
    older = {name: value for name, value in plain.to_dict().items() if name != "rbm"}
    assert shape_from(older) == plain
    heard = replace(plain, rbm=RbmShape(hidden=7, tokens=3))
    assert shape_from(heard.to_dict()) == heard
    with pytest.raises(ValueError, match="1 or more, not 0 and 4"):
        RbmShape(hidden=0)


def test_a_rebuilt_model_takes_the_weights(tokenizer: Tokenizer) -> None:
    model = hearing(tokenizer, 0.7)
    again = Blip(shape_from(model.shape.to_dict()), tokenizer.vocab_size)
    again.load_state_dict(model.state_dict())
    assert written(again.eval(), tokenizer, "greedy") == written(model, tokenizer, "greedy")


def test_transformers_has_no_place_for_them(tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="reads tokens of an RBM"):
        to_captioner(hearing(tokenizer, 0.0), tokenizer)


def test_a_field_of_another_width_is_refused(tokenizer: Tokenizer) -> None:
    model = Blip(preset("test"), tokenizer.vocab_size)
    field = HiddenField(torch.zeros(3, 5), torch.zeros(5), torch.zeros(5, 5))
    with pytest.raises(ValueError, match="vectors of 3 columns, this model's have 14"):
        model.hear(field, 2)
