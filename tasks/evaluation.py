"""What a model is worth on pictures with human captions that it was never trained on.

Captions it writes against the humans' (BLEU-4, ROUGE-L, CIDEr-D), retrieval both ways (R@1, 5, 10,
by embedding and re-ranked by the matching head), and whether its own captions find their picture.
Every score has its interval and stands beside what chance and the most alike training picture
reach. One row an image is kept, so two models are compared picture by picture.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from models.captioner import Caption, generate
from models.decoding import Decoding
from models.matcher import MAX_LENGTH
from tasks import rows
from tasks.baselines import baseline_measures, training_pictures
from tasks.bounds import at_least
from tasks.checkpoints import LoadedModel
from tasks.errors import LakeError
from tasks.evaluated import EvaluationReport, compare, is_evaluated, read_report, write_report
from tasks.inference import over_pictures, shared_model
from tasks.leakage import leakage, selections_of
from tasks.metrics.bootstrap import Estimate, Measure, estimate
from tasks.metrics.captions import caption_measures
from tasks.metrics.diversity import diversity
from tasks.metrics.tokens import Words, words, words_of_all
from tasks.pictures import Picture, shard_pictures
from tasks.retrieval import (
    Gallery,
    chance_measures,
    embed_pictures,
    embed_texts,
    gallery_of,
    match_pairs,
    recall_measures,
    reranked,
    shortlist,
)
from tasks.samples import key_number
from tasks.storage import Lake

__all__ = ["Evaluation", "EvaluationReport", "compare", "evaluate", "read_report"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """What is measured, and how surely.

    Attributes:
        decoding: how captions are written; BLIP's evaluation takes three beams.
        rerank_k: how many of each row the matching head reads; BLIP takes 256 of COCO's 5,000.
        bootstrap: resamples of the images behind every interval.
        seed: of the resamples and of the captions drawn by chance.
        max_images: the first so many by key, which is random; 0 takes all.
        batch_size: pictures on the device at once; has no influence on any score.
        max_length: most tokens of a text in retrieval.
        neighbours: selections whose pictures the nearest-neighbour captions come from; empty takes
            those the model was trained on.
    """

    decoding: Decoding = field(
        default_factory=lambda: Decoding(method="beam", beams=3, repetition_penalty=1.0)
    )
    rerank_k: int = 16
    bootstrap: int = 1000
    seed: int = 0
    max_images: int = 0
    batch_size: int = 64
    max_length: int = MAX_LENGTH
    neighbours: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        at_least(1, self, "rerank_k", "bootstrap", "batch_size")
        at_least(0, self, "max_images")
        at_least(3, self, "max_length")


@dataclass(frozen=True, slots=True)
class _Task:
    """What every part of one evaluation needs."""

    lake: Lake
    loaded: LoadedModel
    gallery: Gallery
    references: list[list[Words]]
    how: Evaluation


def evaluate(
    lake: Lake,
    run: str,
    model_uri: str,
    batch: str = "evaluation",
    how: Evaluation | None = None,
    device: str = "cpu",
) -> EvaluationReport:
    """Evaluate a model; a run that is there already, of the same weights, is read instead.

    Raises:
        LakeError: the batch has no pictures with captions.
        ModelError: the model is missing or damaged.
    """
    started = time.monotonic()
    how = how or Evaluation()
    loaded = shared_model(lake, model_uri, device)
    # By name too: the address may be an alias that has moved since.
    if is_evaluated(lake, run) and (done := read_report(lake, run)).model == loaded.name:
        return done
    gallery = evaluation_gallery(lake, batch, how.max_images)
    references = [words_of_all([gallery.texts[u] for u in own]) for own in gallery.captions]
    task = _Task(lake, loaded, gallery, references, how)
    written = _written(task)
    measures = caption_measures([words(one.text) for one in written], references)
    measures |= _retrieval_measures(task, written)
    baselines, neighbours = _baselines(task)
    keys = [picture.key for picture in gallery.pictures]
    report = EvaluationReport(
        run=run,
        model=loaded.name,
        batch=batch,
        images=len(keys),
        texts=sum(len(own) for own in gallery.captions),
        scores=_estimates(measures, how),
        baselines={kind: _estimates(own, how) for kind, own in baselines.items()},
        diversity=asdict(diversity([words(one.text) for one in written])),
        leakage=asdict(leakage(lake, batch, keys, selections_of(loaded.facts))),
        settings=asdict(how),
        seconds=round(time.monotonic() - started, 1),
    )
    write_report(lake, report, _pictures(gallery, written, neighbours), measures)
    log.info("%s: %d images of %s in %.0f s", run, len(keys), batch, report.seconds)
    return read_report(lake, run)  # what a later call gets, to the last tuple that JSON has not


def evaluation_gallery(lake: Lake, batch: str, max_images: int = 0) -> Gallery:
    """Return the batch's pictures that have captions, by key; of duplicates the keeper alone.

    Raises:
        LakeError: there are none.
    """
    listed = f"duplicates/ingestion/{batch}/*.parquet"
    twins = rows.read_all(lake, listed, rows.DUPLICATES).to_pylist()
    # A keeper in another batch is not evaluated here and stands for nothing.
    dropped = {twin["key"] for twin in twins if twin["keeper_batch"] in (None, batch)}
    pictures: dict[str, Picture] = {}
    texts: dict[str, list[str]] = {}
    for shard in lake.planned(batch):
        pictures |= {one.key: one for one in shard_pictures(lake, shard)}
        path = lake.rows("captions", "ingestion", shard)
        for row in rows.read_rows(lake, path, ["key", "text"]).to_pylist():
            if words(row["text"]):
                texts.setdefault(row["key"], []).append(row["text"])
    keys = sorted((pictures.keys() & texts.keys()) - dropped)[: max_images or None]
    if not keys:
        raise LakeError(
            f"batch {batch} of {lake.root} has no picture with a caption to evaluate on; was it "
            "ingested from a table with a caption column?"
        )
    return gallery_of([pictures[key] for key in keys], [texts[key] for key in keys])


def _written(task: _Task) -> list[Caption]:
    model, tokenizer = task.loaded.model, task.loaded.tokenizer

    def write(pixels: Tensor, seeds: list[int]) -> list[Caption]:
        drawn = torch.tensor(seeds, dtype=torch.int64)
        return generate(model, tokenizer, pixels, task.how.decoding, drawn)

    items = [(p, key_number(p.key) ^ task.how.seed) for p in task.gallery.pictures]
    return over_pictures(task.lake, task.loaded, items, task.how.batch_size, write)


def _retrieval_measures(task: _Task, written: Sequence[Caption]) -> dict[str, Measure]:
    how, gallery = task.how, task.gallery
    images = embed_pictures(task.lake, task.loaded, gallery.pictures, how.batch_size)
    texts = embed_texts(task.loaded, gallery.texts, how.batch_size, how.max_length)
    own = gallery_of(gallery.pictures, [[caption.text] for caption in written])
    written_vectors = embed_texts(task.loaded, own.texts, how.batch_size, how.max_length)
    measures = recall_measures(images @ written_vectors.T, own, "self", 0)
    cosines = images @ texts.T
    marked = shortlist(cosines, how.rerank_k)
    logits = match_pairs(
        task.lake, task.loaded, gallery, marked.any(dim=0), how.batch_size, how.max_length
    )
    for direction, axis, mine in (("tr", 1, marked[0]), ("ir", 0, marked[1])):
        measures |= recall_measures(cosines, gallery, f"itc_{direction}", axis)
        second = reranked(cosines, logits, mine)
        measures |= recall_measures(second, gallery, f"itm_{direction}", axis)
    return measures


def _baselines(task: _Task) -> tuple[dict[str, dict[str, Measure]], list[dict[str, str]]]:
    """Return the measures of each baseline, and each picture's nearest training picture."""
    pictures = task.gallery.pictures
    names = task.how.neighbours or tuple(task.loaded.facts.get("selections", {}))
    training = training_pictures(task.lake, names)
    by_chance = chance_measures(task.gallery)
    if not training.pictures:
        log.warning("the model names no training selection: no captions to compare its own with")
        return {"chance": by_chance}, [{} for _ in pictures]
    found, neighbours = baseline_measures(
        task.lake, pictures, task.references, training, task.how.seed
    )
    return {**found, "chance": {**found["chance"], **by_chance}}, neighbours


def _estimates(measures: Mapping[str, Measure], how: Evaluation) -> dict[str, Estimate]:
    return {name: estimate(one, how.bootstrap, how.seed) for name, one in measures.items()}


def _pictures(
    gallery: Gallery, written: Sequence[Caption], neighbours: Sequence[Mapping[str, str]]
) -> list[dict[str, Any]]:
    return [
        {
            "key": picture.key,
            "caption": caption.text,
            "lm_logprob": caption.logprob,
            "references": [gallery.texts[place] for place in own],
            **neighbour,
        }
        for picture, caption, own, neighbour in zip(
            gallery.pictures, written, gallery.captions, neighbours, strict=True
        )
    ]
