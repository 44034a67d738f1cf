"""The arms: what each of them makes of the candidates, and the weights it may choose.

S seeds (1 where none matters), N pictures, C candidates. Every weight is chosen on the validation
half for the reciprocal rank of what it chooses; the test half has no say. A mask restricts an arm
to some candidates, and scores are then standardised among those.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.reranking import first_choice, standardised, validated
from tests.experiments.rbm.terms import Terms

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
BASELINE = "ITM + ITC"
MIX = "mix: LM + ITM + ITC"
WITH_RBM = "mix + RBM PMI"
WITH_GAUSSIAN = "mix + Gaussian PMI"
EVEN = "even: LM + ITM + ITC"
EVEN_RBM = "even + RBM PMI"
EVEN_GAUSSIAN = "even + Gaussian PMI"


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to choose.

    Attributes:
        name: as the table has it.
        score: from bool (N, C) of allowed candidates to double (S, N, C); NaN is never chosen.
        weights: what was chosen on the validation half, in words, by seed where seeds differ.
        uses_rbm: the RBM has a say in it.
    """

    name: str
    score: Callable[[Tensor], Tensor]
    weights: str = ""
    uses_rbm: bool = False

    def choices(self, allowed: Tensor) -> Tensor:
        """Return the chosen candidate of every picture, int64 (S, N)."""
        return torch.stack([first_choice(one) for one in self.score(allowed)])


def arms_of(terms: Terms, reward: Tensor, validation: Tensor) -> list[Arm]:
    """Return every arm, in the order of the table.

    Args:
        terms: what is said of the candidates.
        reward: (N, C), the reciprocal rank; only its validation rows are looked at.
        validation: bool (N,).
    """
    lm, itm, itc = (terms.of(name)[None] for name in ("lm", "itm", "itc"))
    gaussian = terms.gaussian[None]
    beam = torch.zeros_like(lm)
    beam[..., 0] = 1.0

    def mixed(name: str, parts: dict[str, Tensor], *, uses_rbm: bool = False) -> Arm:
        return _mixed(name, parts, reward, validation, uses_rbm=uses_rbm)

    base = {"LM": lm, "ITM": itm, "ITC": itc}
    return [
        _plain("beam search", beam),
        _plain("LM log-probability", lm),
        _plain("ITM", itm),
        _plain("ITC", itc),
        mixed(BASELINE, {"ITM": itm, "ITC": itc}),
        _lm_pmi(terms, reward, validation),
        _plain("Gaussian PMI", gaussian),
        _plain("RBM -F", terms.minus_energy, uses_rbm=True),
        _plain("RBM PMI", terms.rbm, uses_rbm=True),
        _plain("NCE on the RBM's energy", terms.nce),
        mixed(MIX, base),
        mixed(WITH_GAUSSIAN, {**base, "Gaussian": gaussian}),
        mixed(WITH_RBM, {**base, "RBM": terms.rbm}, uses_rbm=True),
        mixed("mix + NCE", {**base, "NCE": terms.nce}),
        _even(EVEN, base),
        _even(EVEN_GAUSSIAN, {**base, "Gaussian": gaussian}),
        _even(EVEN_RBM, {**base, "RBM": terms.rbm}, uses_rbm=True),
    ]


def _plain(name: str, scores: Tensor, *, uses_rbm: bool = False) -> Arm:
    return Arm(name, lambda allowed: scores.masked_fill(~allowed, torch.nan), "", uses_rbm)


def _lm_pmi(terms: Terms, reward: Tensor, validation: Tensor) -> Arm:
    """Log p(text | picture) - alpha log p(text)."""

    def score(alpha: float) -> Tensor:
        return terms.lm_sum - alpha * terms.lm_blank

    def earned(alpha: float) -> float:
        choice = first_choice(score(alpha)[validation])
        return float(reward[validation].gather(1, choice[:, None]).mean())

    best = max(ALPHAS, key=earned)
    plain = _plain("LM-PMI", score(best)[None])
    return Arm(plain.name, plain.score, f"alpha {best}")


def _mixed(
    name: str,
    parts: dict[str, Tensor],
    reward: Tensor,
    validation: Tensor,
    *,
    uses_rbm: bool,
) -> Arm:
    """Weights from the validation half, for each seed its own."""
    found = [validated(one[:, validation], reward[validation]).weights for one in _by_seed(parts)]
    told = "; ".join(dict.fromkeys(_told(tuple(parts), weights) for weights in found))
    return Arm(name, _sum_of(parts, found), told, uses_rbm)


def _even(name: str, parts: dict[str, Tensor], *, uses_rbm: bool = False) -> Arm:
    """Every term counts alike, so one more term cannot go unheard."""
    share = torch.full((len(parts),), 1 / len(parts), dtype=torch.float64)
    return Arm(name, _sum_of(parts, [share] * len(_by_seed(parts))), "", uses_rbm)


def _by_seed(parts: dict[str, Tensor]) -> list[Tensor]:
    """Return the terms (T, N, C) of each seed; those without seeds are in all of them."""
    seeds = max(len(part) for part in parts.values())
    return [
        torch.stack([part[seed % len(part)] for part in parts.values()]) for seed in range(seeds)
    ]


def _sum_of(parts: dict[str, Tensor], weights: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
    def score(allowed: Tensor) -> Tensor:
        mixed = []
        for terms, own in zip(_by_seed(parts), weights, strict=True):
            alike = [standardised(term.masked_fill(~allowed, torch.nan)) for term in terms]
            mixed.append(torch.einsum("t,tnc->nc", own, torch.stack(alike)))
        return torch.stack(mixed)

    return score


def _told(names: Sequence[str], weights: Tensor) -> str:
    pairs = zip(names, weights.tolist(), strict=True)
    return ", ".join(f"{name} {weight:.1f}" for name, weight in pairs)
