"""Random draws of units, made in place: the greater part of what Gibbs sampling costs beside GEMM.

Functions whose name ends in an underscore write draws over the tensor that says how to draw.

On a CPU numbers in float32 take a byte each, where `rand` and `randn` take four. What follows the
byte is read from a table of evenly spread numbers in random order, from a fresh place and by a
fresh stride: a probability is met to 1e-7, and two draws depend on each other only where the same
number of the table and the same byte decide for both.

More than `PIECE` bytes come in groups of rows: group (i, j) takes A_i xor B_j of fresh A and B. All
bytes of a row are independent, and so are those of any three rows: every chain is right by itself,
and means over chains vary as they should, for a sixth to a third of the bytes. Four rows need not
be: the bytes of (i, j), (i', j), (i, j') and (i', j') have an xor of 0.
"""

import functools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

DEEP = -30.0  # beyond it a normal's lower tail leaves float64
ROWS = 1024  # of one set of A and B
ACROSS, DOWN = 32, 8  # B's and A's at most
PIECE = 2**17  # units whose every intermediate result stays in a core's cache
TABLE = 2**17
STRIDES = 32
WIDEST = TABLE - 2 * STRIDES * ROWS  # a row that fits into the table, wherever it starts
TABLE_SEED = 8


# Below about -88 a probability is a denormal number in float32, and above 88 the odds against are:
# arithmetic with them takes up to ten times as long. At this pull 4e-18 is left either way.
MOST_PULL = 40.0


def chances_(pull: Tensor) -> Tensor:
    """Turn log odds into probabilities."""
    return pull.clamp_(-MOST_PULL, MOST_PULL).sigmoid_()


def coins_(pull: Tensor, generator: torch.Generator, bias: Tensor | None = None) -> Tensor:
    """Turn log odds (N, U), or those less a bias (U,), into draws of 0 or 1."""
    return _tossed(pull, pull, generator, bias)


def coins_of_chances_(pull: Tensor, generator: torch.Generator) -> Tensor:
    """Turn log odds (N, U) into probabilities, and return draws of 0 or 1 by them."""
    return _tossed(pull, torch.empty_like(pull), generator)


def _tossed(
    pull: Tensor, out: Tensor, generator: torch.Generator, bias: Tensor | None = None
) -> Tensor:
    if not _takes_bytes(pull):
        chance = chances_(pull if bias is None else pull.add_(bias))
        return torch.gt(chance, _uniform(pull, generator), out=out)
    width, table = pull.shape[1], _table(-1.0)
    half = None if bias is None else bias / 2
    for given, drawn in zip(torch.split(pull, ROWS), torch.split(out, ROWS), strict=True):
        source = Bytes(len(given), width, generator)
        spare = torch.empty(source.together, width)
        pieces = (torch.split(whole, source.together) for whole in (given, drawn))
        for byte, place, some, coin in zip(source, source.places, *pieces, strict=True):
            low = table.as_strided(some.shape, (source.stride, 1), place)
            high = spare[: len(some)]
            if out is pull:
                # high - low is uniform on (-128, 128): the unit is on below 128 (2 p - 1), which
                # unlike a sigmoid is as fast where odds leave float32.
                high.copy_(byte.view(torch.int8))
                some.mul_(0.5) if half is None else torch.add(half, some, alpha=0.5, out=some)
                torch.add(low, some.tanh_(), alpha=128.0, out=coin)
            else:
                high.copy_(byte)
                torch.add(low, chances_(some), alpha=256.0, out=coin)
            coin.gt_(high)
    return out


