"""Choosing the next token, each row by its own seed.

N rows, t tokens so far, V vocabulary. The uniform of a row and step is a hash of the two, so what
is drawn depends neither on the batch nor on its order, nor on what was drawn before.
"""

import torch
from torch import Tensor

_GOLDEN = -0x61C8864680B583EB  # 0x9E3779B97F4A7C15 as a signed number: 2 ** 64 / golden ratio
_MIX_1 = -0x40A7B892E31B1A47  # 0xBF58476D1CE4E5B9
_MIX_2 = -0x6B2FB644ECCEEE15  # 0x94D049BB133111EB
_MANTISSA = 53


def uniforms(seeds: Tensor, step: int) -> Tensor:
    """Return float64 (N,) in [0, 1): the `step`-th number of SplitMix64 started at each seed.

    Steele, Lea and Flood 2014. int64 wraps around, as the generator's arithmetic wants.
    """
    state = seeds + _wrapped((step + 1) * _GOLDEN)
    state = (state ^ _shifted(state, 30)) * _MIX_1
    state = (state ^ _shifted(state, 27)) * _MIX_2
    state = state ^ _shifted(state, 31)
    return _shifted(state, 64 - _MANTISSA).double() * 2.0**-_MANTISSA


def _shifted(x: Tensor, bits: int) -> Tensor:
    # >> of a signed number copies its sign; the mask makes it the unsigned shift.
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _wrapped(number: int) -> int:
    return (number + 2**63) % 2**64 - 2**63


def sample_nucleus(logits: Tensor, uniform: Tensor, top_k: int, top_p: float) -> Tensor:
    """Draw from the smallest set of likeliest tokens that holds `top_p`, among the best `top_k`.

    First the best k, then the nucleus of those: what transformers does unasked, so what every
    published "nucleus 0.9" BLIP caption was drawn from. Holtzman et al. 2020 (arXiv 1904.09751).

    Args:
        logits: float (N, V).
        uniform: float64 (N,) in [0, 1).
        top_k: 1 is greedy.
        top_p: in (0, 1].

    Returns:
        int64 (N,).
    """
    best, tokens = logits.float().topk(min(top_k, logits.shape[1]), dim=1)  # sorted, falling
    probability = best.double().softmax(dim=1)
    before = probability.cumsum(dim=1) - probability
    cumulative = probability.masked_fill(before >= top_p, 0.0).cumsum(dim=1)
    target = uniform[:, None] * cumulative[:, -1:]
    place = torch.searchsorted(cumulative, target, right=True).clamp(max=cumulative.shape[1] - 1)
    return tokens.gather(1, place)[:, 0]


def penalise_repeats(scores: Tensor, ids: Tensor, penalty: float) -> Tensor:
    """Make tokens that were written already less likely (Keskar et al. 2019, CTRL).

    Args:
        scores: float (N, V), logits or log-probabilities.
        ids: int64 (N, t), the prompt included.
        penalty: positive scores are divided by it, negative ones multiplied; 1 does nothing.
    """
    if penalty == 1.0:
        return scores
    seen = scores.gather(1, ids)
    return scores.scatter(1, ids, torch.where(seen < 0, seen * penalty, seen / penalty))


def forbid_repeated_ngrams(scores: Tensor, ids: Tensor, size: int) -> Tensor:
    """Rule out every token that would complete a run of `size` tokens written before.

    Args:
        scores: float (N, V).
        ids: int64 (N, t).
        size: 0 does nothing.
    """
    if size == 0 or ids.shape[1] < size:
        return scores
    windows = ids.unfold(1, size, 1)  # (N, t - size + 1, size)
    latest = ids[:, ids.shape[1] - size + 1 :]
    repeats = (windows[:, :, :-1] == latest[:, None]).all(dim=2)
    banned = torch.zeros_like(scores, dtype=torch.int8)
    banned.scatter_reduce_(1, windows[:, :, -1], repeats.to(torch.int8), "amax")
    return scores.masked_fill(banned.bool(), -torch.inf)
