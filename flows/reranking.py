"""Cached candidates -> the first choice of every picture, with what each score added to it."""

from dataclasses import asdict, replace
from typing import Any

from prefect import flow, unmapped

from flows.dispatch import finished, job_task, runner, shard_task
from flows.environment import this_machine
from flows.runs import exact, run_name
from tasks.reranking import stage
from tasks.reranking.validation import validate_weights

rerank_shard = shard_task("rank the candidates of {shard}")(stage.rerank_shard)
find_weights = job_task("weights for {batch}")(validate_weights)


@flow(name="reranking", task_runner=runner())
def reranking(
    batch: str,
    how: stage.Reranking,
    judge: str = "",
    lake: str = "",
) -> dict[str, Any]:
    """Rank every picture's candidates of a batch.

    Args:
        batch: a batch that was captioned and scored.
        how: the runs of candidates and scores, and weights for when there is no judge.
        judge: address of a model that took no part; it finds the weights on half of the pictures.
        lake: a folder or object-store prefix; empty means this machine's CAPLIFT_LAKE.

    Returns:
        The `run`: its rows are in scores/<run>, a selection names it as rerank_run. And the
        `counts` of pictures, candidates and changed captions, and the `weights`.
    """
    machine = this_machine()
    opened = machine.open_lake(lake)
    facts: dict[str, Any] = {}
    if judge:
        facts = find_weights(opened, batch, how, exact(opened, judge), machine.device)
        how = replace(how, weights=stage.Weights(**facts["weights"]))
    run = run_name("reranking", how)
    shards = opened.planned(batch)
    futures = rerank_shard.map(unmapped(opened), unmapped(run), shards, unmapped(how))
    commits = finished(futures, f"shards of {batch} ranked")
    counts = stage.publish_card(opened, run, batch, how, facts, commits)
    weights = asdict(how.weights)
    return {"run": run, "counts": counts, "weights": weights}
