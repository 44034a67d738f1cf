"""The processes that train one model together, as `torchrun` starts them; alone without it.

`ddp` copies the model to every rank and averages gradients; `fsdp` divides the weights, their
gradients and the optimiser's state (FSDP2). Either way the step is that of the joined batch, so a
run may be resumed on any number of ranks whose batches come out even.
"""

import atexit
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from models.answering import Answerer
from models.blip import Blip
from models.momentum import Momentum
from models.ranks import ALONE, Ranks
from models.text_layers import Mlp
from models.vision import Block
from tasks.commands import OURS
from tasks.errors import InputError, ModelError

STYLES = ("ddp", "fsdp")
# Of a `Batch`, or of whatever else the learner's `encode` makes.
Losses = Callable[[Any, int, torch.Generator], dict[str, Tensor]]


@dataclass(frozen=True, slots=True)
class Team:
    """One rank of a run: who it is and where it computes."""

    ranks: Ranks = ALONE
    device: str = "cpu"

    @property
    def leads(self) -> bool:
        """Whether this rank is the one that writes and speaks."""
        return self.ranks.rank == 0

    def micro_batch(self, batch_size: int, parts: int) -> int:
        """Return how many pairs all ranks read at once.

        Raises:
            InputError: a step's pairs cannot be divided equally over parts and ranks.
        """
        shares = parts * self.ranks.world
        if batch_size % shares:
            near = max(batch_size // shares, 1) * shares
            raise InputError(
                f"batch_size {batch_size} cannot be divided equally over {self.ranks.world} ranks "
                f"x {parts} accumulated parts; take {near} or {near + shares}, or another number "
                "of ranks"
            )
        return batch_size // parts

    def copied(self, model: Blip | Answerer, losses: Losses, *, trains_all: bool) -> Losses:
        """Let every rank train a copy of the model, with the mean of all gradients.

        Args:
            model: with the weights to begin with.
            losses: of a batch.
            trains_all: the losses reach every weight.

        Returns:
            The losses, to be called once a backward pass.
        """
        if self.ranks.world == 1:
            return losses
        recipe = _Recipe(model, losses)
        return DistributedDataParallel(recipe, find_unused_parameters=not trains_all)

    def divided(self, model: Blip | Answerer, losses: Losses, momentum: Momentum | None) -> Losses:
        """Divide the model's weights, and its slow copy's, over the ranks; returns as `copied`."""
        if self.ranks.world == 1:
            return losses
        recipe = _Recipe(model, losses)
        _divide_parts(model)
        # FSDP divides no single number.
        fully_shard(recipe, ignored_params={p for p in model.parameters() if p.ndim == 0})
        if momentum is not None:
            _divide_parts(momentum)
            # It has no backward pass, after which FSDP would put weights back by itself.
            fully_shard(momentum, reshard_after_forward=True)
            register_fsdp_forward_method(momentum, "embed")
        return recipe

    def clipped(self, model: nn.Module, limit: float) -> Tensor:
        """Bring all gradients to a norm of at most `limit`; return the norm they had, float ().

        What each rank has whole, and so not averaged yet, is averaged first.
        """
        parameters = [p for p in model.parameters() if p.grad is not None]
        if not any(isinstance(p, DTensor) for p in parameters):
            return nn.utils.clip_grad_norm_(parameters, limit)
        squares = []
        for parameter in parameters:
            gradient = parameter.grad
            assert gradient is not None
            if not isinstance(gradient, DTensor):
                gradient.copy_(self.ranks.mean(gradient))
            own = _local(gradient).float().square().sum()
            squares.append(own if isinstance(gradient, DTensor) else own / self.ranks.world)
        total = torch.stack(squares).sum()
        dist.all_reduce(total)
        norm = total.sqrt()
        scale = (limit / (norm + 1e-6)).clamp(max=1.0)
        for parameter in parameters:
            assert parameter.grad is not None
            _local(parameter.grad).mul_(scale)
        return norm

    def whole(self, model: Blip | Answerer) -> Blip | Answerer:
        """Return the model with all its weights, to be used by one rank; called by all."""
        weights = gathered(model.state_dict())
        if not any(isinstance(p, DTensor) for p in model.parameters()):
            return model
        copied = type(model)(model.shape, model.vocab_size)
        copied.load_state_dict(weights)
        return copied

    def wait(self) -> None:
        """Wait until all ranks are here."""
        if self.ranks.world > 1:
            dist.barrier()


def gathered(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors whole that are divided over ranks; called by all of them."""
    return {
        name: value.full_tensor() if isinstance(value, DTensor) else value
        for name, value in state.items()
    }


def divided_like(whole: Tensor, parameter: Tensor) -> Tensor:
    """Return a whole tensor divided as a parameter is; a scalar stays whole."""
    if isinstance(parameter, DTensor) and whole.shape == parameter.shape:
        return distribute_tensor(whole, parameter.device_mesh, parameter.placements)
    return whole


def team_of(device: str) -> Team:
    """Join the ranks that `torchrun` has started; the first call joins, later ones look.

    Raises:
        ModelError: the ranks do not find each other.
    """
    if not dist.is_torchelastic_launched():
        return Team(device=device)
    if not dist.is_initialized():
        _join()
    ranks = Ranks(dist.get_rank(), dist.get_world_size())
    if ranks.rank:
        for name in OURS:
            logging.getLogger(name).setLevel(logging.WARNING)
    return Team(ranks, f"cuda:{dist.get_node_local_rank()}" if device == "cuda" else device)


def _join() -> None:
    try:
        dist.init_process_group()
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"torchrun started this process, but its ranks do not find each other ({reason}); "
            "check that every machine reaches --rdzv-endpoint"
        ) from error
    atexit.register(dist.destroy_process_group)


class _Recipe(nn.Module):
    """A model with its losses as `forward`, which is where both kinds of wrapper hook in."""

    def __init__(self, model: Blip | Answerer, losses: Losses) -> None:
        super().__init__()
        self.model = model
        self._losses = losses

    def forward(self, batch: Any, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        return self._losses(batch, step, generator)


def _divide_parts(model: nn.Module) -> None:
    """Divide what is used by one call each: a transformer block, a text layer's MLP."""
    for part in model.modules():
        if isinstance(part, Block | Mlp):
            fully_shard(part)
        if isinstance(part, Block):
            register_fsdp_forward_method(part, "first")


def _local(tensor: Tensor) -> Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
