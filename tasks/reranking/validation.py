"""The weights of a re-ranking, chosen on one half of the pictures and reported on the other.

What they are chosen for is self-retrieval: how near the top a caption finds its own picture among
a hundred others, to a judge that neither wrote nor scored the candidates. A judge that had a hand
in the scores would only repeat them.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.ranking import ranks, recall_at
from models.reranking import chosen, first_choice, parts, validated
from models.self_retrieval import distractors, self_standing, shared_captions
from tasks import rows
from tasks.checkpoints import LoadedModel
from tasks.errors import InputError
from tasks.evaluation.retrieval import embed_pictures, embed_texts
from tasks.fitted import rbm_path
from tasks.inference import shared_model
from tasks.pictures import Picture, shard_pictures
from tasks.reranking.candidates import TERMS, Candidates, read_candidates
from tasks.reranking.stage import Reranking
from tasks.storage import Lake, Shard
from tasks.vectors import embedded_by, held_out, weights_of

log = logging.getLogger(__name__)

MOST_PICTURES = 4000
HALF = 0.5
BATCH_SIZE = 64
MAX_LENGTH = 35


@dataclass(frozen=True, slots=True)
class Found:
    """How well each candidate finds its picture, both double (N, C), 0 where there is none.

    Attributes:
        hit: the probability that the picture comes first.
        reciprocal: one over its rank.
    """

    hit: Tensor
    reciprocal: Tensor


def validate_weights(
    lake: Lake, batch: str, how: Reranking, judge_uri: str, device: str = "cpu"
) -> dict[str, Any]:
    """Choose weights on half of a batch's pictures, at most 4,000 of them.

    Returns:
        JSON: the `weights`, the `judge`, how many pictures were `left_out` for want of a score, and
        for both halves the share of captions that find their picture first when chosen so, taken
        first, drawn at random, and at best.

    Raises:
        InputError: the judge took part in the scoring, or there are too few pictures.
        LakeError: a run lacks a shard or a score.
        ModelError: the judge is missing or damaged.
    """
    shards = _first_shards(lake, batch)
    runs = (how.caption_runs, how.score_run, how.rbm_run)
    candidates = read_candidates(lake, shards, *runs)
    loaded = shared_model(lake, judge_uri, device, "filter")
    refuse_participant(lake, loaded.name, shards, how)
    stored = {p.key: p for shard in shards for p in shard_pictures(lake, shard)}
    pictures = [stored[key] for key in candidates.keys]
    try:
        found = judged(lake, loaded, pictures, candidates, human_texts(lake, shards))
    except ValueError as error:
        raise InputError(f"batch {batch} cannot tell weights: {error}") from error
    used = [place for place, name in enumerate(TERMS) if name != "pmi" or how.rbm_run]
    terms = candidates.terms[used]
    # Only pictures with a candidate that every term knows can say what a term is worth.
    known = (~torch.isnan(terms)).all(dim=0).any(dim=1)
    validation = held_out(candidates.keys, HALF) & known
    reported = ~held_out(candidates.keys, HALF) & known
    if not bool(validation.any() and reported.any()):
        raise InputError(
            f"batch {batch} cannot tell weights: {int(known.sum())} of {len(known)} pictures have "
            "a candidate with every score; score them again"
        )
    best = validated(terms[:, validation], found.reciprocal[validation])
    weights = dict.fromkeys(TERMS, 0.0)
    weights |= {TERMS[u]: w for u, w in zip(used, best.weights.tolist(), strict=True)}
    told = ", ".join(f"{name} {value:.1f}" for name, value in weights.items())
    log.info("weights by %s on %d pictures: %s", loaded.name, int(validation.sum()), told)
    # As `rerank_shard` places them: a term that counts nothing need not be known.
    mixed = parts(terms, best.weights).sum(dim=0)
    return {
        "judge": loaded.name,
        "weights": weights,
        "left_out": int((~known).sum()),
        "validation": _halves(candidates, found.hit, mixed, validation),
        "test": _halves(candidates, found.hit, mixed, reported),
    }


def judged(
    lake: Lake,
    loaded: LoadedModel,
    pictures: Sequence[Picture],
    candidates: Candidates,
    human: dict[str, list[str]],
) -> Found:
    """Let a judge look for every candidate's picture among a hundred others.

    Args:
        lake: where the tars are.
        loaded: the judge.
        pictures: N, those of the candidates.
        candidates: what is judged.
        human: captions by picture; pictures that share one are never held against each other.

    Raises:
        ValueError: there are too few pictures.
    """
    images = embed_pictures(lake, loaded, pictures, BATCH_SIZE)
    texts = {row["text"]: 0 for own in candidates.rows for row in own}
    texts = {text: place for place, text in enumerate(texts)}
    vectors = embed_texts(loaded, list(texts), BATCH_SIZE, MAX_LENGTH)
    captions = torch.zeros(*candidates.present.shape, vectors.shape[1])
    for picture, own in enumerate(candidates.rows):
        captions[picture, : len(own)] = vectors[[texts[row["text"]] for row in own]]
    alike = shared_captions([human.get(picture.key, ()) for picture in pictures])
    others = distractors(images, alike, torch.Generator().manual_seed(0))
    standing = self_standing(images, captions, others)
    shape, absent = candidates.present.shape, ~candidates.present
    return Found(
        recall_at(standing, 1).reshape(shape).masked_fill(absent, 0.0),
        (1 / ranks(standing)).reshape(shape).masked_fill(absent, 0.0),
    )


def refuse_participant(lake: Lake, judge: str, shards: Sequence[Shard], how: Reranking) -> None:
    """See that the judge neither wrote nor scored, nor made the vectors of the RBM.

    Raises:
        InputError: it did.
    """
    runs = [("captions", run) for run in how.caption_runs] + [("scores", how.score_run)]
    took_part = {
        name
        for table, run in runs
        for shard in shards
        for name in rows.read_rows(lake, lake.rows(table, run, shard), ["model"])["model"].unique()
    }
    names = {str(name) for name in took_part}
    if how.rbm_run:
        vectors = lake.read_json(rbm_path(how.rbm_run, "rbm.json"))["vectors"]
        names |= set(embedded_by(lake, vectors, lake.folders(f"commits/embedding/{vectors}")))
    if not weights_of([judge]).isdisjoint(weights_of(names)):
        raise InputError(
            f"the judge {judge} took part in writing or scoring the candidates; name a model that "
            "did not, or give weights"
        )


def _first_shards(lake: Lake, batch: str) -> list[Shard]:
    found, pictures = [], 0
    for shard in lake.planned(batch):
        found.append(shard)
        pictures += len(shard_pictures(lake, shard))
        if pictures >= MOST_PICTURES:
            break
    return found


def human_texts(lake: Lake, shards: Sequence[Shard]) -> dict[str, list[str]]:
    """Return what people said of each picture, by key; pictures nobody described are left out."""
    found: dict[str, list[str]] = {}
    for shard in shards:
        path = lake.rows("captions", "ingestion", shard)
        for row in rows.read_rows(lake, path, ["key", "text", "source"]).to_pylist():
            if row["source"] == rows.TextSource.HUMAN:
                found.setdefault(row["key"], []).append(row["text"])
    return found


def _halves(
    candidates: Candidates, hit: Tensor, mixed: Tensor, which: Tensor
) -> dict[str, float | int]:
    own, present = hit[which], candidates.present[which]
    return {
        "pictures": int(which.sum()),
        "chosen": float(chosen(own, first_choice(mixed[which])).mean()),
        "first": float(own[:, 0].mean()),
        "random": float((own.sum(dim=1) / present.sum(dim=1)).mean()),
        "best": float(own.amax(dim=1).mean()),
    }
