"""The next token is drawn from the right distribution, by a number that only seed and step set."""

import math

import pytest
import torch

from models.sampling import (
    forbid_repeated_ngrams,
    penalise_repeats,
    sample_nucleus,
    uniforms,
)


def splitmix64(seed: int, step: int) -> int:
    """The published generator in whole numbers; `step` numbers are drawn and thrown away."""
    mask = 2**64 - 1
    z = (seed + (step + 1) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


def test_the_slow_generator_gives_the_published_numbers() -> None:
    # The first outputs for seed 1234567 in the reference implementation's own test.
    assert [splitmix64(1234567, n) for n in range(2)] == [6457827717110365317, 3203168211198807973]


def test_uniforms_are_the_top_53_bits_of_splitmix64() -> None:
    seeds = [0, 1, 1234567, 2**63 - 1, -1, -(2**63)]
    for step in (0, 1, 19, 10**6):
        expected = [(splitmix64(seed % 2**64, step) >> 11) / 2**53 for seed in seeds]
        assert uniforms(torch.tensor(seeds), step).tolist() == expected


def test_uniforms_of_neighbouring_seeds_and_steps_look_unrelated() -> None:
    table = torch.stack([uniforms(torch.arange(997), step) for step in range(11)])
    assert table.mean().item() == pytest.approx(0.5, abs=0.01)
    assert table.var().item() == pytest.approx(1 / 12, abs=0.003)
    correlation = torch.corrcoef(table) - torch.eye(11)
    assert correlation.abs().max() < 0.12


def test_top_k_comes_before_the_nucleus() -> None:
    # Of .4 .3 .2 .1 the best three are .444 .333 .222; a nucleus of .75 then needs two of them.
    # The nucleus first would need three, and never leave the third out.
    logits = torch.tensor([0.4, 0.3, 0.2, 0.1]).log().expand(1001, -1)
    uniform = torch.linspace(0, 1, 1002, dtype=torch.float64)[:-1]
    counts = sample_nucleus(logits, uniform, top_k=3, top_p=0.75).bincount(minlength=4)
    assert (counts / 1001).tolist() == pytest.approx([4 / 7, 3 / 7, 0, 0], abs=2e-3)


def test_the_token_that_crosses_top_p_stays() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.2]]).log()
    drawn = [
        sample_nucleus(logits, torch.tensor([u], dtype=torch.float64), 50, 0.6).item()
        for u in (0.0, 0.624, 0.626, 0.9999999)
    ]
    assert drawn == [0, 0, 1, 1]


def test_one_candidate_is_greedy() -> None:
    logits = torch.randn(7, 13, generator=torch.Generator().manual_seed(1))
    uniform = torch.full((7,), 1 - 2**-53, dtype=torch.float64)
    assert torch.equal(sample_nucleus(logits, uniform, 1, 0.9), logits.argmax(dim=1))


def test_a_forbidden_token_is_never_drawn() -> None:
    logits = torch.tensor([[-math.inf, 0.0, -math.inf]])
    for u in (0.0, 0.5, 1 - 2**-53):
        assert sample_nucleus(logits, torch.tensor([u], dtype=torch.float64), 3, 1.0).item() == 1


def test_repeats_are_divided_above_zero_and_multiplied_below() -> None:
    scores = torch.tensor([[3.0, -3.0, 3.0, -3.0]])
    ids = torch.tensor([[0, 1, 0]])
    assert penalise_repeats(scores, ids, 1.5).tolist() == [[2.0, -4.5, 3.0, -3.0]]
    assert penalise_repeats(scores, ids, 1.0) is scores


def test_an_ngram_is_written_once() -> None:
    scores = torch.zeros(2, 7)
    ids = torch.tensor([[1, 2, 3, 1, 2], [4, 4, 5, 6, 4]])
    banned = forbid_repeated_ngrams(scores, ids, 3).isinf()
    assert banned.nonzero().tolist() == [[0, 3]]
    banned = forbid_repeated_ngrams(scores, ids, 2).isinf()
    assert banned.nonzero().tolist() == [[0, 3], [1, 4], [1, 5]]
    assert not forbid_repeated_ngrams(scores, ids, 0).isinf().any()
    assert forbid_repeated_ngrams(scores, ids, 1).isinf().sum(dim=1).tolist() == [3, 3]
