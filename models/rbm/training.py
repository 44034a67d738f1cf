"""How an RBM learns: persistent or plain contrastive divergence, with Adam or plain ascent.

Tieleman (2008) for the persistent chains; the model's offsets are the data's (Melchior, Fischer
and Wiskott, JMLR 17:99, 2016) for Bernoulli visibles. Both phases are divided by their own number
of rows, so a short batch weighs what it should.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from models.rbm.machine import RBM

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
LOG_VAR_RANGE = (-5.0, 3.0)
VARIANCE_RATE = 0.1  # the variances learn slower: their gradient is the noisiest
OFFSET_RATE = 0.01
CLIP_NORM = 10.0
HARDLY = 1e-3  # a hidden unit this rarely active, on every chain, is off
NAMES = ("weight", "vbias", "hbias", "log_var")


@dataclass(slots=True)
class Learner:
    """A machine in training, with everything that a resumed run needs.

    Attributes:
        machine: what is trained.
        chains: (M, V), the persistent chains; CD starts from the data instead.
        generator: of all draws.
        k: Gibbs sweeps an update.
        persistent: PCD when true, CD otherwise.
        weight_decay: on W only.
        learn_variance: false keeps sigma at its start.
        optimiser: Adam for Gaussian visibles; plain ascent for Bernoulli ones, where Adam's equal
            steps drive persistent chains apart (Bars-and-Stripes: -4 nats instead of -2.7).
        updates: taken so far.
    """

    machine: RBM
    chains: Tensor
    generator: torch.Generator
    k: int = 5
    persistent: bool = True
    weight_decay: float = 1e-4
    learn_variance: bool = True
    optimiser: Literal["adam", "sgd"] = "adam"
    updates: int = 0
    offset_v: Tensor | None = None
    offset_h: Tensor | None = None
    first: dict[str, Tensor] = field(default_factory=dict)
    second: dict[str, Tensor] = field(default_factory=dict)

    def update(self, rows: Tensor, learning_rate: float) -> float:
        """Take one step on rows (N, V) and return the gradient's norm before clipping.

        Raises:
            ValueError: there are no rows, or values no machine of this kind can learn from.
        """
        machine = self.machine
        machine.refuse_unfit(rows)
        start = self.chains if self.persistent else rows
        sampled = machine.gibbs_step(start.to(machine.weight.dtype), self.generator, self.k)
        if self.persistent:
            self.chains = sampled
        gradients = self._gradients(rows.to(machine.weight.dtype), sampled)
        norm = float(
            torch.sqrt(sum((g.square().sum() for g in gradients.values()), torch.zeros(())))
        )
        scale = min(1.0, CLIP_NORM / norm) if norm > 0 else 1.0
        self.updates += 1
        for name, gradient in gradients.items():
            rate = learning_rate * (VARIANCE_RATE if name == "log_var" else 1.0)
            if self.optimiser == "adam":
                self._adam(name, gradient * scale, rate)
            else:
                getattr(machine, name).add_(gradient * scale, alpha=rate)
        if machine.visible == "gaussian":
            machine.log_var.clamp_(*LOG_VAR_RANGE)
        return norm

    def _gradients(self, rows: Tensor, sampled: Tensor) -> dict[str, Tensor]:
        """Ascent directions of the log-likelihood: data's statistics less the model's."""
        machine = self.machine
        ours, theirs = machine.transform(rows), machine.transform(sampled)
        precision = machine.precision()
        if machine.visible == "bernoulli":
            offset_v, offset_h = self._offsets(rows, ours)
            weight = _outer(rows - offset_v, ours - offset_h)
            weight -= _outer(sampled - offset_v, theirs - offset_h)
            hidden = ours.mean(0) - theirs.mean(0)
            visible = rows.mean(0) - sampled.mean(0)
            return {
                "weight": weight - self.weight_decay * machine.weight,
                "vbias": visible - weight @ offset_h,
                "hbias": hidden - weight.T @ offset_v,
            }
        data_outer, model_outer = _outer(rows, ours), _outer(sampled, theirs)
        gradients = {
            "weight": precision[:, None] * (data_outer - model_outer)
            - self.weight_decay * machine.weight,
            "vbias": precision * (rows.mean(0) - sampled.mean(0)),
            "hbias": ours.mean(0) - theirs.mean(0),
        }
        if self.learn_variance:
            gradients["log_var"] = self._variance_statistic(
                rows, data_outer
            ) - self._variance_statistic(sampled, model_outer)
        return gradients

    def _variance_statistic(self, rows: Tensor, outer: Tensor) -> Tensor:
        # sum over rows of v_i (W h)_i is (W * (v' h))_i. summed over hiddens: no further product.
        machine = self.machine
        squares = (rows - machine.vbias).square().mean(0) / 2
        return machine.precision() * (squares - (machine.weight * outer).sum(1))

    def _offsets(self, rows: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        if self.offset_v is None or self.offset_h is None:
            self.offset_v, self.offset_h = rows.mean(0), hidden.mean(0)
        self.offset_v = torch.lerp(self.offset_v, rows.mean(0), OFFSET_RATE)
        self.offset_h = torch.lerp(self.offset_h, hidden.mean(0), OFFSET_RATE)
        return self.offset_v, self.offset_h

    def _adam(self, name: str, gradient: Tensor, rate: float) -> None:
        first = self.first.setdefault(name, torch.zeros_like(gradient))
        second = self.second.setdefault(name, torch.zeros_like(gradient))
        first.lerp_(gradient, 1 - BETA1)
        second.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
        step = first / (1 - BETA1**self.updates)
        spread = torch.sqrt(second / (1 - BETA2**self.updates)) + EPSILON
        getattr(self.machine, name).add_(rate * step / spread)

    def trouble(self, norm: float) -> str:
        """Say what shows that training went wrong, or nothing; `norm` is the last gradient's."""
        machine = self.machine
        if not math.isfinite(norm):
            return f"gradient norm {norm:g}"
        if not all(bool(torch.isfinite(getattr(machine, name)).all()) for name in NAMES):
            return "parameters that are not finite"
        stuck = int(
            ((machine.log_var <= LOG_VAR_RANGE[0]) | (machine.log_var >= LOG_VAR_RANGE[1])).sum()
        )
        if stuck:
            return f"{stuck} of {machine.n_visible} variances at the end of their range"
        active = machine.transform(self.chains)
        if float(active.max()) < HARDLY:
            return "all hidden units off"
        return "all hidden units on" if float(active.min()) > 1 - HARDLY else ""

    def state(self) -> dict[str, Tensor]:
        """Return every tensor that training goes on from; `restore` takes it back."""
        state = {f"machine.{name}": getattr(self.machine, name).detach() for name in NAMES}
        state |= {f"first.{name}": value for name, value in self.first.items()}
        state |= {f"second.{name}": value for name, value in self.second.items()}
        state["chains"] = self.chains
        state["generator"] = self.generator.get_state()
        state["updates"] = torch.tensor(self.updates)
        if self.offset_v is not None and self.offset_h is not None:
            state |= {"offset_v": self.offset_v, "offset_h": self.offset_h}
        return {name: value.clone().contiguous() for name, value in state.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from `state()`, bit for bit."""
        for name in NAMES:
            getattr(self.machine, name).copy_(state[f"machine.{name}"])
        self.first = {n: state[f"first.{n}"] for n in NAMES if f"first.{n}" in state}
        self.second = {n: state[f"second.{n}"] for n in NAMES if f"second.{n}" in state}
        self.chains = state["chains"]
        self.generator.set_state(state["generator"])
        self.updates = int(state["updates"])
        self.offset_v, self.offset_h = state.get("offset_v"), state.get("offset_h")


def _outer(rows: Tensor, hidden: Tensor) -> Tensor:
    """Mean over rows of v h', (V, H)."""
    return rows.T @ hidden / len(rows)
