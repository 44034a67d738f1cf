"""Answers to questions are scored beside people's, given ones and a captioner's alike."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from models.answering import Answerer, rank_answers
from models.decoding import Decoding
from models.preprocessing import pixels_for
from models.presets import preset
from tasks import rows
from tasks.checkpoints import load_model, save_checkpoint
from tasks.errors import InputError, ModelError
from tasks.evaluation.answers import Answers, answer_questions
from tasks.metrics.vqa import vqa_accuracy
from tasks.pictures import square_of
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
        by="captioner",
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


def test_an_answerer_chooses_among_the_given_answers_or_writes_its_own(
    root: Path, tmp_path: Path
) -> None:
    lake = lake_of(root)
    known = load_model(lake, MODEL).tokenizer
    model = Answerer(preset("test"), known.vocab_size, seed=3)
    save_checkpoint(lake, "answerer", 1, model, known, {"selections": {"kept": "digest"}})
    listed = [
        {"question_id": at, "question": text, "image": f"{name}/test1.jpg", "answer": ["blue wall"]}
        for at, (text, name) in enumerate(
            (("what colour is this", "red"), ("is this a wall", "blue"), ("what", "white"))
        )
    ]
    candidates = ["red wall", "blue wall", "white field"]
    how = Answers(
        questions=write_json(tmp_path / "vqa_val.json", listed),
        images=str(root / "test"),
        candidates=write_json(tmp_path / "answer_list.json", candidates),
        bootstrap=31,
        batch_size=2,
    )

    def answers(run: str) -> list[str]:
        table = rows.read_rows(lake, f"evaluations/{run}/rows.parquet")
        return [str(one) for one in table.column("answer").to_pylist()]

    answer_questions(lake, "ranked", "checkpoints/answerer", how)
    pictures = [root / "test" / str(one["image"]) for one in listed]
    squares = torch.stack([square_at(path, model.shape.vision.image_size) for path in pictures])
    ranked = rank_answers(
        model.eval(),
        known,
        pixels_for(model.shape.vision, squares),
        [str(one["question"]) for one in listed],
        candidates,
    )
    assert answers("ranked") == [one.text for one in ranked]
    report = answer_questions(
        lake, "free", "checkpoints/answerer", dataclasses.replace(how, candidates="")
    )
    assert report.leakage["training_pictures"] == 1
    assert len(answers("free")) == 3
    with pytest.raises(ModelError, match="answers no questions"):
        answer_questions(lake, "x", MODEL, how)
    write_json(tmp_path / "answer_list.json", {"a": 1})
    with pytest.raises(InputError, match="no JSON list of answers"):
        answer_questions(lake, "x", "checkpoints/answerer", how)
    with pytest.raises(InputError, match="answered by answerer or captioner, not 'me'"):
        dataclasses.replace(how, by="me")


def square_at(path: Path, size: int) -> torch.Tensor:
    square = square_of(path.read_bytes(), size)
    assert square is not None
    return torch.from_numpy(square)


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
