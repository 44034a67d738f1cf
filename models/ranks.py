"""What the ranks of one training run share, so that their step is that of the joined batch.

W ranks hold B rows each of a batch of W * B, rank 0 the first. Every rank's loss is scaled so that
the mean of the ranks' gradients, which is what data-parallel training takes, is the gradient of
the joined batch. Alone (W = 1) nothing here communicates or copies.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Ranks:
    """One of `world` ranks, over the default process group."""

    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world:
            raise ValueError(f"a rank lies in 0..{self.world - 1}, not {self.rank}")

    def rows(self, total: int) -> slice:
        """Return which rows of a joined batch are this rank's.

        Raises:
            ValueError: they cannot be divided equally.
        """
        if total % self.world:
            raise ValueError(f"{total} rows cannot be divided equally over {self.world} ranks")
        own = total // self.world
        return slice(self.rank * own, (self.rank + 1) * own)

    def uniform(self, draws: int, own: int, generator: torch.Generator) -> Tensor:
        """Draw float (draws, own) in [0, 1): this rank's columns of what one rank would draw."""
        drawn = torch.rand(draws, own * self.world, generator=generator, device=generator.device)
        return drawn[:, self.rows(own * self.world)]

    def gathered(self, own: Tensor) -> Tensor:
        """Return (W * B, …) of all ranks' (B, …); no gradient."""
        return own.detach() if self.world == 1 else _all_gathered(own.detach(), self.world)

    def gathered_with_gradient(self, own: Tensor) -> Tensor:
        """The same; a rank's rows get the gradients that all ranks have for them."""
        if self.world == 1:
            return own
        return torch.as_tensor(_Gather.apply(own, self))  # type: ignore[no-untyped-call]

    def gathered_rows(self, own: Tensor, fill: int) -> Tensor:
        """Return (W * B, L) of (B, L'), filled up to the longest L' of all ranks; no gradient."""
        if self.world == 1:
            return own
        longest = torch.tensor(own.shape[1], device=own.device)
        dist.all_reduce(longest, dist.ReduceOp.MAX)
        wide = own.new_full((len(own), int(longest)), fill)
        wide[:, : own.shape[1]] = own
        return _all_gathered(wide, self.world)

    def share(self, count: Tensor) -> Tensor:
        """Return this rank's `count` over the mean count of all ranks.

        A mean over a rank's own places, times this, is its part of the mean over all places.
        """
        if self.world == 1:
            return torch.ones_like(count, dtype=torch.float32)
        total = count.detach().float().clone()
        dist.all_reduce(total)
        return count * self.world / total

    def mean(self, numbers: Tensor) -> Tensor:
        """Return the mean over ranks; no gradient."""
        if self.world == 1:
            return numbers.detach()
        total = numbers.detach().clone()
        dist.all_reduce(total)
        return total / self.world


ALONE = Ranks()


def _all_gathered(own: Tensor, world: int) -> Tensor:
    # Gloo gathers no booleans.
    sent = own.contiguous().to(torch.uint8) if own.dtype == torch.bool else own.contiguous()
    parts = [torch.empty_like(sent) for _ in range(world)]
    dist.all_gather(parts, sent)
    return torch.cat(parts).to(own.dtype)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        return _all_gathered(own, ranks.world)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total[ctx.ranks.rows(len(total))], None
