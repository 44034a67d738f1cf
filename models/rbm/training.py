"""A machine in training: an update at a time, its whole state saved and restored bit for bit.

Tieleman (2008) for persistent chains. `partial_fit` screens a batch and follows the schedule of its
settings; `update` is the bare step.
"""

import logging
import math
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
from torch import Tensor

from models.rbm.gradient import Offsets, Phase, gradients
from models.rbm.machine import RBM
from models.rbm.memory import Seen, restore, state_of
from models.rbm.monitor import trouble_of
from models.rbm.rows import constant_columns, screened
from models.rbm.sampling import Chains, walk
from models.rbm.settings import Training
from models.rbm.starting import LOG_VAR_RANGE
from models.rbm.steps import Steps

VARIANCE_RATE = 0.1  # the variances learn slower: their gradient is the noisiest
ACTIVITY_RATE = 0.05
CLIP_NORM = 10.0
MOST_DROPPED = 0.01

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """What one `partial_fit` did.

    Attributes:
        update: how many were taken, this one included.
        learning_rate: of this one.
        grad_norm: before clipping.
        update_ratio: the norm of W's change over W's norm; healthy is about 1e-3.
        rows: learnt from.
        dropped: rows left out for values that are not finite.
    """

    update: int
    learning_rate: float
    grad_norm: float
    update_ratio: float
    rows: int
    dropped: int


