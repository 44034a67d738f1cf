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
from models.rbm.machine import LOG_VAR_RANGE, RBM
from models.rbm.monitor import trouble_of
from models.rbm.rows import constant_columns, screened
from models.rbm.sampling import Chains, walk
from models.rbm.settings import Training
from models.rbm.steps import Steps

VARIANCE_RATE = 0.1  # the variances learn slower: their gradient is the noisiest
ACTIVITY_RATE = 0.05
CLIP_NORM = 10.0
MOST_DROPPED = 0.01
NAMES = ("weight", "vbias", "hbias", "log_var")

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


@dataclass(slots=True)
class Seen:
    """How many rows were offered and left out so far."""

    rows: int = 0
    dropped: int = 0


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
        ).rows.to(machine.weight)
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
        )
        self.seen.rows += len(rows)
        self.seen.dropped += len(good.dropped)
        if self.seen.dropped > max(1, MOST_DROPPED * self.seen.rows):
            raise ValueError(
                f"{self.seen.dropped} of {self.seen.rows} rows so far hold NaN or infinite values, "
                f"more than 1 in 100 (lately row {good.dropped[:5]}): mend the export"
            )
        rate = self.how.rate_at(self.updates)
        norm = self._step(good.rows.to(machine.weight), rate)
        size = float(torch.linalg.vector_norm(machine.weight))
        ratio = self._last_change / size if size else math.inf
        return Step(self.updates, rate, norm, ratio, len(good.rows), len(good.dropped))

    def update(self, rows: Tensor, learning_rate: float) -> float:
        """Take one step on rows (N, V) and return the gradient's norm before clipping.

        Parameters stay as they are when the norm is not finite.

        Raises:
            ValueError: there are no rows, or values no machine of this kind can learn from.
        """
        machine = self.machine
        good = screened(rows, machine.visible, machine.n_visible, categories=machine.categories)
        return self._step(good.rows.to(machine.weight), learning_rate)

    def trouble(self, norm: float) -> str:
        """Say what shows that training went wrong, or nothing; `norm` is the last gradient's."""
        return trouble_of(self.machine, self.chains, norm)

    def _step(self, rows: Tensor, rate: float) -> float:
        machine, how = self.machine, self.how
        pull = machine.pull_on_hidden(rows)
        if how.method == "cd":
            mean, start = machine.hiddens.mean_and_draw_(pull, self.generator)
            visible, pulled = walk(machine, start, self.generator, how.k)
            theirs = Phase(visible, machine.hiddens.mean_(pulled.add_(machine.hbias)))
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
        self.updates += 1
        for name, gradient in found.items():
            if norm > CLIP_NORM:
                gradient.mul_(CLIP_NORM / norm)
            own_rate = rate * VARIANCE_RATE if name == "log_var" else rate
            taken = self.steps.take(getattr(machine, name), name, gradient, own_rate, self.updates)
            if name == "weight":
                self._last_change = own_rate * float(torch.linalg.vector_norm(taken))
        if machine.visible == "gaussian":
            machine.log_var.clamp_(*LOG_VAR_RANGE)
        return norm

    def _regularise(self, found: dict[str, Tensor], ours: Phase) -> None:
        how = self.how
        if how.weight_decay:
            found["weight"].add_(self.machine.weight, alpha=-how.weight_decay)
        if how.sparsity_cost:
            mean = ours.hidden.mean(0)
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
        state = {f"machine.{name}": getattr(self.machine, name).detach() for name in NAMES}
        state |= {f"first.{name}": value for name, value in self.steps.first.items()}
        state |= {f"second.{name}": value for name, value in self.steps.second.items()}
        state["chains"] = self.walkers.visible
        state["still"] = self.still
        state["base"] = self.walkers.base
        state["exchanges"] = self.walkers.exchanges
        state["generator"] = self.generator.get_state()
        state["counts"] = torch.tensor(
            [self.updates, self.seen.rows, self.seen.dropped, self.walkers.rounds]
        )
        known = {
            "hidden": self.walkers.hidden,
            "offset_v": self.offsets.visible,
            "offset_h": self.offsets.hidden,
            "activity": self.activity,
        }
        state |= {name: value for name, value in known.items() if value is not None}
        return {name: value.clone().contiguous() for name, value in state.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from `state()`, bit for bit.

        Raises:
            ValueError: the state is another machine's.
        """
        for name in NAMES:
            own, saved = getattr(self.machine, name), state[f"machine.{name}"]
            if own.shape != saved.shape:
                raise ValueError(
                    f"the saved {name} is {tuple(saved.shape)}, this machine's {tuple(own.shape)}: "
                    "the state is of another machine"
                )
            own.copy_(saved)
        copies = {name: value.clone() for name, value in state.items()}
        self.steps.first = {n: copies[f"first.{n}"] for n in NAMES if f"first.{n}" in state}
        self.steps.second = {n: copies[f"second.{n}"] for n in NAMES if f"second.{n}" in state}
        self.walkers.visible, self.walkers.hidden = copies["chains"], copies.get("hidden")
        self.walkers.base = copies["base"]
        self.walkers.exchanges, self.still = copies["exchanges"], copies["still"]
        self.generator.set_state(copies["generator"])
        self.updates, rows, dropped, self.walkers.rounds = copies["counts"].tolist()
        self.seen = Seen(rows, dropped)
        self.offsets = Offsets(copies.get("offset_v"), copies.get("offset_h"))
        self.activity = copies.get("activity")

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
