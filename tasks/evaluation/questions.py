"""Questions about pictures with people's answers, and given answers, as VQA v2 publishes them.

questions    {"questions": [{"question_id", "image_id", "question"}]}
annotations  {"annotations": [{"question_id", "answers": [{"answer"}], "answer_type"}]}
results      [{"question_id", "answer"}], what a model answered
BLIP         [{"question_id", "image", "question", "answer": text or texts}], all in one
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.errors import InputError
from tasks.evaluation.annotations import parsed, read_text


@dataclass(frozen=True, slots=True)
class Question:
    """A question: its picture's file, what people answered, and what kind of answer that is."""

    number: str
    image: str
    text: str
    people: tuple[str, ...]
    kind: str = ""


def read_questions(questions: str, annotations: str, image_name: str) -> list[Question]:
    """Return the questions that have answers.

    Args:
        questions: the file of questions, or BLIP's.
        annotations: the file of answers; empty for BLIP's, which has them.
        image_name: what a picture's file is called, `{}` being its id, as in
            `COCO_val2014_{:012d}.jpg`.

    Raises:
        InputError: a file cannot be used, or no question has an answer.
    """
    asked = _json(questions)
    answers: dict[str, tuple[tuple[str, ...], str]] = {}
    try:
        if annotations:
            for one in _json(annotations)["annotations"]:
                people = tuple(str(said["answer"]) for said in one["answers"])
                answers[str(one["question_id"])] = (people, str(one.get("answer_type", "")))
        listed = asked if isinstance(asked, list) else asked["questions"]
        found = [_question(one, answers, image_name) for one in listed]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"{questions} and {annotations or 'no annotations'} are not questions and answers of "
            f"VQA v2, nor BLIP's ({type(error).__name__} {error!s:.80})"
        ) from error
    answered = [one for one in found if one.people]
    if not answered:
        raise InputError(f"no question of {questions} has an answer to be compared with")
    return answered


def read_answers(path: str) -> dict[str, str]:
    """Return what a model answered, by the question's number.

    Raises:
        InputError: it is no file of results, or answers a question twice.
    """
    found: dict[str, str] = {}
    try:
        for one in _json(path):
            number = str(one["question_id"])
            if number in found:
                raise InputError(f"{path} answers question {number} twice")
            found[number] = str(one["answer"])
    except (KeyError, TypeError) as error:
        raise InputError(f'{path} is no list of {{"question_id", "answer"}}') from error
    return found


def read_candidates(path: str) -> list[str]:
    """Return the answers to choose from, each once.

    Raises:
        InputError: it is no list of texts.
    """
    found = _json(path)
    if not isinstance(found, list) or not found or not all(isinstance(a, str) for a in found):
        raise InputError(f"{path} is no JSON list of answers to choose from")
    return list(dict.fromkeys(found))


def _json(path: str) -> Any:
    try:
        return parsed(read_text(path))
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error!s:.80})") from error


def _question(
    one: Mapping[str, Any],
    answers: Mapping[str, tuple[tuple[str, ...], str]],
    image_name: str,
) -> Question:
    number = str(one["question_id"])
    said = one.get("answer", ())
    own = (said,) if isinstance(said, str) else tuple(str(text) for text in said)
    people, kind = answers.get(number, (own, ""))
    image = one["image"] if "image" in one else image_name.format(one["image_id"])
    return Question(number, str(image), str(one["question"]), people, kind)