def normals_(mean: Tensor, generator: torch.Generator, bias: Tensor | None = None) -> Tensor:
    """Add normal noise of variance 1, and a bias (U,), to means (N, U).

    Two by the angle and the radius of one point (Box and Muller 1958).
    """
    if not _takes_bytes(mean):
        noise = torch.empty_like(mean).normal_(generator=generator)
        return mean.add_(noise if bias is None else noise.add_(bias))
    pairs = -(-mean.shape[1] // 2)
    turn = 2 * math.pi / 256
    angles, radii = _table(turn), _table(1 / 256)
    for rows in torch.split(mean, ROWS):
        source = Bytes(len(rows), 2 * pairs, generator)
        spare = torch.empty(3, source.together, pairs)
        pieces = torch.split(rows, source.together)
        for byte, place, some in zip(source, source.places, pieces, strict=True):
            angle, radius, high = spare[:, : len(some)]
            shape, strides = (len(some), pairs), (source.stride, 1)
            high.copy_(byte[:, :pairs])
            torch.add(angles.as_strided(shape, strides, place), high, alpha=turn, out=angle)
            high.copy_(byte[:, pairs:])
            low = radii.as_strided(shape, strides, place + pairs)
            torch.add(low, high, alpha=1 / 256, out=radius)
            radius.log_().mul_(-2).sqrt_()
            if bias is not None:
                some.add_(bias)
            first, second = some[:, :pairs], some[:, pairs:]
            first.addcmul_(radius, torch.cos(angle, out=high))
            second.addcmul_(radius[:, : second.shape[1]], angle.sin_()[:, : second.shape[1]])
    return mean


def _takes_bytes(rows: Tensor) -> bool:
    fits = rows.dim() == 2 and rows.shape[1] < WIDEST
    return fits and rows.dtype == torch.float32 and not rows.is_cuda


class Bytes:
    """Bytes (N, U) for at most `ROWS` rows, yielded some rows at a time into one place.

    Attributes:
        together: how many rows are yielded at a time.
        places: where each time's first row finds what follows its bytes in the table.
        stride: of the table from row to row.
    """

    def __init__(self, rows: int, width: int, generator: torch.Generator) -> None:
        self._rows, self._width = rows, width
        self._theirs: Tensor | None = None
        start, extra = torch.randint(TABLE, (2,), generator=generator).tolist()
        if rows * width <= PIECE:
            self._ours = _fresh(1, -(-rows * width // 8), generator)
            self.together, self.stride, self.places = rows, width, [start]
            return
        most = min(DOWN, -(-rows * width // PIECE))
        each = -(-rows // (ACROSS * most))
        across = min(ACROSS, -(-rows // each))
        self.together = each * across
        down = -(-rows // self.together)
        fresh = _fresh(down + across, each * -(-width // 8), generator)
        self._ours, self._theirs = fresh[:down], fresh[down:]
        self.stride = STRIDES + extra % STRIDES
        self.places = [start + number * self.together * self.stride for number in range(down)]

    def __iter__(self) -> Iterator[Tensor]:
        if self._theirs is None:
            count = self._rows * self._width
            yield self._ours.view(torch.uint8).view(-1)[:count].view(self._rows, self._width)
            return
        mixed = torch.empty_like(self._theirs)
        view = mixed.view(torch.uint8).view(self.together, -1)[:, : self._width]
        left = self._rows
        for ours in self._ours:
            torch.bitwise_xor(ours, self._theirs, out=mixed)
            yield view if left >= self.together else view[:left]
            left -= self.together


def _fresh(rows: int, words: int, generator: torch.Generator) -> Tensor:
    """Return words of 8 random bytes, int64 (rows, words)."""
    return torch.empty(rows, words, dtype=torch.int64).random_(-(2**63), None, generator=generator)


@functools.cache
def _table(scale: float) -> Tensor:
    """`TABLE` numbers in random order, evenly spread from 0 to `scale`, twice over."""
    order = torch.randperm(TABLE, generator=torch.Generator().manual_seed(TABLE_SEED))
    # Below 1 after rounding, also as what follows a byte of 255.
    spread = ((order.double() + 0.5) / TABLE).clamp_(max=1 - 2**-15)
    return (scale * spread).float().repeat(2)


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
