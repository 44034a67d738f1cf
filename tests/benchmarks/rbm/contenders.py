"""Who is timed and judged: our learner, scikit-learn's BernoulliRBM, and torch as one writes it.

All learn by PCD-1 or CD-1 in float32. B rows a batch and as many chains, V visible, H hidden units.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from sklearn.neural_network import BernoulliRBM
from torch import Tensor

from models.rbm.machine import RBM
from models.rbm.settings import Training
from models.rbm.training import Learner

Kind = Literal["bernoulli", "gaussian"]
# Tasks give rates of plain ascent, whose steps are as long as gradients; Adam's are what is told.
ADAMS = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What is learnt, and how much at once."""

    visible: Kind
    hidden: int
    batch: int
    method: Literal["cd", "pcd"]
    rate: float
    seed: int


class Contender(Protocol):
    """A machine that can sweep its chains, learn a batch, and be read."""

    def sweep(self, times: int) -> None: ...
    def learn(self, rows: Tensor, share: float) -> None: ...
    def machine(self) -> RBM: ...


class Ours:
    """`models.rbm`, with its own defaults but for what the task sets."""

    def __init__(self, rows: Tensor, task: Task) -> None:
        made = RBM(rows.shape[1], task.hidden, task.visible, dtype=torch.float32)
        rate = task.rate * (ADAMS if task.visible == "gaussian" else 1)
        how = Training.of(
            task.visible, method=task.method, k=1, chains=task.batch, learning_rate=rate
        )
        self.learner = Learner.begin(made, rows, how, task.seed)
        self.how = how
        self.walked = self.learner.chains

    def sweep(self, times: int) -> None:
        learner = self.learner
        self.walked = learner.machine.gibbs_step(self.walked, learner.generator, times)

    def learn(self, rows: Tensor, share: float) -> None:
        """`share` of the budget is gone: the rate falls with it."""
        rate = self.how.learning_rate * (1 - (1 - self.how.final_share) * share)
        self.learner.update(rows, rate)

    def machine(self) -> RBM:
        return self.learner.machine


class Sklearns:
    """PCD-1 alone, Bernoulli units alone, a constant rate."""

    def __init__(self, rows: Tensor, task: Task) -> None:
        self.model = BernoulliRBM(
            task.hidden, learning_rate=task.rate, batch_size=task.batch, random_state=task.seed
        )
        self.model.partial_fit(rows[: task.batch].numpy())
        self.walked = rows[: task.batch].numpy()

    def sweep(self, times: int) -> None:
        for _ in range(times):
            self.walked = self.model.gibbs(self.walked)

    def learn(self, rows: Tensor, share: float) -> None:  # noqa: ARG002
        self.model.partial_fit(rows.numpy())

    def machine(self) -> RBM:
        weight = torch.from_numpy(np.asarray(self.model.components_.T))
        made = RBM(weight.shape[0], weight.shape[1], "bernoulli", dtype=torch.float32)
        made.weight.copy_(weight)
        made.vbias.copy_(torch.from_numpy(self.model.intercept_visible_))
        made.hbias.copy_(torch.from_numpy(self.model.intercept_hidden_))
        return made


class Plain:
    """The update as a tutorial has it, at a constant rate."""

    def __init__(self, rows: Tensor, task: Task) -> None:
        generator = torch.Generator().manual_seed(task.seed)
        self.task = task
        self.weight = 0.01 * torch.randn(rows.shape[1], task.hidden, generator=generator)
        mean = rows.mean(0).clamp(1e-3, 1 - 1e-3)
        self.vbias = torch.log(mean / (1 - mean)) if task.visible == "bernoulli" else rows.mean(0)
        self.hbias = torch.zeros(task.hidden)
        self.chains = rows[: task.batch].clone()
        torch.manual_seed(task.seed)

    def up(self, visible: Tensor) -> Tensor:
        return torch.sigmoid(visible @ self.weight + self.hbias)

    def down(self, hidden: Tensor) -> Tensor:
        pull = hidden @ self.weight.T + self.vbias
        if self.task.visible == "gaussian":
            return pull + torch.randn_like(pull)
        return torch.bernoulli(torch.sigmoid(pull))

    def sweep(self, times: int) -> None:
        for _ in range(times):
            self.chains = self.down(torch.bernoulli(self.up(self.chains)))

    def learn(self, rows: Tensor, share: float) -> None:  # noqa: ARG002
        ours = self.up(rows)
        start = ours if self.task.method == "cd" else self.up(self.chains)
        self.chains = self.down(torch.bernoulli(start))
        theirs = self.up(self.chains)
        rate = self.task.rate
        self.weight += rate * (rows.T @ ours / len(rows) - self.chains.T @ theirs / len(theirs))
        self.vbias += rate * (rows.mean(0) - self.chains.mean(0))
        self.hbias += rate * (ours.mean(0) - theirs.mean(0))

    def machine(self) -> RBM:
        visible, hidden = self.weight.shape
        made = RBM(visible, hidden, self.task.visible, dtype=torch.float32)
        made.weight.copy_(self.weight)
        made.vbias.copy_(self.vbias)
        made.hbias.copy_(self.hbias)
        return made


def contenders(task: Task) -> dict[str, type[Ours] | type[Sklearns] | type[Plain]]:
    """Return who can do this task at all."""
    sklearns = task.visible == "bernoulli" and task.method == "pcd"
    return {"caplift": Ours, **({"sklearn": Sklearns} if sklearns else {}), "torch, plain": Plain}
