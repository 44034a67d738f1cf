"""Products with W for rows of 0 and 1, in whole numbers: how Gibbs sampling outruns float32.

Draws of Bernoulli and softmax units are 0 or 1, so that a product with W is a sum of weights. W is
written in whole steps of its largest value, two or three digits of a byte each, and a digit's
product with int8 rows takes a quarter of a float32 one's time on a CPU with AVX-512 VNNI. Sums are
exact: they do not depend on threads or on how rows are batched. What is lost is W's own rounding.
It is to one side or the other by a table of random numbers, since to the nearest step many weights
that are alike would be off in the same direction. As many digits are taken as keep it below
`MOST_ERROR`; where three do not, one weight far beyond the others, and on other processors,
products are those of float32.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache, partial

import torch
from torch import Tensor

from models.rbm.draws import cached
from models.rbm.random_bytes import PIECE, TABLE, table_of
from models.rbm.rooms import pieces, room_for

# Of the log odds of a unit that all others act on, as a standard deviation, whatever the weights:
# it moves a probability by 5e-4 at most, as much as a million draws would just show.
MOST_ERROR = 2.0**-9
BASE = 256
# Half of what a number of so many digits spans, the top one's being -127 to 127. One less, since
# rounding in float32 lifts the largest weight by up to half a step.
REACH = {2: 127 * BASE + 126, 3: (127 * BASE + 127) * BASE + 126}
WIDE_ENOUGH = {2: torch.int16, 3: torch.int32}
# Of a step float32 keeps 1/512 beside 16 bits, and nothing beside 24.
PRECISE_ENOUGH = {2: torch.float32, 3: torch.float64}
MOST_CHANCE = 1 - 1 / 512  # so that whole steps stay what they are
FAR_APART = 40_503  # odd, so that pieces of W read the table from places of their own
MOST_SUMS = 2**24  # at a time, 64 MiB that a thread keeps
WORTH_WEIGHTS = 2**15  # below it calls take longer than what they compute
WORTH_ROWS = 512  # below it writing W anew does
MOST_UNITS = 2**31 // (128 * BASE + 128)  # whose two lower digits' sum fits into int32

# Writes rows (N, K) times weights (K, U), and a bias (U,) if there is one, over `out`, (N, U).
Product = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def _floats(weight: Tensor, rows: Tensor, out: Tensor, bias: Tensor | None) -> Tensor:
    if bias is None:
        return torch.mm(rows, weight, out=out)
    return torch.addmm(bias, rows, weight, out=out)


class _Digits:
    """W (V, H) as digits, the lowest first."""

    def __init__(self, weight: Tensor, count: int, largest: float) -> None:
        self.step = largest / REACH[count]
        self.digits = [torch.empty(weight.shape, dtype=torch.int8) for _ in range(count)]
        written = (cached(whole) for whole in (weight, *self.digits))
        for piece, (given, lowest, *others) in enumerate(zip(*written, strict=True)):
            left = room_for(f"{count} digits", len(given), WIDE_ENOUGH[count])
            left.copy_(_whole_steps(given, self.step, piece, PRECISE_ENOUGH[count]))
            lowest.copy_(left)  # the last byte, from -128 to 127
            for digit in others:
                digit.copy_(left.add_(BASE // 2).bitwise_right_shift_(8))

    def product(self, turned: bool, rows: Tensor, out: Tensor, bias: Tensor | None) -> Tensor:
        """Write rows W, or rows W' where it is turned, and the bias over `out`."""
        digits = [digit.T for digit in self.digits] if turned else self.digits
        together = max(1, MOST_SUMS // (len(digits) * out.shape[1]))
        for some, sums in zip(pieces(rows, together), pieces(out, together), strict=True):
            self._written(digits, some, sums, bias)
        return out

    def _written(
        self, digits: Sequence[Tensor], rows: Tensor, out: Tensor, bias: Tensor | None
    ) -> None:
        given = room_for("units", rows.numel(), torch.int8).view(rows.shape)
        given.copy_(rows)
        size = len(digits), *out.shape
        sums = room_for("sums", math.prod(size), torch.int32).view(size)
        for digit, told in zip(digits, sums, strict=True):
            torch._int_mm(given, digit, out=told)  # torch has no public one
        each = max(1, PIECE // out.shape[1])
        parts = (pieces(whole, each) for whole in (out, *sums))
        for some, low, high, *top in zip(*parts, strict=True):
            some.copy_(low.add_(high, alpha=BASE))
            for highest in top:
                some.add_(highest.float(), alpha=BASE**2)
            if bias is None:
                some.mul_(self.step)
            else:
                torch.add(bias, some, alpha=self.step, out=some)


def _whole_steps(given: Tensor, step: float, piece: int, precise: torch.dtype) -> Tensor:
    """Return weights (n,) in steps, each the whole one below or above, by how near it is."""
    place = piece * FAR_APART % TABLE
    chance = table_of(MOST_CHANCE)[place : place + len(given)]
    steps = room_for(f"steps of {precise}", len(given), precise)
    return torch.add(chance, given.to(precise), alpha=1 / step, out=steps).floor_()


def products(
    weight: Tensor, rows: int, *, onto_hidden: bool, onto_visible: bool
) -> tuple[Product, Product]:
    """Return the product of visibles (N, V) with W (V, H), and that of hiddens (N, H) with W'.

    Args:
        weight: W.
        rows: how many will be multiplied, all in all.
        onto_hidden: whether visibles are 0 or 1.
        onto_visible: whether hiddens are 0 or 1.
    """
    weight = weight.detach().contiguous()
    floats = partial(_floats, weight), partial(_floats, weight.T)
    if not (onto_hidden or onto_visible) or not _pays(weight, rows):
        return floats
    low, high = (float(bound) for bound in torch.aminmax(weight))
    largest = max(-low, high, 1e-30)
    acting = max(weight.shape[0] if onto_hidden else 0, weight.shape[1] if onto_visible else 0)
    allowed = 2 * MOST_ERROR / math.sqrt(acting)  # half a step a weight is the most
    count = next((count for count, reach in REACH.items() if largest / reach <= allowed), 0)
    if not count:
        return floats
    digits = _Digits(weight, count, largest)
    return (
        partial(digits.product, False) if onto_hidden else floats[0],
        partial(digits.product, True) if onto_visible else floats[1],
    )


def _pays(weight: Tensor, rows: int) -> bool:
    """Whether a processor can take whole numbers, and they would take it less time."""
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and weight.numel() >= WORTH_WEIGHTS
        and max(weight.shape) <= MOST_UNITS
        and min(weight.shape) > 1  # torch's product reads a single column, turned, as one number
        and rows >= WORTH_ROWS
        and torch.cpu._is_vnni_supported()
        and _adds_exactly()
    )


@cache
def _adds_exactly() -> bool:
    """Whether sums of bytes are right here, of the ends above all.

    The kernels for processors without VNNI, which an environment variable may choose on any other
    too (ONEDNN_MAX_CPU_ISA), take -128 for 0.
    """
    rows = torch.cat([torch.eye(BASE), torch.ones(BASE, BASE)]).to(torch.int8)
    ends = torch.arange(BASE) - BASE // 2
    digits = torch.stack([ends, ends.roll(BASE // 2), torch.full_like(ends, -BASE // 2)], 1)
    told = torch._int_mm(rows, digits.repeat(1, BASE // 4).to(torch.int8))
    return torch.equal(told.long(), rows.long() @ digits.repeat(1, BASE // 4))
