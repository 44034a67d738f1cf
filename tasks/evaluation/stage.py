"""What a model is worth on pictures with human captions that it was never trained on.

Captions it writes against the humans' (BLEU-4, ROUGE-L, CIDEr-D), retrieval both ways (R@1, 5, 10,
by embedding and re-ranked by the matching head), and whether its own captions find their picture.
Every score has its interval and stands beside what chance and the most alike training picture
reach. One row an image is kept, so two models are compared picture by picture.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from models.captioner import Caption, generate
from tasks.checkpoints import LoadedModel
from tasks.evaluation.baselines import baseline_measures, training_pictures
from tasks.evaluation.gallery import Gallery, gallery_of
from tasks.evaluation.held_out import HeldOut, held_out_batch, held_out_benchmark
from tasks.evaluation.leakage import checked_leakage
from tasks.evaluation.report import (
    EvaluationReport,
    is_evaluated,
    read_report,
    write_report,
    write_results,
)
from tasks.evaluation.retrieval import (
    chance_measures,
    embed_pictures,
    embed_texts,
    match_pairs,
    recall_measures,
    reranked,
    shortlist,
)
from tasks.evaluation.settings import Evaluation
from tasks.inference import over_pictures, require_room, shared_model
from tasks.metrics.bootstrap import Measure, estimates
from tasks.metrics.captions import caption_measures
from tasks.metrics.diversity import diversity
from tasks.metrics.java import java_measures, program
from tasks.metrics.tokens import Words, words, words_of_all
from tasks.samples import key_number
from tasks.storage import Lake

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Task:
    """What every part of one evaluation needs."""

    lake: Lake
    loaded: LoadedModel
    exam: HeldOut
    references: list[list[Words]]
    how: Evaluation

    @property
    def gallery(self) -> Gallery:
        return self.exam.gallery


def evaluate(
    lake: Lake,
    run: str,
    model_uri: str,
    batch: str = "evaluation",
    how: Evaluation | None = None,
    device: str = "cpu",
) -> EvaluationReport:
    """Evaluate a model; a run that is there already, of the same weights, is read instead.

    Args:
        lake: where the batch is, and where the evaluation goes.
        run: the evaluation's name.
        model_uri: any address that `load_model` takes.
        batch: pictures with captions; not used where `how` names a benchmark.
        how: what is measured.
        device: where the model works.

    Raises:
        InputError: the benchmark's files cannot be used.
        LakeError: the batch has no pictures with captions.
        ModelError: the model is missing or damaged.
    """
    started = time.monotonic()
    how = how or Evaluation()
    loaded = shared_model(lake, model_uri, device)
    require_room(loaded, how.decoding)
    # By name too: the address may be an alias that has moved since.
    if is_evaluated(lake, run) and (done := read_report(lake, run)).model == loaded.name:
        return done
    for name in how.java:
        program(name)  # before the work: else its absence is found after it
    task = _task(lake, loaded, batch, how)
    exam, gallery, references = task.exam, task.gallery, task.references
    written = _written(task)
    said = [words(one.text) for one in written]
    measures = caption_measures(said, references, exam.domains)
    measures |= java_measures(how.java, said, references)
    measures |= _retrieval_measures(task, written)
    baselines, neighbours = _baselines(task)
    report = EvaluationReport(
        run=run,
        model=loaded.name,
        batch=exam.name,
        images=len(gallery.pictures),
        texts=sum(len(own) for own in gallery.captions),
        scores=estimates(measures, how.bootstrap, how.seed),
        baselines={
            kind: estimates(own, how.bootstrap, how.seed) for kind, own in baselines.items()
        },
        diversity=asdict(diversity(said)),
        leakage=asdict(checked_leakage(lake, exam.prints, loaded.name, loaded.facts)),
        settings=asdict(how),
        seconds=round(time.monotonic() - started, 1),
    )
    if exam.numbers:
        write_results(lake, run, exam.numbers, [one.text for one in written])
    write_report(lake, report, _pictures(gallery, written, neighbours), measures)
    log.info("%s: %d images of %s in %.0f s", run, report.images, exam.name, report.seconds)
    return read_report(lake, run)  # what a later call gets, to the last tuple that JSON has not


def _task(lake: Lake, loaded: LoadedModel, batch: str, how: Evaluation) -> _Task:
    exam = (
        held_out_benchmark(how.benchmark, how.max_images)
        if how.benchmark
        else held_out_batch(lake, batch, how.max_images)
    )
    gallery = exam.gallery
    references = [words_of_all([gallery.texts[u] for u in own]) for own in gallery.captions]
    return _Task(lake, loaded, exam, references, how)


def _written(task: _Task) -> list[Caption]:
    model, tokenizer = task.loaded.model, task.loaded.tokenizer

    def write(pixels: Tensor, seeds: list[int]) -> list[Caption]:
        drawn = torch.tensor(seeds, dtype=torch.int64)
        return generate(model, tokenizer, pixels, task.how.decoding, drawn)

    items = [(p, key_number(p.key) ^ task.how.seed) for p in task.gallery.pictures]
    return over_pictures(task.exam.place, task.loaded, items, task.how.batch_size, write)


def _retrieval_measures(task: _Task, written: Sequence[Caption]) -> dict[str, Measure]:
    how, gallery = task.how, task.gallery
    images = embed_pictures(task.exam.place, task.loaded, gallery.pictures, how.batch_size)
    texts = embed_texts(task.loaded, gallery.texts, how.batch_size, how.max_length)
    own = gallery_of(gallery.pictures, [[caption.text] for caption in written])
    written_vectors = embed_texts(task.loaded, own.texts, how.batch_size, how.max_length)
    measures = recall_measures(images @ written_vectors.T, own, "self", 0)
    cosines = images @ texts.T
    marked = shortlist(cosines, how.rerank_k)
    logits = match_pairs(
        task.exam.place, task.loaded, gallery, marked.any(dim=0), how.batch_size, how.max_length
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
    exam = (task.exam.place, pictures, task.references)
    found, neighbours = baseline_measures(exam, (task.lake, training), task.how.seed)
    return {**found, "chance": {**found["chance"], **by_chance}}, neighbours


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
