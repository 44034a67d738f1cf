"""Which of an image's candidate captions is best: scores made comparable, mixed, and chosen by.

N images, C places for candidates, T terms. An image with fewer candidates has NaN in the places
left over, in every term. A term's unit means nothing to another's, so each becomes a z-score among
the candidates of its image; what is the same for all of them, such as log p(image), drops out.
"""

from dataclasses import dataclass
from itertools import combinations, pairwise

import torch
from torch import Tensor

STEPS = 10  # of the grid that weights are looked for on
LEAST_SPREAD = 1e-9


@dataclass(frozen=True, slots=True)
class Validated:
    """Weights and what they were chosen for.

    Attributes:
        weights: (T,), 0 or more, with sum 1.
        reward: the mean reward of what they choose, on the images they were chosen on.
    """

    weights: Tensor
    reward: float


def standardised(scores: Tensor) -> Tensor:
    """Return z-scores within each row, double (N, C); 0 where all candidates score alike.

    Args:
        scores: (N, C), NaN where there is no candidate.

    Raises:
        ValueError: a score is infinite.
    """
    if bool(torch.isinf(scores).any()):
        raise ValueError("a score is infinite, so no other one of its image would count")
    scores = scores.double()
    centred = scores - scores.nanmean(dim=-1, keepdim=True)
    spread = centred.square().nanmean(dim=-1, keepdim=True).sqrt()
    level = spread <= LEAST_SPREAD
    return torch.where(level, centred * 0.0, centred / spread.masked_fill(level, 1.0))


def parts(terms: Tensor, weights: Tensor) -> Tensor:
    """Return what each term adds to a candidate's score, double (T, N, C); NaN where absent.

    A term of weight 0 adds 0, whether it is known or not.

    Args:
        terms: (T, N, C), raw.
        weights: (T,).

    Raises:
        ValueError: the counts differ, or a weighted score is infinite.
    """
    if len(terms) != len(weights):
        raise ValueError(f"each term has a weight: got {len(terms)} terms, {len(weights)} weights")
    absent = torch.isnan(terms).all(dim=0)
    added = [
        standardised(term) * weight
        if weight
        else torch.zeros_like(term, dtype=torch.float64).masked_fill(absent, torch.nan)
        for term, weight in zip(terms, weights.tolist(), strict=True)
    ]
    return torch.stack(added)


def first_choice(scores: Tensor) -> Tensor:
    """Return the place of each row's highest score, int64 (N,); the first where several are.

    Args:
        scores: (N, C); NaN is never chosen.

    Raises:
        ValueError: a row has nothing but NaN.
    """
    absent = torch.isnan(scores)
    if bool(absent.all(dim=-1).any()):
        raise ValueError("an image has no candidate with a score; leave it out")
    floor = scores.masked_fill(absent, -torch.inf)
    # argmax may return any of several; the first is the same on every device.
    highest = floor == floor.amax(dim=-1, keepdim=True)
    return highest.to(torch.int8).argmax(dim=-1)


def places(scores: Tensor) -> Tensor:
    """Return each candidate's place by score, int64 (N, C): 1 is best, 0 where it has no score.

    Of equal scores the earlier candidate is placed first.
    """
    absent = torch.isnan(scores)
    order = scores.masked_fill(absent, -torch.inf).argsort(dim=-1, descending=True, stable=True)
    ranked = torch.empty_like(order)
    counted = torch.arange(1, scores.shape[-1] + 1).expand_as(order)
    ranked.scatter_(-1, order, counted)
    return ranked.masked_fill(absent, 0)


def chosen(values: Tensor, choice: Tensor) -> Tensor:
    """Return each row's value at its choice, (N,), from (N, C) and int64 (N,)."""
    return values.gather(1, choice[:, None])[:, 0]


def shares(terms: int, steps: int = STEPS) -> Tensor:
    """Return every way to share `steps` equal parts among the terms, double (M, T), sums 1."""
    bars = combinations(range(steps + terms - 1), terms - 1)
    ends = ((-1, *bar, steps + terms - 1) for bar in bars)
    counts = [[b - a - 1 for a, b in pairwise(end)] for end in ends]
    return torch.tensor(counts, dtype=torch.float64) / steps


def validated(terms: Tensor, reward: Tensor, steps: int = STEPS) -> Validated:
    """Return the weights on the grid whose choices earn most; of equals the most even ones.

    Args:
        terms: (T, N, C), raw.
        reward: (N, C), what choosing a candidate earns.
        steps: how fine the grid is.

    Raises:
        ValueError: there are no images or terms, or an image has no candidate.
    """
    if not terms.numel():
        raise ValueError("weights need a term and an image with a candidate to be chosen on")
    alike = torch.stack([standardised(term) for term in terms])
    grid = shares(len(terms), steps)
    # The most even first, so that a later one has to be better.
    grid = grid[grid.square().sum(dim=1).argsort(stable=True)]
    best, most = grid[0], -torch.inf
    for weights in grid:
        mixed = torch.einsum("t,tnc->nc", weights, alike)
        earned = float(chosen(reward.double(), first_choice(mixed)).mean())
        if earned > most + LEAST_SPREAD:
            best, most = weights, earned
    return Validated(best, most)
