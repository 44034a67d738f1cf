"""A fitted RBM over pairs: how much image and text of each say of each other (PMI)."""

import logging
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from models.rbm.gaussian import pointwise_mutual_information
from models.rbm.pmi import joint_machine
from tasks import rows
from tasks.errors import ModelError
from tasks.fitted import FittedRbm, load_rbm
from tasks.storage import Commit, Lake, Shard
from tasks.vectors import pairs_of

log = logging.getLogger(__name__)

STAGE = "rbm"
SCORED_AT_ONCE = 2048
LARGEST = torch.finfo(torch.float32).max  # what a column of scores holds


def score_pairs(lake: Lake, run: str, vector_run: str, shard: Shard) -> Commit:
    """Write PMI and free energy of every pair of a shard that has vectors.

    They are null where a vector holds NaN or infinite values, or such as make scores infinite.

    Raises:
        LakeError: the shard has no vectors.
        ModelError: the machine is missing, or was fitted on another model's vectors.
    """
    if lake.is_committed(STAGE, run, shard):
        return lake.commit_of(STAGE, run, shard)
    started = time.monotonic()
    table = rows.read_rows(lake, lake.rows("vectors", vector_run, shard))
    fitted = load_rbm(lake, run)
    _refuse_other_model(lake, fitted, vector_run, shard)
    scored = [
        {"batch": shard.batch, "shard": shard.name, "run": run, "model": run, **row}
        for row in _scored(fitted, table)
    ]
    path = lake.rows("scores", run, shard)
    rows.write_rows(lake, path, rows.table_of(scored, rows.SCORES))
    seconds = time.monotonic() - started
    counts = {"pairs": len(scored), "unscored": sum(row["rbm_pmi"] is None for row in scored)}
    log.info("%s %s: %d pairs, %d unscored, in %.1f s", STAGE, shard, *counts.values(), seconds)
    return lake.commit(STAGE, run, shard, files=[path], rows=counts, seconds=seconds)


def _refuse_other_model(lake: Lake, fitted: FittedRbm, vector_run: str, shard: Shard) -> None:
    """See that the vectors are of the model whose vectors it was fitted on, if both say so."""
    if not lake.is_committed("embedding", vector_run, shard):
        return
    theirs = lake.commit_of("embedding", vector_run, shard).versions.get("model", "")
    if fitted.is_strange_to(theirs):
        raise ModelError(
            f"the RBM {fitted.run} was fitted on vectors of {', '.join(fitted.embedded_by)} and "
            f"those of {vector_run} are of {theirs}; score vectors of the same model, or fit anew"
        )


def _scored(fitted: FittedRbm, table: Any) -> Iterator[dict[str, Any]]:
    names = zip(table["caption_id"].to_pylist(), table["key"].to_pylist(), strict=True)
    for (caption_id, key), scores in zip(names, scored_pairs(fitted, pairs_of(table)), strict=True):
        # NaN is beyond it too.
        told = {n: value if abs(value) <= LARGEST else None for n, value in scores.items()}
        yield {"caption_id": caption_id, "key": key, **told}


def scored_pairs(fitted: FittedRbm, pairs: Tensor) -> Iterator[dict[str, float]]:
    """Yield `rbm_pmi`, `gaussian_pmi` and `free_energy` of each row, in nats.

    Args:
        fitted: the machine.
        pairs: (N, 2 E), image and text vectors side by side.

    Raises:
        ModelError: the machine was fitted on vectors of another width.
    """
    if len(pairs) and pairs.shape[1] != len(fitted.whitener.mean):
        raise ModelError(
            f"the RBM {fitted.run} reads {len(fitted.whitener.mean)} columns, these vectors have "
            f"{pairs.shape[1]}; score the vectors it was fitted on, or fit it again"
        )
    whitener = fitted.whitener
    joint = joint_machine(fitted.machine, whitener, fitted.metrics["log_z"])
    for piece in torch.split(pairs, SCORED_AT_ONCE):
        cut = whitener.project(piece)
        columns = (
            joint.pointwise_mutual_information(cut),
            pointwise_mutual_information(cut, whitener.covariance, whitener.split),
            fitted.machine.free_energy(cut @ whitener.mix),
        )
        for pmi, gaussian, energy in zip(*(c.tolist() for c in columns), strict=True):
            yield {"rbm_pmi": pmi, "gaussian_pmi": gaussian, "free_energy": energy}
