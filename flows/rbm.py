"""Vectors -> an RBM over whitened pairs, and the PMI of every pair."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from prefect import flow, unmapped

from flows.dispatch import finished, job_task, runner, shard_task
from flows.environment import this_machine
from flows.runs import run_name
from tasks import rbm as stage
from tasks.fitted import load_rbm
from tasks.pair_scores import score_pairs
from tasks.progress import track
from tasks.storage import Lake
from tasks.tracking import Tracker

score_shard = shard_task("pairs of {shard}")(score_pairs)


@job_task("fit {run}")
def fit(lake: Lake, run: str, vectors: str, batches: tuple[str, ...], how: stage.RbmFit) -> str:
    """Fit the machine to the end, or from its newest state on."""
    looks: Iterator[stage.RbmMetrics] = stage.fit_rbm(lake, run, vectors, batches, how)
    where = this_machine().mlflow_uri(lake)
    with Tracker(where, run, stage="rbm", parameters=asdict(how)) as tracker:
        for look in track(looks, run, how.updates // how.save_every):
            gap = look.free_energy_gap
            tracker.log({"free_energy": look.free_energy, "free_energy_gap": gap}, look.update)
        found = load_rbm(lake, run)
        numbers = {k: v for k, v in found.metrics.items() if not isinstance(v, bool)}
        tracker.log(numbers, how.updates)
    return run


@flow(name="rbm", task_runner=runner())
def rbm(
    vectors: str,
    batches: tuple[str, ...],
    ranked: str = "",
    how: stage.RbmFit | None = None,
    lake: str = "",
) -> dict[str, Any]:
    """Fit an RBM and score pairs with it.

    Args:
        vectors: the run of the vectors it is fitted on.
        batches: whose vectors.
        ranked: the run of the vectors it scores; empty means those it was fitted on.
        how: size, updates and sampling.
        lake: a folder or object-store prefix; empty means this machine's CAPLIFT_LAKE.

    Returns:
        The `run`, and the `metrics` of the machine on held-out rows.
    """
    opened = this_machine().open_lake(lake)
    settings = how or stage.RbmFit()
    run = run_name("rbm", settings, vectors, batches)
    fit(opened, run, vectors, batches, settings)
    scored = ranked or vectors
    shards = [one for batch in batches for one in opened.committed("embedding", scored, batch)]
    pairs = score_shard.map(unmapped(opened), unmapped(run), unmapped(scored), shards)
    finished(pairs, "shards ranked")
    return {"run": run, "metrics": load_rbm(opened, run).metrics}
