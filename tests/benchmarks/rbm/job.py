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
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.rbm.machine import RBM
from models.rbm.settings import Training
from models.rbm.training import Learner

# With as few chains as a tiny batch has rows, they all sit in the same mode.
FEWEST_CHAINS = 100
WARMING = 2
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
    machine = RBM(rows.shape[1], job["n_hidden"], job["visible"], dtype=torch.float32)
    how = Training.of(
        job["visible"],
        method=job["method"],
        k=job["k"],
        chains=max(job["batch_size"], FEWEST_CHAINS),
        learning_rate=job["learning_rate"],
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
    told = {"updates": learner.updates, "samples": learner.updates * size, **spent(*began)}
    return told, parameters(machine)


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
