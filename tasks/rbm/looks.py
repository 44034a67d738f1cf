"""Looks at a machine in training: the numbers that MLflow and a person follow."""

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from models.rbm.annealing import bracketed
from models.rbm.monitor import mixing, progress
from models.rbm.training import Learner, Step
from tasks.rbm.likelihood import Yardstick, gemm_rate, judged, update_work
from tasks.rbm.preparing import Prepared
from tasks.rbm.settings import RbmFit
from tasks.rbm.traces import autocorrelation, energy_traces, mixing_time

LOOKS_A_BRACKET = 4  # a look's annealing takes a quarter of the steps of the last one
# Of the histogram of the hidden units' mean activities. Tenths would tell nothing: most units are
# seldom active.
EDGES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.7, 0.9, 0.99, 0.999)
# MLflow shows numbers with one prefix together.
BINS = tuple(
    f"activity_share/{low:g}-{high:g}" for low, high in zip((0, *EDGES), (*EDGES, 1), strict=True)
)
TRACED_CHAINS, TRACED_SWEEPS = 64, 50


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
        found |= histogram(learner.machine.transform(self.validation).mean(0))
        return found | swap_rates(learner)

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
        begun = starts(learner, min(TRACED_CHAINS, len(learner.chains)))
        traces = energy_traces(learner.machine, begun, generator, TRACED_SWEEPS)
        correlations = autocorrelation(traces)
        # Between the chains' states at one update and at the next.
        mixed["mixing_autocorrelation"] = float(
            correlations[min(learner.how.k, len(correlations) - 1)]
        )
        mixed["mixing_time_sweeps"] = mixing_time(correlations)
        return found | mixed

    def rested(self) -> None:
        """Begin to time anew, after looking."""
        self.rows = self.updates = 0
        self.started = time.perf_counter()


def histogram(active: Tensor) -> dict[str, float]:
    """Return the share of hidden units in each bin of EDGES, for mean activities (H,)."""
    edges = torch.tensor(EDGES, dtype=active.dtype, device=active.device)
    counts = torch.bincount(torch.bucketize(active, edges, right=True), minlength=len(EDGES) + 1)
    shares = (counts / len(active)).tolist()
    return dict(zip(BINS, shares, strict=True))


def swap_rates(learner: Learner) -> dict[str, float]:
    """Return how often neighbouring temperatures exchange states; nothing but under "pt"."""
    taken = learner.walkers.exchanges
    if not len(taken):
        return {}
    return {"swap_rate_min": float(taken.min()), "swap_rate_mean": float(taken.mean())}


def starts(learner: Learner, count: int) -> torch.Tensor:
    """Return `count` states of the persistent chains, repeated where there are fewer."""
    return learner.chains[torch.arange(count) % len(learner.chains)]