class Learner:
    """A machine with everything that its training goes on from.

    Args:
        machine: what is trained.
        chains: (M, V), where the model's chains start.
        generator: of all draws; on the machine's device.
        how: the settings.
    """

    def __init__(
        self, machine: RBM, chains: Tensor, generator: torch.Generator, how: Training
    ) -> None:
        self.machine, self.generator, self.how = machine, generator, how
        temperatures = how.temperatures if how.method == "pt" else 1
        base = machine.vbias.detach().clone()
        self.walkers = Chains(chains.to(machine.weight), base, temperatures)
        self.steps = Steps(how.optimiser, how.momentum)
        self.offsets = Offsets()
        self.activity: Tensor | None = None
        # Columns that never vary: their variances would fall for ever.
        self.still = torch.zeros(machine.n_visible, dtype=torch.bool, device=machine.weight.device)
        self.updates = 0
        self.seen = Seen()
        self._last_change = 0.0

    @classmethod
    @torch.no_grad()
    def begin(cls, machine: RBM, rows: Tensor, how: Training, seed: int = 0) -> Self:
        """Start a machine and its chains from data.

        Args:
            machine: of the rows' kind and width; its parameters are overwritten.
            rows: (N, V), as many as tell the columns' means and spreads.
            how: the settings.
            seed: of the start and of all later draws.

        Raises:
            ValueError: no machine of this kind can learn from these rows.
        """
        generator = torch.Generator(machine.weight.device).manual_seed(seed)
        rows = screened(
            rows,
            machine.visible,
            machine.n_visible,
            categories=machine.categories,
            on_bad=how.on_bad,
            like=machine.weight,
        ).rows
        still = constant_columns(rows)
        if bool(still.all()):
            raise ValueError("all columns are constant: nothing can be learnt")
        machine.initialise(rows, generator)
        at = torch.randint(len(rows), (how.chains,), generator=generator, device=generator.device)
        start = rows[at] if machine.visible != "bernoulli" else (rows[at] > 0.5).to(rows)
        learner = cls(machine, start, generator, how)
        if bool(still.any()):
            names = torch.nonzero(still).flatten().tolist()
            log.info("%d columns never vary and keep variance 1: %s", len(names), names[:20])
        if machine.visible == "bernoulli" and bool(((rows != 0) & (rows != 1)).any()):
            log.info("values between 0 and 1 are taken as probabilities")
        learner.still = still
        if how.method != "cd":
            learner.walkers.begin(machine, generator)
        return learner

    @property
    def chains(self) -> Tensor:
        """(M, V), the persistent chains of the machine itself."""
        return self.walkers.coldest

    def partial_fit(self, rows: Tensor) -> Step:
        """Learn from a batch (N, V) of any length, at the rate the schedule has reached.

        Raises:
            ValueError: rows no machine of this kind can learn from, or, of those left out under
                `on_bad="drop"`, more than one in a hundred of all rows so far.
        """
        machine = self.machine
        good = screened(
            rows,
            machine.visible,
            machine.n_visible,
            categories=machine.categories,
            on_bad=self.how.on_bad,
            like=machine.weight,
        )
        self.seen.rows += len(rows)
        self.seen.dropped += len(good.dropped)
        if self.seen.dropped > max(1, MOST_DROPPED * self.seen.rows):
            raise ValueError(
                f"{self.seen.dropped} of {self.seen.rows} rows so far hold NaN or infinite values, "
                f"more than 1 in 100 (lately row {good.dropped[:5]}): mend the export"
            )
        rate = self.how.rate_at(self.updates)
        norm = self._step(good.rows, rate)
        size = float(torch.linalg.vector_norm(machine.weight))
        ratio = self._last_change / size if size else math.inf
        return Step(self.updates, rate, norm, ratio, len(good.rows), len(good.dropped))

    def update(self, rows: Tensor, learning_rate: float) -> float:
        """Take one step on rows (N, V) and return the gradient's norm before clipping.

        Parameters stay as they are when the norm is not finite, or the step is longer than the
        machine's dtype can say, when infinity is returned.

        Raises:
            ValueError: there are no rows, or values no machine of this kind can learn from.
        """
        machine = self.machine
        good = screened(
            rows,
            machine.visible,
            machine.n_visible,
            categories=machine.categories,
            like=machine.weight,
        )
        return self._step(good.rows, learning_rate)

    def trouble(self, norm: float) -> str:
        """Say what shows that training went wrong, or nothing; `norm` is the last gradient's."""
        if math.isinf(self._last_change):
            return f"a step too long for {self.machine.weight.dtype}"
        return trouble_of(self.machine, self.chains, norm)

    @torch.no_grad()
    def _step(self, rows: Tensor, rate: float) -> float:
        machine, how = self.machine, self.how
        pull = machine.pull_on_hidden(rows)
        if how.method == "cd":
            mean, start = machine.hiddens.mean_and_draw_(pull, self.generator)
            visible, ends = walk(machine, start, self.generator, how.k)
            theirs = Phase(visible, machine.hiddens.mean_(ends))
        else:
            mean = machine.hiddens.mean_(pull)
            theirs = Phase(*self.walkers.advance(machine, self.generator, how.k))
        ours = Phase(rows, mean)
        offsets = self.offsets.follow(ours) if how.centring else None
        found = gradients(machine, ours, theirs, offsets=offsets, variances=how.learn_variance)
        if "log_var" in found:
            found["log_var"].masked_fill_(self.still, 0.0)
        self._regularise(found, ours)
        norm = math.hypot(*(float(torch.linalg.vector_norm(g)) for g in found.values()))
        if not math.isfinite(norm):
            return norm
        if not self._move(found, min(1.0, CLIP_NORM / norm) if norm else 1.0, rate):
            return math.inf
        self.updates += 1
        if machine.visible == "gaussian":
            machine.log_var.clamp_(*LOG_VAR_RANGE)
        return norm

    def _move(self, found: dict[str, Tensor], clip: float, rate: float) -> bool:
        """Step along the gradients, unless a step is longer than the dtype can say."""
        machine = self.machine
        moves: list[tuple[Tensor, Tensor, float]] = []
        lengths: dict[str, float] = {}
        for name, gradient in found.items():
            if clip < 1:
                gradient.mul_(clip)
            direction, scale = self.steps.direction(name, gradient, self.updates + 1)
            own_rate = scale * (rate * VARIANCE_RATE if name == "log_var" else rate)
            lengths[name] = own_rate * float(torch.linalg.vector_norm(direction))
            moves.append((getattr(machine, name), direction, own_rate))
        longest = torch.finfo(machine.weight.dtype).max
        rates = [own_rate for _, _, own_rate in moves]
        if not all(size <= longest for size in (*lengths.values(), *rates)):
            self._last_change = math.inf
            return False
        self._last_change = lengths["weight"]
        for parameter, direction, own_rate in moves:
            parameter.add_(direction, alpha=own_rate)
        return True

    def _regularise(self, found: dict[str, Tensor], ours: Phase) -> None:
        how = self.how
        if how.weight_decay:
            found["weight"].add_(self.machine.weight, alpha=-how.weight_decay)
        if how.sparsity_cost:
            mean = ours.mean_hidden
            held = mean if self.activity is None else self.activity
            self.activity = torch.lerp(held, mean, ACTIVITY_RATE)
            # Only the biases, as Lee, Ekanadham and Ng (2008): weights stay the data's.
            found["hbias"] = found["hbias"] + how.sparsity_cost * (
                how.sparsity_target - self.activity
            )

    def card(self) -> dict[str, Any]:
        """Say in JSON's types what the tensors of `state()` belong to."""
        return {
            "architecture": self.machine.architecture(),
            "training": asdict(self.how),
            "updates": self.updates,
            "rows": self.seen.rows,
            "dropped": self.seen.dropped,
            "exchange_rounds": self.walkers.rounds,
            "device": self.generator.device.type,
        }

    def state(self) -> dict[str, Tensor]:
        """Return every tensor that training goes on from; `restore` takes it back."""
        return state_of(self)

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from `state()`, bit for bit, on the machine's device.

        Raises:
            ValueError: the state is another machine's, of another dtype, or not whole; nothing is
                changed then.
        """
        restore(self, state)

    @classmethod
    def resume(cls, state: dict[str, Tensor], card: dict[str, Any], device: str = "cpu") -> Self:
        """Rebuild the learner that `state()` and `card()` told of, and go on bit for bit.

        Raises:
            ValueError: it was saved on another kind of device, whose draws differ.
        """
        if torch.device(device).type != card["device"]:
            raise ValueError(
                f"this training was begun on {card['device']} and its draws cannot go on on "
                f"{device}; resume it there"
            )
        machine = RBM.of(card["architecture"]).to(device)
        how = Training(**card["training"])
        learner = cls(machine, machine.vbias.expand(1, -1), torch.Generator(device), how)
        learner.restore(state)
        return learner
