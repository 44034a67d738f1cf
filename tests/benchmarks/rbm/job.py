"""Our side of a peers' harness: one job in JSON, parameters out as .npz, a line of JSON at the end.

`python tests/benchmarks/rbm/job.py JOB`. The job names `mode` (train or gibbs), `train` (.npy),
`visible`, `n_hidden`, `batch_size`, `k`, `method`, `learning_rate`, `seed`, `threads`,
`max_updates`, `max_seconds`, `out`, and for gibbs `init` (.npz with W, vbias, hbias, sigma2),
`chains` and `sweeps`.
"""

import json
import sys
import time
from copy import deepcopy
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from models.rbm.annealing import log_z_ais
from models.rbm.machine import RBM
from models.rbm.partition import log_z_exact
from models.rbm.settings import Training
from models.rbm.training import Learner

# With as few chains as a tiny batch has rows, they all sit in the same mode.
FEWEST_CHAINS = 100
WARMING = 2
# Jobs give rates of plain ascent, whose steps are as long as gradients; Adam's are what is told.
ADAMS = 0.25
FIRST_LOOK, JUDGED, EXACT_HIDDEN = 250, 1000, 16
Told = tuple[dict[str, Any], dict[str, np.ndarray]]


def sampled(job: dict[str, Any]) -> Told:
    """Run sweeps of a given machine."""
    given = {
        name: torch.from_numpy(np.asarray(value)) for name, value in np.load(job["init"]).items()
    }
    machine = RBM(len(given["vbias"]), len(given["hbias"]), job["visible"], dtype=torch.float32)
    machine.weight.copy_(given["W"])
    machine.vbias.copy_(given["vbias"])
    machine.hbias.copy_(given["hbias"])
    if job["visible"] == "gaussian":
        machine.log_var.copy_(torch.log(given["sigma2"]))
    generator = torch.Generator().manual_seed(job["seed"])
    rows = machine.gibbs_step(machine.sample(job["chains"], generator, WARMING), generator, WARMING)
    began = time.process_time(), time.perf_counter()
    rows = machine.gibbs_step(rows, generator, job["sweeps"])
    return {"sweeps": job["sweeps"], "chains": job["chains"], **spent(*began)}, {"v": rows.numpy()}


def trained(job: dict[str, Any]) -> Told:
    """Fit by our defaults of this kind, but for what the job sets."""
    rows = torch.from_numpy(np.load(job["train"]))
    rows, looker = (rows, None) if job["visible"] != "gaussian" else Looker.beside(rows)
    machine = RBM(rows.shape[1], job["n_hidden"], job["visible"], dtype=torch.float32)
    how = Training.of(
        job["visible"],
        method=job["method"],
        k=job["k"],
        chains=max(job["batch_size"], FEWEST_CHAINS),
        learning_rate=job["learning_rate"] * (ADAMS if job["visible"] == "gaussian" else 1),
    )
    # The first updates of a process fetch memory and tables: they are another machine's.
    spared = Learner.begin(deepcopy(machine), rows, how, job["seed"])
    for _ in range(WARMING):
        spared.update(rows[: job["batch_size"]], how.learning_rate)
    learner = Learner.begin(machine, rows, how, job["seed"])
    most, limit_s = job["max_updates"] or float("inf"), job["max_seconds"] or float("inf")
    began = time.process_time(), time.perf_counter()
    share, size = 0.0, job["batch_size"]
    while share < 1:
        at = torch.randint(len(rows), (size,), generator=learner.generator)
        learner.update(rows[at], how.learning_rate * (1 - (1 - how.final_share) * share))
        share = max(learner.updates / most, (time.process_time() - began[0]) / limit_s)
        if looker is not None:
            looker.look(learner, last=share >= 1)
    told = {"updates": learner.updates, "samples": learner.updates * size, **spent(*began)}
    return told, parameters(machine if looker is None else looker.best or machine)


class Looker:
    """Keeps the likeliest machine on the way, as our fits do: CD-1 unlearns what it has learnt.

    Args:
        rows: held out, by which machines are judged.
    """

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows
        self.best: RBM | None = None
        self.highest, self.due = -float("inf"), FIRST_LOOK

    @classmethod
    def beside(cls, rows: Tensor) -> tuple[Tensor, Self]:
        """Split a tenth of the rows off, at most `JUDGED`; return the others too."""
        held = min(len(rows) // 10, JUDGED)
        mixed = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(held))]
        return mixed[held:], cls(mixed[:held])

    def look(self, learner: Learner, *, last: bool) -> None:
        """Judge the machine where a look is due; the last one only where there were others."""
        if learner.updates < self.due and not (last and self.best):
            return
        self.due = learner.updates + max(FIRST_LOOK, learner.updates // 4)
        machine = deepcopy(learner.machine).double()
        if machine.n_hidden <= EXACT_HIDDEN:
            log_z = log_z_exact(machine)
        else:
            log_z = log_z_ais(machine, torch.Generator().manual_seed(0), chains=64, betas=200).value
        likelihood = float(machine.log_likelihood(self.rows.double(), log_z).mean())
        if likelihood > self.highest:
            self.highest, self.best = likelihood, deepcopy(learner.machine)


def parameters(machine: RBM) -> dict[str, np.ndarray]:
    named: dict[str, Tensor] = {"W": machine.weight, "vbias": machine.vbias, "hbias": machine.hbias}
    if machine.visible == "gaussian":
        named["sigma2"] = torch.exp(machine.log_var)
    return {name: value.detach().numpy() for name, value in named.items()}


def spent(cpu: float, wall: float) -> dict[str, float]:
    return {"cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall}


def main(path: str) -> None:
    job = json.loads(Path(path).read_text())
    torch.set_num_threads(job["threads"])
    told, arrays = sampled(job) if job["mode"] == "gibbs" else trained(job)
    np.savez(job["out"], **arrays)  # type: ignore[arg-type]  # names are free
    print(json.dumps(told))  # noqa: T201  # the protocol's last line


if __name__ == "__main__":
    main(sys.argv[1])
