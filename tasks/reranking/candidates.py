"""The cached candidates of pictures, and what was said of each: the terms a re-ranking mixes.

N pictures, C places, T terms. A captioner's runs hold the candidates, the runs of a filter and of
an RBM their scores; they meet by caption_id, so nothing is decoded or scored again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tasks import rows
from tasks.errors import LakeError
from tasks.storage import Lake, Shard

TERMS = ("lm", "itm", "itc", "pmi")
# What tells one kind of run from another.
SCORED = ("itm_probability", "itc_cosine", "rbm_pmi", "rerank_score")
# Stored probabilities are float32: at 0 or 1 the logit would be infinite.
SMALLEST_PROBABILITY = 1e-7


@dataclass(frozen=True, slots=True)
class Candidates:
    """What pictures can be captioned with.

    Attributes:
        keys: N pictures, in the order of their first candidate.
        rows: N lists of caption rows, run by run, then by index.
        terms: double (T, N, C), in the order of TERMS: log-probability a token, logit of the ITM
            probability, ITC cosine, RBM PMI; NaN where it is not known or there is no candidate.
    """

    keys: list[str]
    rows: list[list[dict[str, Any]]]
    terms: Tensor

    @property
    def present(self) -> Tensor:
        """Bool (N, C): there is a candidate."""
        counts = torch.tensor([len(own) for own in self.rows], dtype=torch.int64)
        return torch.arange(self.terms.shape[2]) < counts[:, None]


def read_candidates(
    lake: Lake,
    shards: Sequence[Shard],
    caption_runs: Sequence[str],
    score_run: str,
    rbm_run: str = "",
) -> Candidates:
    """Read the candidates of whole shards.

    Args:
        lake: where everything lies.
        shards: whose pictures.
        caption_runs: captioners' runs.
        score_run: the filter's scores of them.
        rbm_run: the RBM's; empty leaves PMI unknown.

    Raises:
        LakeError: a run lacks a shard or holds other scores, a candidate has no score in a run, or
            an infinite one.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for shard in shards:
        for caption in _captions(lake, shard, caption_runs, score_run, rbm_run):
            found.setdefault(caption["key"], []).append(caption)
    places = max((len(own) for own in found.values()), default=0)
    terms = torch.full((len(TERMS), len(found), places), torch.nan, dtype=torch.float64)
    for picture, own in enumerate(found.values()):
        for place, caption in enumerate(own):
            terms[:, picture, place] = torch.tensor(_terms(caption), dtype=torch.float64)
    _refuse_infinite(terms, shards)
    return Candidates(list(found), list(found.values()), terms)


def _terms(caption: Mapping[str, Any]) -> list[float]:
    probability, logit = caption["itm_probability"], torch.nan
    if probability is not None:
        kept = min(max(probability, SMALLEST_PROBABILITY), 1 - SMALLEST_PROBABILITY)
        logit = float(torch.logit(torch.tensor(kept, dtype=torch.float64)))
    mean = caption["lm_logprob"] / caption["n_tokens"]
    others = (caption["itc_cosine"], caption["rbm_pmi"])
    return [mean, logit, *(torch.nan if value is None else value for value in others)]


def _refuse_infinite(terms: Tensor, shards: Sequence[Shard]) -> None:
    counts = torch.isinf(terms).sum((1, 2)).tolist()
    told = [f"{count} of {name}" for name, count in zip(TERMS, counts, strict=True) if count]
    if told:
        raise LakeError(
            f"scores of {', '.join(map(str, shards))} are infinite ({', '.join(told)}), beside "
            "which no other one of a picture would count; score again as another run"
        )


def _captions(
    lake: Lake, shard: Shard, caption_runs: Sequence[str], score_run: str, rbm_run: str
) -> list[dict[str, Any]]:
    columns = ["caption_id", "key", "text", "run", "index", "model", "lm_logprob", "n_tokens"]
    captions = [
        row
        for run in caption_runs
        for row in rows.read_rows(lake, lake.rows("captions", run, shard), columns).to_pylist()
    ]
    uncounted = sum(row["lm_logprob"] is None or not row["n_tokens"] for row in captions)
    if uncounted:
        raise LakeError(
            f"{uncounted} of {len(captions)} candidates of shard {shard} have no log-probability a "
            "token; they were found, or written by an older version: caption again as another run"
        )
    judged = _by_caption(lake, shard, score_run, ("itm_probability", "itc_cosine"), captions)
    ranked = _by_caption(lake, shard, rbm_run, ("rbm_pmi",), captions)
    return [row | judged[row["caption_id"]] | ranked[row["caption_id"]] for row in captions]


def _by_caption(
    lake: Lake,
    shard: Shard,
    run: str,
    names: Sequence[str],
    captions: Sequence[Mapping[str, Any]],
) -> dict[str, dict[str, Any]]:
    """Return caption_id -> what a run says of it; nothing is known when no run is named."""
    if not run:
        return {row["caption_id"]: dict.fromkeys(names) for row in captions}
    told = rows.read_rows(lake, lake.rows("scores", run, shard), ["caption_id", *SCORED])
    held = {name for name in SCORED if told[name].null_count < len(told)}
    if held and held.isdisjoint(names):
        raise LakeError(
            f"run {run} holds {', '.join(sorted(held))} of shard {shard} and no "
            f"{' or '.join(names)}; name the run that scored them"
        )
    known = {row["caption_id"]: {name: row[name] for name in names} for row in told.to_pylist()}
    missing = sum(row["caption_id"] not in known for row in captions)
    if missing:
        raise LakeError(
            f"{missing} of {len(captions)} candidates of shard {shard} have no score in run {run}; "
            "score these caption runs with it, then rank again"
        )
    return known
