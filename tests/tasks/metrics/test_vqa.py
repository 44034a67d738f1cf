"""VQA accuracy is what the challenge's rules say, by hand and by the slow way."""

import doctest

import pytest

from tasks.metrics import vqa
from tasks.metrics.vqa import CONTRACTIONS, normalised, vqa_accuracy

SPELLED = {
    "Yes": "yes",
    " yes. ": "yes",
    "no,": "no",
    "The dog": "dog",
    "two": "2",
    "none": "0",
    "ten dogs": "10 dogs",
    "eleven": "eleven",
    "dont": "don't",
    "don't": "don't",
    "it's": "it's",
    "oclock": "o'clock",
    "couldnt've": "couldn't've",
    "couldn'tve": "couldn't've",
    "couldntve": "couldn't've",
    "youre": "you're",
    # Without its apostrophe another word.
    "ill": "ill",
    "well": "well",
    "shell": "shell",
    "its": "its",
    # Beside a space a mark goes, inside a word it parts it.
    "black/white": "black white",
    "black / white": "black white",
    "t-shirt": "t shirt",
    "red, white and blue": "red white and blue",
    "1,000": "1000",
    "3.5": "3.5",
    "5 p.m.": "5 pm",
    "a": "",
    "x\ny\tz": "x y z",
    "?": "",
}


@pytest.mark.parametrize("answer", SPELLED)
def test_answers_are_brought_to_one_spelling(answer: str) -> None:
    assert normalised(answer) == SPELLED[answer]


def test_the_example_in_the_docstring_is_true() -> None:
    tried = doctest.testmod(vqa)
    assert (tried.attempted, tried.failed) == (1, 0)


def test_no_contraction_is_taken_for_another_word() -> None:
    words = {"well", "ill", "shell", "hell", "its", "were", "wed", "shed", "id", "lets", "cant"}
    assert words & set(CONTRACTIONS) == {"cant"}
    assert {CONTRACTIONS[short] for short in CONTRACTIONS} == set(vqa.WRITTEN)


PEOPLE = ["red"] * 8 + ["blue", "Crimson."]


def test_an_answer_is_worth_what_the_docstring_works_out() -> None:
    assert vqa_accuracy("Red", PEOPLE) == 1
    assert vqa_accuracy("blue", PEOPLE) == pytest.approx(0.3)
    assert vqa_accuracy("the crimson", PEOPLE) == pytest.approx(0.3)
    assert vqa_accuracy("green", PEOPLE) == 0


def test_an_answer_of_three_or_four_people_is_worth_nearly_or_all() -> None:
    # Three: each set that leaves one of them out has two.
    assert vqa_accuracy("a1", ["a1"] * 3 + ["b2"] * 7) == pytest.approx((3 * 2 / 3 + 7) / 10)
    assert vqa_accuracy("a1", ["a1"] * 4 + ["b2"] * 6) == 1


@pytest.mark.parametrize("n", range(2, 11))
def test_it_is_the_mean_over_every_set_without_one(n: int) -> None:
    people = [f"answer{at % 3}" for at in range(n)]
    for said in ("answer0", "answer2", "other"):
        sets = [people[:at] + people[at + 1 :] for at in range(n)]
        slow = sum(min(1, one.count(said) / 3) for one in sets) / n
        assert vqa_accuracy(said, people) == pytest.approx(slow)


def test_one_person_is_agreed_with_or_not() -> None:
    assert vqa_accuracy("a cat", ["cat"]) == 1
    assert vqa_accuracy("dog", ["cat"]) == 0
    with pytest.raises(ValueError, match="without an answer"):
        vqa_accuracy("dog", [])
