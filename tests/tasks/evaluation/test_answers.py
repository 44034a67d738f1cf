"""Answers to questions are scored beside people's, given ones and a captioner's alike."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from models.decoding import Decoding
from tasks import rows
from tasks.errors import InputError
from tasks.evaluation.answers import Answers, answer_questions
from tasks.metrics.vqa import vqa_accuracy
from tests.judged import MODEL, judged_root, lake_of, write_json

QUESTIONS = {
    "questions": [
        {"image_id": at, "question": text, "question_id": 10 * at}
        for at, text in enumerate(("What colour is this?", "How many?", "What colour is this?"))
    ]
}
ANNOTATIONS = {
    "annotations": [
        {
            "question_id": 10 * at,
            "image_id": at,
            "answer_type": kind,
            "question_type": "what",
            "multiple_choice_answer": said[0],
            "answers": [
                {"answer": one, "answer_confidence": "yes", "answer_id": place + 1}
                for place, one in enumerate(said)
            ],
        }
        for at, (kind, said) in enumerate(
            (
                ("other", ["red"] * 8 + ["blue", "pink"]),
                ("number", ["2"] * 10),
                ("yes/no", ["blue"] * 2 + ["green"] * 8),
            )
        )
    ]
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judged_root(tmp_path_factory.mktemp("judged"))


def test_given_answers_are_scored_by_kind(root: Path, tmp_path: Path) -> None:
    given = [{"question_id": 10 * at, "answer": a} for at, a in enumerate(("Red.", "two", "blue"))]
    how = Answers(
        questions=write_json(tmp_path / "q.json", QUESTIONS),
        annotations=write_json(tmp_path / "a.json", ANNOTATIONS),
        results=write_json(tmp_path / "r.json", given),
        bootstrap=31,
    )
    report = answer_questions(lake_of(root), "given", "somebody's", how)
    last = (2 * (1 / 3) + 8 * (2 / 3)) / 10
    assert report.scores["vqa_accuracy"].value == pytest.approx((1 + 1 + last) / 3)
    assert report.scores["vqa_accuracy_yes_no"].value == pytest.approx(last)
    assert report.scores["vqa_accuracy_number"].value == 1
    assert report.model == "somebody's"
    write_json(tmp_path / "r.json", given[:2])
    with pytest.raises(InputError, match="answers 2 of 3 questions; 20, for one"):
        answer_questions(lake_of(root), "given", "somebody's", how)


def test_a_captioner_continues_each_question(root: Path, tmp_path: Path) -> None:
    blip = [
        {"question_id": at, "question": text, "image": f"{name}/test1.jpg", "answer": people}
        for at, (text, name, people) in enumerate(
            (
                ("what colour is this", "red", ["red", "red"]),
                ("is this a wall", "blue", "yes"),
                ("what colour is this", "white", ["white"]),
            )
        )
    ]
    how = Answers(
        questions=write_json(tmp_path / "vqa_val.json", blip),
        images=str(root / "test"),
        decoding=Decoding(method="greedy", max_length=20, min_length=0),
        bootstrap=31,
    )
    report = answer_questions(lake_of(root), "asked", MODEL, how)
    table = rows.read_rows(lake_of(root), "evaluations/asked/rows.parquet").to_pylist()
    assert [row["question"] for row in table] == [one["question"] for one in blip]
    worth = [vqa_accuracy(row["answer"], row["people"]) for row in table]
    assert report.scores["vqa_accuracy"].value == pytest.approx(sum(worth) / 3)
    assert report.leakage["training_pictures"] == 1
    short = dataclasses.replace(how, decoding=Decoding(max_length=3, min_length=0))
    with pytest.raises(InputError, match="cannot be continued"):
        answer_questions(lake_of(root), "x", MODEL, short)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([{"question": "x"}], "not questions and answers of VQA v2"),
        ({"questions": [{"question_id": 1, "image_id": 2, "question": "x"}]}, "no question of"),
        (3, "not questions and answers"),
    ],
)
def test_questions_that_cannot_be_used_are_refused(
    root: Path, tmp_path: Path, value: Any, said: str
) -> None:
    how = Answers(questions=write_json(tmp_path / "q.json", value), images=str(root / "test"))
    with pytest.raises(InputError, match=said):
        answer_questions(lake_of(root), "x", MODEL, how)
