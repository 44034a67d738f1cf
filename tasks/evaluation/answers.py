"""Visual question answering: answers beside those of ten people.

Answers come from a file of results, whoever wrote it; from a model that was taught to answer, which
chooses among given answers or writes its own; or from a captioner that is given the question as the
beginning of its text. A captioner was not taught to answer: what it reaches is a floor.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import pyarrow as pa

from models.decoding import Decoding
from tasks.bounds import at_least
from tasks.checkpoints import LoadedAnswerer, LoadedModel, load_answerer
from tasks.errors import InputError
from tasks.evaluation.answering import by_answerer, by_captioner
from tasks.evaluation.files import file_pictures, file_prints, open_folder
from tasks.evaluation.leakage import checked_leakage
from tasks.evaluation.questions import Question, read_answers, read_candidates, read_questions
from tasks.evaluation.report import EvaluationReport, read_report, write_report
from tasks.inference import require_room, shared_model
from tasks.jobs import check_device
from tasks.metrics.bootstrap import Measure, estimates, mean_of, share_of
from tasks.metrics.vqa import vqa_accuracy
from tasks.rows import key_of
from tasks.storage import Lake

WRITERS = ("answerer", "captioner")
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
        results: a file of given answers; empty lets a model answer.
        images: the folder of pictures, for the model.
        image_name: what a picture's file is called, `{}` being its id.
        by: "answerer", a model of questions and answers, or "captioner".
        candidates: a file with a JSON list of answers that an answerer chooses from, such as BLIP's
            3,128 commonest; empty lets it write its own.
        tried: of these, how many with the likeliest first token are read whole; BLIP's 128.
        prompt: what a captioner is given to continue; `{}` is the question.
        decoding: how a captioner writes.
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
    by: str = "answerer"
    candidates: str = ""
    tried: int = 128
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
        at_least(1, self, "bootstrap", "batch_size", "tried")
        at_least(0, self, "max_questions")
        if self.prompt.count("{}") != 1:
            raise InputError("the prompt has one {}, where the question goes")
        if not self.results and not self.images:
            raise InputError("answers come from results, or from a model that reads images")
        if self.by not in WRITERS:
            raise InputError(f"questions are answered by {' or '.join(WRITERS)}, not {self.by!r}")


def answer_questions(
    lake: Lake, run: str, model_uri: str, how: Answers, device: str = "cpu"
) -> EvaluationReport:
    """Score answers and publish the report.

    Args:
        lake: where the report goes.
        run: the evaluation's name.
        model_uri: of the model; of given results, what they are called in the report.
        how: which questions, and whose answers.
        device: where the model works.

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
        name, given, leaks = _answered(lake, model_uri, device, asked, how)
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


def _answered(
    lake: Lake, model_uri: str, device: str, asked: Sequence[Question], how: Answers
) -> tuple[str, list[str], dict[str, object]]:
    """Let a model answer; return its name, the answers, and what it has seen of the pictures."""
    place = open_folder(how.images)
    names = list(dict.fromkeys(one.image for one in asked))
    listed = file_pictures(place, [(name, "") for name in names])
    pictures = dict(zip(names, listed, strict=True))
    prints = file_prints(place, listed)
    posed = [(pictures[one.image], one.text) for one in asked]
    loaded: LoadedModel | LoadedAnswerer
    if how.by == "answerer":
        candidates = read_candidates(how.candidates) if how.candidates else []
        check_device(device)
        loaded = load_answerer(lake, model_uri, device)
        given = by_answerer(place, loaded, posed, (candidates, how.tried), how.batch_size)
    else:
        loaded = shared_model(lake, model_uri, device, "captioner")
        require_room(loaded, how.decoding)
        given = by_captioner(place, loaded, posed, (how.prompt, how.decoding), how.batch_size)
    leaks = asdict(checked_leakage(lake, prints, loaded.name, loaded.facts))
    return loaded.name, given, leaks
