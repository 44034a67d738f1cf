"""Random draws of units, made in place: the greater part of what Gibbs sampling costs beside GEMM.

Every function takes the tensor that says how to draw and writes the draws over it.
"""

import functools
import math

import torch
from torch import Tensor

DEEP = -30.0  # beyond it a normal's lower tail leaves float64
PIECE = 2**16  # units whose every intermediate result stays in a core's cache
TABLE = 2**17
TABLE_SEED = 8


def coins_(probability: Tensor, generator: torch.Generator) -> Tensor:
    """Turn probabilities, of any shape, into draws of 0 or 1.

    On a CPU float32 takes eight fresh bits a unit, a fifth of what `rand` costs. The bits below
    them come from a table of evenly spread numbers in random order, read from a fresh place in each
    call: a unit's probability is met to 1e-7, and its draws depend on others' only where one
    number of the table decides for both, that is by less than 1e-5 in one of 100,000 pairs.
    """
    if probability.dtype != torch.float32 or probability.is_cuda:
        return probability.gt_(_uniform(probability, generator))
    for piece in torch.split(probability.view(-1), PIECE):
        _toss_(piece, generator)
    return probability


def logistic_coins_(pull: Tensor, generator: torch.Generator) -> Tensor:
    """Turn log odds into draws of 0 or 1, as `coins_` does their sigmoids."""
    if pull.dtype != torch.float32 or pull.is_cuda:
        return coins_(pull.sigmoid_(), generator)
    for piece in torch.split(pull.view(-1), PIECE):
        _toss_(piece.sigmoid_(), generator)
    return pull


def _toss_(probability: Tensor, generator: torch.Generator) -> None:
    """Toss a piece of at most `PIECE` coins of float32 on a CPU."""
    count = len(probability)
    words = torch.empty((count + 7) // 8, dtype=torch.int64)
    words.random_(-(2**63), None, generator=generator)
    high = words.view(torch.int8)[:count]  # -128 ... 127
    at = int(torch.randint(TABLE, (1,), generator=generator))
    # high + 128 + low is uniform on [0, 256): the unit is on where that is below 256 p.
    torch.add(_lows()[at : at + count], probability, alpha=256.0, out=probability)
    probability.gt_(high.float())


@functools.cache
def _lows() -> Tensor:
    """-128 - low for `TABLE` numbers low, evenly spread over [0, 1), twice over."""
    order = torch.randperm(TABLE, generator=torch.Generator().manual_seed(TABLE_SEED))
    # Above -129 after rounding: a probability of 1 has to be above all that is drawn.
    return (-128 - (order.double() + 0.5) / TABLE).float().clamp_(min=-128.99998).repeat(2)


def normals_(mean: Tensor, deviation: Tensor | float, generator: torch.Generator) -> Tensor:
    """Add normal noise of this standard deviation (U,) to means (N, U)."""
    if isinstance(deviation, Tensor):
        return mean.addcmul_(torch.empty_like(mean).normal_(generator=generator), deviation)
    for piece in torch.split(mean.view(-1), mean.numel() if mean.is_cuda else PIECE):
        piece.add_(torch.empty_like(piece).normal_(generator=generator), alpha=deviation)
    return mean


def positives_(pull: Tensor, generator: torch.Generator) -> Tensor:
    """Draw from N(pull, 1) cut off below 0, by the inverse of its distribution in float64.

    Far below 0, where the normal's tail is an exponential one, by the inverse of
    exp(pull h - h^2 / 2), whose error in probability is below 5e-4 there.
    """
    centre = pull.double()
    uniform = 1 - _uniform(centre, generator)  # (0, 1]
    # Not torch.special.ndtr: two per cent off at -8, and 0 beyond.
    below = uniform * torch.exp(torch.special.log_ndtr(centre))
    below = below.clamp(torch.finfo(below.dtype).tiny, 1 - 2**-53)
    near = centre - torch.special.ndtri(below)
    surprise = -2 * torch.log(uniform)
    far = surprise / (torch.sqrt(centre.square() + surprise) - centre).clamp(min=1e-300)
    return pull.copy_(torch.where(centre > DEEP, near, far).clamp_(min=0))


def one_hots_(probability: Tensor, categories: int, generator: torch.Generator) -> Tensor:
    """Turn probabilities (N, G categories) into one 1 in each group of `categories` columns."""
    grouped = probability.view(len(probability), -1, categories)
    bounds = grouped.cumsum(-1)
    # The last bound is the total, which rounding may leave a little off 1.
    place = _uniform(bounds[..., :1].contiguous(), generator) * bounds[..., -1:]
    chosen = (bounds <= place).sum(-1, keepdim=True).clamp_(max=categories - 1)
    grouped.zero_().scatter_(-1, chosen, 1.0)
    return probability


def log_normal_tail(pull: Tensor) -> Tensor:
    """Log of the integral over h > 0 of exp(pull h - h^2 / 2), float64, the shape of `pull`."""
    pull = pull.double()
    scaled = torch.special.erfcx(-pull.clamp(max=0) / math.sqrt(2))
    below = torch.log(scaled) + math.log(math.pi / 2) / 2
    above = (
        pull.square() / 2 + torch.special.log_ndtr(pull.clamp(min=0)) + math.log(2 * math.pi) / 2
    )
    return torch.where(pull < 0, below, above)


def mean_of_positives(pull: Tensor) -> Tensor:
    """The mean of N(pull, 1) cut off below 0, float64, the shape of `pull`."""
    pull = pull.double()
    return pull + math.sqrt(2 / math.pi) / torch.special.erfcx(-pull / math.sqrt(2))


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, dtype=like.dtype, device=like.device)
