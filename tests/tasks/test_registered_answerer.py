"""A model that answers is a version like any other: judged by its answers, compared, and served."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from models.answering import Answerer
from models.presets import preset
from tasks import rows
from tasks.checkpoints import load_model, save_checkpoint
from tasks.contenders import ANSWERER, Candidate, candidate_of, unjudged
from tasks.errors import InputError
from tasks.evaluation.answers import Answers, answer_questions
from tasks.evaluation.report import read_report
from tasks.registration import register_candidate, register_unjudged
from tasks.registry import Registry
from tests.judged import MODEL, judged_root, lake_of, write_json

ASKED = (("what colour is this", "red"), ("is this a wall", "blue"), ("what", "white"))
SERVED = """
import json, sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
answerer = mlflow.pyfunc.load_model("models:/caplift-vqa@champion")
print(json.dumps(answerer.predict(json.loads(sys.argv[2]))))
try:
    answerer.predict([{"image": "a.jpg"}])
except Exception as error:
    print(error)
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = judged_root(tmp_path_factory.mktemp("judged"))
    lake = lake_of(made)
    tokenizer = load_model(lake, MODEL).tokenizer
    for seed in (3, 5):
        model = Answerer(preset("test"), tokenizer.vocab_size, seed=seed)
        save_checkpoint(lake, f"vqa-{seed}", 1, model, tokenizer, {"selections": {"kept": "d"}})
    return made


@pytest.fixture(scope="module")
def registry(root: Path) -> Registry:
    return Registry(f"sqlite:///{lake_of(root).local_path('mlflow.db')}")


def folder_of(seed: int) -> str:
    return f"checkpoints/vqa-{seed}/00000001"


def asked(root: Path, name: str, people: list[list[str]]) -> Answers:
    listed = [
        {
            "question_id": 10 * len(name) + at,
            "question": text,
            "image": f"{colour}/test1.jpg",
            "answer": said,
        }
        for at, ((text, colour), said) in enumerate(zip(ASKED, people, strict=False))
    ]
    questions = write_json(root / f"{name}.json", listed)
    return Answers(questions=questions, images=str(root / "test"), bootstrap=31)


def said_by(root: Path, seed: int) -> list[str]:
    """What a model answers to the three questions, whatever that is."""
    lake = lake_of(root)
    answer_questions(lake, f"said-{seed}", folder_of(seed), asked(root, "any", [["x"]] * 3))
    table = rows.read_rows(lake, f"evaluations/said-{seed}/rows.parquet")
    return [str(one) for one in table.column("answer").to_pylist()]


def judged(root: Path, seed: int, name: str, people: list[list[str]]) -> Candidate:
    lake = lake_of(root)
    answer_questions(lake, name, folder_of(seed), asked(root, name, people))
    return candidate_of(lake, ANSWERER, folder_of(seed), name, {"revision": "abc"})


def people_who_agree(said: list[str]) -> list[list[str]]:
    """Nine say what the model says, the first one something that nobody else does."""
    return [[f"own {at}", *[answer] * 9] for at, answer in enumerate(said)]


def test_it_is_unjudged_then_beaten_by_the_commonest_then_champion_and_served(
    root: Path, registry: Registry
) -> None:
    lake, said = lake_of(root), said_by(root, 3)
    made = register_unjudged(lake, registry, unjudged(lake, ANSWERER, folder_of(3), {}))
    assert (made.name, made.version) == ("caplift-vqa", "1")
    # One question, and all say the same: so does who knows the commonest answer and no picture.
    _, decision = register_candidate(lake, registry, judged(root, 3, "one", [[said[0]] * 10]))
    assert decision.alias == "challenger"
    assert decision.reason == "vqa_accuracy 1 is not above 1"
    candidate = judged(root, 3, "three", people_who_agree(said))
    made, decision = register_candidate(lake, registry, candidate)
    assert (made.version, decision.alias) == ("1", "champion")
    assert decision.reason == "vqa_accuracy 1 [1, 1]; every floor is reached"
    card = str(registry.client.get_model_version(ANSWERER, made.version).description)
    assert "On 3 questions about pictures of `three.json`" in card
    assert "commonest" in card
    posed = [{"image": f"{root}/test/{c}/test1.jpg", "question": q} for q, c in ASKED]
    done = subprocess.run(
        [sys.executable, "-c", SERVED, registry.tracking_uri, json.dumps(posed * 11)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told, refused = done.stdout.splitlines()
    assert json.loads(told) == said * 11
    assert "image" in refused
    assert "question" in refused


def test_the_champion_answers_the_questions_of_the_next_version_too(
    root: Path, registry: Registry
) -> None:
    lake = lake_of(root)
    before = set(lake.folders("evaluations"))
    candidate = judged(root, 5, "others", people_who_agree(said_by(root, 5)))
    made, decision = register_candidate(lake, registry, candidate)
    assert (made.version, decision.alias, decision.against) == ("2", "champion", "1")
    (again,) = set(lake.folders("evaluations")) - before - {"others", "said-5"}
    report = read_report(lake, again)
    assert (report.task, report.batch) == ("answers", "others.json")
    assert report.model.startswith("models:/caplift-vqa/1")


def test_answers_of_a_file_are_no_candidate(root: Path) -> None:
    how = asked(root, "filed", [["x"]] * 3)
    results = [{"question_id": 10 * len("filed") + at, "answer": "x"} for at in range(3)]
    given = Answers(questions=how.questions, results=write_json(root / "r.json", results))
    answer_questions(lake_of(root), "filed", "somebody's", given)
    with pytest.raises(InputError, match="evaluation filed is of answers in a file"):
        candidate_of(lake_of(root), ANSWERER, folder_of(3), "filed", {})
