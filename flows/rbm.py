"""Vectors -> an RBM over whitened pairs, its place in the registry, and the PMI of every pair."""

from dataclasses import asdict
from typing import Any

from prefect import flow, unmapped

from flows.dispatch import finished, job_task, runner, shard_task
from flows.environment import revision, this_machine
from flows.registration import register
from flows.runs import run_name
from tasks.contenders import rbm_candidate
from tasks.fitted import fit_path, load_rbm
from tasks.pair_scores import score_pairs
from tasks.progress import track
from tasks.rbm.fitting import fit_rbm
from tasks.rbm.settings import RbmFit
from tasks.samples import selection_digest
from tasks.storage import Lake
from tasks.tracking import Tracker
from tasks.vectors import open_vectors

score_shard = shard_task("pairs of {shard}")(score_pairs)


@job_task("fit {run}")
def fit(lake: Lake, run: str, vectors: str, batches: tuple[str, ...], how: RbmFit) -> str:
    """Fit the machine to the end, or from its newest state on."""
    machine = this_machine()
    looks = fit_rbm(lake, run, vectors, batches, how, machine.device)
    with Tracker(machine.mlflow_uri(lake), run, stage="rbm", parameters=asdict(how)) as tracker:
        for look in track(looks, run, how.looks):
            tracker.log(look.numbers, look.update)
        found = load_rbm(lake, run)
        tracker.log({f"final_{name}": float(value) for name, value in found.metrics.items()})
        drawn = lake.names(fit_path(run, "plots"), ".svg")
        tracker.log_texts(
            {
                f"plots/{name}.svg": lake.read_bytes(fit_path(run, f"plots/{name}.svg")).decode()
                for name in drawn
            }
        )
    return run


@flow(name="rbm", task_runner=runner())
def rbm(  # what, on what, how and where
    vectors: str,
    batches: tuple[str, ...],
    ranked: str = "",
    how: RbmFit | None = None,
    registered: bool = True,
    lake: str = "",
) -> dict[str, Any]:
    """Fit an RBM, register it beside the champion, and score pairs with it.

    Vectors that are new make a new machine; the same vectors and settings find the one there is.

    Args:
        vectors: the run of the vectors it is fitted on.
        batches: whose vectors.
        ranked: the run of the vectors it scores; empty means those it was fitted on.
        how: size, updates and sampling.
        registered: compare it with the champion on held-out pairs, and register it.
        lake: a folder or object-store prefix; empty means this machine's CAPLIFT_LAKE.

    Returns:
        The `run`, the `metrics` of the machine on held-out rows, and its version and alias under
        `registered`, which is empty when it was not.
    """
    opened = this_machine().open_lake(lake)
    settings = how or RbmFit()
    digest = open_vectors(opened, vectors, batches).digest
    run = run_name("rbm", settings, vectors, batches, digest)
    fit(opened, run, vectors, batches, settings)
    alias = _registered(opened, run, vectors, batches) if registered else ""
    scored = ranked or vectors
    shards = [one for batch in batches for one in opened.committed("embedding", scored, batch)]
    pairs = score_shard.map(unmapped(opened), unmapped(run), unmapped(scored), shards)
    finished(pairs, "shards ranked")
    return {"run": run, "metrics": load_rbm(opened, run).metrics, "registered": alias}


def _registered(lake: Lake, run: str, vectors: str, batches: tuple[str, ...]) -> str:
    """Register the machine with what its vectors are of."""
    found = [
        lake.commit_of("embedding", vectors, shard).versions
        for batch in batches
        for shard in lake.committed("embedding", vectors, batch)
    ]
    parents = sorted({one["model"] for one in found if one.get("model")})
    chosen = sorted({one["selection"] for one in found if one.get("selection")})
    kept = {name: selection_digest(lake, name) for name in chosen}
    lineage = {"revision": revision(), "batches": list(batches)}
    candidate = rbm_candidate(lake, f"rbms/{run}", ", ".join(parents), kept, lineage)
    return register(lake, candidate)
