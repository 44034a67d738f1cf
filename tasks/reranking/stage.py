"""Re-ranking: of each picture's cached candidates, which is the best caption, and why.

A candidate's score is a weighted sum of what the captioner, the filter and the RBM say of it, each
as a z-score among the candidates of its picture. The weights are given, or chosen on one half of
the pictures: those under which most captions find their own picture, as a judge sees it that took
no part in writing or scoring. Each part of the sum is a column of `scores/<run>`, so why a
caption won is a query; a selection that names the run keeps the first choice.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from models.reranking import parts, places
from tasks import rows
from tasks.bounds import shares
from tasks.errors import InputError
from tasks.jobs import check_name
from tasks.progress import track
from tasks.reranking.candidates import TERMS, read_candidates
from tasks.storage import Commit, Lake, Shard

log = logging.getLogger(__name__)

STAGE = "reranking"


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """How much each term counts; only their proportions matter.

    Attributes:
        lm: log-probability a token under the captioner.
        itm: logit of the filter's matching probability.
        itc: cosine of the filter's two embeddings.
        pmi: pointwise mutual information under the RBM.
    """

    lm: float = 0.0
    itm: float = 0.5
    itc: float = 0.5
    pmi: float = 0.0

    def __post_init__(self) -> None:
        shares(self, *TERMS)
        if not any(asdict(self).values()):
            raise InputError("all weights are 0, so no candidate is better than another")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reranking:
    """Which candidates are ranked, and by what.

    Attributes:
        caption_runs: the captioners' runs that hold the candidates, one or more.
        score_run: a filter's scores of them.
        rbm_run: an RBM's scores of them; needed when `pmi` counts.
        weights: of the terms.
    """

    caption_runs: tuple[str, ...]
    score_run: str
    rbm_run: str = ""
    weights: Weights = field(default_factory=Weights)

    def __post_init__(self) -> None:
        for name in (*self.caption_runs, self.score_run, *([self.rbm_run] if self.rbm_run else ())):
            check_name("run", name)
        if not self.caption_runs or len(set(self.caption_runs)) != len(self.caption_runs):
            raise InputError("caption_runs names one run of candidates or more, each once")
        if self.weights.pmi and not self.rbm_run:
            raise InputError("the weight of pmi is above 0: name the RBM's scores in rbm_run")


def rerank_shard(lake: Lake, run: str, shard: Shard, how: Reranking) -> Commit:
    """Rank every picture's candidates; nothing happens when that is done.

    A candidate that lacks a score which counts has no place, and is counted.

    Raises:
        LakeError: a run lacks the shard, or a candidate has no score in a run.
    """
    if lake.is_committed(STAGE, run, shard):
        return lake.commit_of(STAGE, run, shard)
    started = time.monotonic()
    found = read_candidates(lake, [shard], how.caption_runs, how.score_run, how.rbm_run)
    weights = torch.tensor([getattr(how.weights, name) for name in TERMS], dtype=torch.float64)
    added = parts(found.terms, weights / weights.sum())
    scores = added.sum(dim=0)
    placed = places(scores)
    ranked = [
        _row(shard, run, caption, added[:, picture, place], int(placed[picture, place]))
        for picture, own in enumerate(found.rows)
        for place, caption in enumerate(own)
    ]
    path = lake.rows("scores", run, shard)
    rows.write_rows(lake, path, rows.table_of(ranked, rows.SCORES))
    counts = {
        "pictures": len(found.keys),
        "candidates": len(ranked),
        "unplaced": sum(row.get("rerank_place") is None for row in ranked),
        "changed": int((placed[:, 1:] == 1).sum()),
    }
    seconds = time.monotonic() - started
    said = ", ".join(f"{number} {name}" for name, number in counts.items())
    log.info("%s %s: %s in %.1f s", STAGE, shard, said, seconds)
    return lake.commit(STAGE, run, shard, files=[path], rows=counts, seconds=seconds)


def _row(
    shard: Shard, run: str, caption: dict[str, Any], added: torch.Tensor, place: int
) -> dict[str, Any]:
    named = {name: caption[name] for name in ("caption_id", "key")}
    row = {**named, "batch": shard.batch, "shard": shard.name, "run": run}
    told = {
        f"{term}_part": None if value != value else value
        for term, value in zip(TERMS, added.tolist(), strict=True)
    }
    if not place:
        return row | told
    return row | told | {"rerank_score": float(added.sum()), "rerank_place": place}


def rerank(lake: Lake, run: str, batch: str, how: Reranking, facts: dict[str, Any]) -> None:
    """Rank a whole batch and publish the run's card.

    Raises:
        LakeError: as `rerank_shard`.
    """
    shards = lake.planned(batch)
    commits = [rerank_shard(lake, run, s, how) for s in track(shards, run, len(shards))]
    publish_card(lake, run, batch, how, facts, commits)


def publish_card(  # a card says these six things
    lake: Lake,
    run: str,
    batch: str,
    how: Reranking,
    facts: dict[str, Any],
    commits: Sequence[Commit],
) -> dict[str, int]:
    """Publish by which weights a batch was ranked, why by those, and how many were ranked.

    Args:
        lake: where everything lies.
        run: the re-ranking's name.
        batch: what was ranked.
        how: the settings, weights among them.
        facts: of the validation; empty where weights were given.
        commits: of the batch's shards.

    Returns:
        The counts of all shards together.
    """
    names = ("pictures", "candidates", "unplaced", "changed")
    counts = {name: sum(commit.rows[name] for commit in commits) for name in names}
    card = {"run": run, "batch": batch, "how": asdict(how), "counts": counts, "validation": facts}
    lake.publish_json(f"rerankings/{run}/{batch}.json", card)
    log.info(
        "%s: %d of %d pictures get another caption than their first candidate",
        run,
        counts["changed"],
        counts["pictures"],
    )
    return counts
