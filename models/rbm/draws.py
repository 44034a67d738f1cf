"""Random draws of units, made in place: the greater part of what Gibbs sampling costs beside GEMM.

Functions whose name ends in an underscore write draws over the tensor that says how to draw. On a
CPU numbers in float32 take random bytes (`models.rbm.random_bytes`), where `rand` and `randn` take
four times as many.
"""

import math

import torch
from torch import Tensor

from models.rbm.random_bytes import PIECE, ROWS, WIDEST, Bytes, table_of
from models.rbm.rooms import pieces

DEEP = -30.0  # beyond it a normal's lower tail leaves float64

# Below about -88 a probability is a denormal number in float32, and above 88 the odds against are:
# arithmetic with them takes up to ten times as long. At this pull 4e-18 is left either way.
MOST_PULL = 40.0


def chances_(pull: Tensor) -> Tensor:
    """Turn log odds into probabilities."""
    for some in cached(pull):
        some.clamp_(-MOST_PULL, MOST_PULL).sigmoid_()
    return pull


def cached(whole: Tensor) -> tuple[Tensor, ...]:
    """Split into pieces that stay in a core's cache from one operation to the next."""
    if whole.is_cuda or whole.requires_grad or not whole.is_contiguous():
        return (whole,)
    return pieces(whole.view(-1), PIECE)


class Coins:
    """Draws of 0 or 1 over one and the same tensor, again and again: what can be is made once."""

    def __init__(self, pull: Tensor, bias: Tensor | None = None) -> None:
        """Take log odds (N, U), or those less a bias (U,)."""
        self._pull, self._bias = pull, bias
        self._half = None if bias is None else bias / 2
        self._parts = _parts(pull, pull.shape[-1], 1) if _takes_bytes(pull) else ()

    def __call__(self, generator: torch.Generator) -> Tensor:
        """Turn what the tensor holds now into draws, and return it."""
        pull, half = self._pull, self._half
        if not self._parts:
            chance = chances_(pull if self._bias is None else pull.add_(self._bias))
            return torch.gt(chance, _uniform(pull, generator), out=pull)
        table = table_of(-1.0)
        for source, parts in self._parts:
            told = source.told(generator, signed=True)
            for (byte, place, stride), (some, (high,)) in zip(told, parts, strict=True):
                # high - low is uniform on (-128, 128): the unit is on below 128 (2 p - 1), which
                # unlike a sigmoid is as fast where odds leave float32.
                high.copy_(byte)
                some.mul_(0.5) if half is None else torch.add(half, some, alpha=0.5, out=some)
                low = table.as_strided(some.shape, (stride, 1), place)
                torch.add(low, some.tanh_(), alpha=128.0, out=some).gt_(high)
        return pull


def coins_(pull: Tensor, generator: torch.Generator, bias: Tensor | None = None) -> Tensor:
    """Turn log odds (N, U), or those less a bias (U,), into draws of 0 or 1."""
    return Coins(pull, bias)(generator)


def coins_of_chances_(pull: Tensor, generator: torch.Generator) -> Tensor:
    """Turn log odds (N, U) into probabilities, and return draws of 0 or 1 by them."""
    if not _takes_bytes(pull):
        return torch.gt(chances_(pull), _uniform(pull, generator)).to(pull.dtype)
    drawn, width, table = torch.empty_like(pull), pull.shape[1], table_of(-1.0)
    for given, out in zip(pieces(pull, ROWS), pieces(drawn, ROWS), strict=True):
        source = Bytes(len(given), width)
        parts = (pieces(rows, source.together) for rows in (given, out))
        spare = source.spare(1, width)
        told = source.told(generator)
        for (byte, place, stride), some, coin, (high,) in zip(told, *parts, spare, strict=True):
            high.copy_(byte)
            low = table.as_strided(some.shape, (stride, 1), place)
            torch.add(low, chances_(some), alpha=256.0, out=coin).gt_(high)
    return drawn


class Normals:
    """Normal noise of variance 1 upon one and the same tensor, again and again.

    Two numbers by the angle and the radius of one point (Box and Muller 1958).
    """

    def __init__(self, mean: Tensor, bias: Tensor | None = None) -> None:
        """Take means (N, U), or those less a bias (U,)."""
        self._mean, self._bias = mean, bias
        self._pairs = -(-mean.shape[-1] // 2)
        self._parts = _parts(mean, 2 * self._pairs, 3) if _takes_bytes(mean) else ()

    def __call__(self, generator: torch.Generator) -> Tensor:
        """Add noise and bias to what the tensor holds now, and return it."""
        if not self._parts:
            noise = torch.empty_like(self._mean).normal_(generator=generator)
            return self._mean.add_(noise if self._bias is None else noise.add_(self._bias))
        for source, parts in self._parts:
            for told, (some, spare) in zip(source.told(generator), parts, strict=True):
                self._fall(told, some, spare)
        return self._mean

    def _fall(self, told: tuple[Tensor, int, int], some: Tensor, spare: tuple[Tensor, ...]) -> None:
        """Add bias and noise to some rows, (n, U)."""
        (byte, place, stride), (angle, radius, high) = told, spare
        pairs, turn = self._pairs, 2 * math.pi / 256
        high.copy_(byte[:, :pairs])
        low = table_of(turn).as_strided(angle.shape, (stride, 1), place)
        torch.add(low, high, alpha=turn, out=angle)
        high.copy_(byte[:, pairs:])
        low = table_of(1 / 256).as_strided(angle.shape, (stride, 1), place + pairs)
        torch.add(low, high, alpha=1 / 256, out=radius).log_().mul_(-2).sqrt_()
        if self._bias is not None:
            some.add_(self._bias)
        some[:, :pairs].addcmul_(radius, torch.cos(angle, out=high))
        second = some.shape[1] - pairs
        some[:, pairs:].addcmul_(radius[:, :second], angle.sin_()[:, :second])


def normals_(mean: Tensor, generator: torch.Generator, bias: Tensor | None = None) -> Tensor:
    """Add normal noise of variance 1, and a bias (U,), to means (N, U)."""
    return Normals(mean, bias)(generator)


def _parts(
    whole: Tensor, width: int, spares: int
) -> list[tuple[Bytes, list[tuple[Tensor, tuple[Tensor, ...]]]]]:
    """Return sources of bytes (n, width) for all rows, with the rows of each of their pieces.

    Every piece goes with room for `spares` results a row, a byte each or two.
    """
    found = []
    for rows in pieces(whole, ROWS):
        source = Bytes(len(rows), width)
        spare = source.spare(spares, width if spares == 1 else width // 2)
        found.append((source, list(zip(pieces(rows, source.together), spare, strict=True))))
    return found


def _takes_bytes(rows: Tensor) -> bool:
    fits = rows.dim() == 2 and rows.shape[1] < WIDEST
    return fits and rows.dtype == torch.float32 and not rows.is_cuda


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
