"""Looks at a machine in training: the numbers that MLflow and a person follow."""

import time
from dataclasses import dataclass

import torch

from models.rbm.annealing import bracketed
from models.rbm.monitor import mixing, progress
from models.rbm.training import Learner, Step
from tasks.rbm.likelihood import Yardstick, gemm_rate, judged, update_work
from tasks.rbm.preparing import Prepared
from tasks.rbm.settings import RbmFit

LOOKS_A_BRACKET = 4  # a look's annealing takes a quarter of the steps of the last one


@dataclass(frozen=True, slots=True)
class RbmLook:
    """The numbers after an update, by the names that MLflow has them under."""

    update: int
    numbers: dict[str, float]


class Looker:
    """Looks at a learner, on white rows that it learns from and on others.

    It draws nothing from the learner's generator, so looking changes no update.
    """

    def __init__(self, prepared: Prepared, how: RbmFit, learner: Learner) -> None:
        self.how = how
        self.dropped = prepared.counts["dropped_rows"]
        whiten = prepared.whitener.transform
        like = learner.chains
        self.train = whiten(prepared.train).to(like)
        self.validation = whiten(prepared.validation).to(like)
        self.gap_train = self.train[: len(self.validation)]
        self.yardstick = Yardstick(prepared.whitener, self.train, how.seed)
        self.over = self.yardstick.of(self.validation)
        self.batch_rows = min(how.batch_size, prepared.counts["training_rows"])
        self.gemm = gemm_rate(learner.machine, self.batch_rows)
        self.rows = self.updates = 0
        self.started = time.perf_counter()

    def count(self, step: Step) -> None:
        """Take note of an update."""
        self.rows += step.rows
        self.updates += 1

    def cheap(self, learner: Learner, step: Step) -> dict[str, float]:
        """Return what costs less than an update."""
        seconds = max(time.perf_counter() - self.started, 1e-9)
        chains = self.batch_rows if learner.how.method == "cd" else len(learner.chains)
        work = update_work(learner.machine, self.batch_rows, chains, learner.how.k)
        found = progress(learner.machine, self.gap_train, self.validation)
        found |= {
            "learning_rate": step.learning_rate,
            "grad_norm": step.grad_norm,
            "update_ratio": step.update_ratio,
            "samples_per_s": self.rows / seconds,
            "gemm_share": self.updates * work / seconds / self.gemm,
            "dropped_rows": float(self.dropped),
        }
        return found

    def worth(self, learner: Learner) -> dict[str, float]:
        """Return the likelihood of the held-out rows, and how the chains mix."""
        generator = torch.Generator(learner.chains.device)
        generator.manual_seed(self.how.seed * 1_000_003 + learner.updates)
        start = starts(learner, self.how.ais_chains)
        betas = max(self.how.ais_betas // LOOKS_A_BRACKET, 2)
        bracket = bracketed(learner.machine, start, generator, betas=betas)
        found = judged(learner.machine, self.validation, bracket, self.over)
        mixed = mixing(learner.machine, self.gap_train, generator, sweeps=learner.how.k)
        # The bracket has its own word on whether chains are in equilibrium.
        mixed["mixing_thermalised"] = mixed.pop("thermalised")
        return found | mixed

    def rested(self) -> None:
        """Begin to time anew, after looking."""
        self.rows = self.updates = 0
        self.started = time.perf_counter()


def starts(learner: Learner, count: int) -> torch.Tensor:
    """Return `count` states of the persistent chains, repeated where there are fewer."""
    return learner.chains[torch.arange(count) % len(learner.chains)]
