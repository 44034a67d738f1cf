"""Visual question answering: answers beside those of ten people.

Answers come from a file of results, whoever wrote it, or are written by a captioner that is given
the question as the beginning of its text. A captioner was not taught to answer; what it reaches is
a floor for models that were.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from models.captioner import generate
from models.decoding import Decoding
from tasks.bounds import at_least
from tasks.checkpoints import LoadedModel
from tasks.errors import InputError
from tasks.evaluation.files import file_pictures, file_prints, open_folder
from tasks.evaluation.leakage import checked_leakage
from tasks.evaluation.questions import Question, read_answers, read_questions
from tasks.evaluation.report import EvaluationReport, read_report, write_report
from tasks.inference import over_pictures, shared_model
from tasks.metrics.bootstrap import Measure, estimates, mean_of, share_of
from tasks.metrics.vqa import vqa_accuracy
from tasks.rows import key_of
from tasks.storage import Lake

ROWS = pa.schema(
    {
        "key": pa.string(),
        "image": pa.string(),
        "question": pa.string(),
        "answer": pa.string(),
        "people": pa.list_(pa.string()),
    }.items()
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """Which questions are asked, and where answers come from.

    Attributes:
        questions: VQA v2's file of questions, or BLIP's with answers.
        annotations: VQA v2's file of answers.
        results: a file of given answers; empty lets the captioner write them.
        images: the folder of pictures, for the captioner.
        image_name: what a picture's file is called, `{}` being its id.
        prompt: what the captioner is given to continue; `{}` is the question.
        decoding: how it writes.
        bootstrap: resamples of the questions behind every interval.
        seed: of the resamples.
        batch_size: pictures on the device at once.
        max_questions: the first so many; 0 takes all.
    """

    questions: str
    annotations: str = ""
    results: str = ""
    images: str = ""
    image_name: str = "COCO_val2014_{:012d}.jpg"
    prompt: str = "question {} answer"
    decoding: Decoding = field(
        default_factory=lambda: Decoding(
            method="greedy", max_length=40, min_length=0, repetition_penalty=1.0
        )
    )
    bootstrap: int = 1000
    seed: int = 0
    batch_size: int = 64
    max_questions: int = 0

    def __post_init__(self) -> None:
        at_least(1, self, "bootstrap", "batch_size")
        at_least(0, self, "max_questions")
        if self.prompt.count("{}") != 1:
            raise InputError("the prompt has one {}, where the question goes")
        if not self.results and not self.images:
            raise InputError("answers come from results, or from a captioner that reads images")


def answer_questions(
    lake: Lake, run: str, model_uri: str, how: Answers, device: str = "cpu"
) -> EvaluationReport:
    """Score answers and publish the report.

    Args:
        lake: where the report goes.
        run: the evaluation's name.
        model_uri: of the captioner; of given results, what they are called in the report.
        how: which questions, and whose answers.
        device: where the captioner works.

    Raises:
        InputError: a file cannot be used, or a question has no answer in the results.
        ModelError: the model is missing or damaged.
    """
    started = time.monotonic()
    asked = read_questions(how.questions, how.annotations, how.image_name)
    asked = asked[: how.max_questions or None]
    leaks: dict[str, object] = {}
    if how.results:
        name, given = model_uri, _given(how.results, asked)
    else:
        loaded = shared_model(lake, model_uri, device, "captioner")
        name, (given, leaks) = loaded.name, _written(lake, loaded, asked, how)
    measures = answer_measures(given, asked)
    (commonest, _), *_ = Counter(one.people[0] for one in asked).most_common(1)
    blind = answer_measures([commonest] * len(asked), asked)
    report = EvaluationReport(
        run=run,
        model=name,
        batch=how.questions.rsplit("/", 1)[-1],
        images=len(asked),
        scores=estimates(measures, how.bootstrap, how.seed),
        baselines={"commonest": estimates(blind, how.bootstrap, how.seed)},
        leakage=leaks,
        settings=asdict(how),
        seconds=round(time.monotonic() - started, 1),
        task="answers",
    )
    listed = [
        {
            "key": key_of(one.number),
            "image": one.image,
            "question": one.text,
            "answer": said,
            "people": list(one.people),
        }
        for one, said in zip(asked, given, strict=True)
    ]
    write_report(lake, report, listed, measures, ROWS)
    return read_report(lake, run)


def answer_measures(given: Sequence[str], asked: Sequence[Question]) -> dict[str, Measure]:
    """Return `vqa_accuracy`, and `vqa_accuracy_<kind>` of each kind of answer, by question."""
    worth = np.array([vqa_accuracy(a, q.people) for a, q in zip(given, asked, strict=True)])
    found = {"vqa_accuracy": mean_of(worth)}
    for kind in sorted({one.kind for one in asked} - {""}):
        is_one = np.array([float(one.kind == kind) for one in asked])
        name = kind.replace("/", "_").replace(" ", "_")
        found[f"vqa_accuracy_{name}"] = share_of(worth * is_one, is_one)
    return found


def _given(results: str, asked: Sequence[Question]) -> list[str]:
    answers = read_answers(results)
    lost = [one.number for one in asked if one.number not in answers]
    if lost:
        raise InputError(
            f"{results} answers {len(asked) - len(lost)} of {len(asked)} questions; {lost[0]}, for "
            "one, has no answer"
        )
    return [answers[one.number] for one in asked]


def _written(
    lake: Lake, loaded: LoadedModel, asked: Sequence[Question], how: Answers
) -> tuple[list[str], dict[str, object]]:
    """Let the captioner continue each question; those asked of several pictures go together."""
    place = open_folder(how.images)
    names = list(dict.fromkeys(one.image for one in asked))
    pictures = dict(zip(names, file_pictures(place, [(n, "") for n in names]), strict=True))
    found: dict[int, str] = {}
    alike: dict[str, list[int]] = {}
    for at, one in enumerate(asked):
        alike.setdefault(one.text, []).append(at)
    for text, places in alike.items():
        decoding = replace(how.decoding, prompt=how.prompt.format(text))

        def write(pixels: Tensor, _: list[None], decoding: Decoding = decoding) -> list[str]:
            seeds = torch.zeros(len(pixels), dtype=torch.int64)
            try:
                written = generate(loaded.model, loaded.tokenizer, pixels, decoding, seeds)
            except ValueError as error:  # the prompt leaves no room
                raise InputError(f"{decoding.prompt!r:.80} cannot be continued: {error}") from error
            return [caption.text for caption in written]

        items = [(pictures[asked[at].image], None) for at in places]
        said = over_pictures(place, loaded, items, how.batch_size, write)
        found.update(zip(places, said, strict=True))
    prints = file_prints(place, list(pictures.values()))
    leaks = asdict(checked_leakage(lake, prints, loaded.name, loaded.facts))
    return [found[at] for at in range(len(asked))], leaks
