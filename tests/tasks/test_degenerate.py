"""What is empty, a bare prompt or a loop is no caption; a plain caption is one."""

import pytest

from tasks.degenerate import is_degenerate, word_repetition


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "a picture of",
        "post post post post post",  # the run (post post post) comes three times
        "a dog and a dog and a dog and a cat",  # (a dog and) comes three times
        "red red blue red red blue red blue blue",  # 2 distinct of 9 words: 0.78
        "a man in a hat a man in a hat",  # said twice
        "tea tea tea",
        "A Picture of",
    ],
)
def test_loops_and_nothings_are_degenerate(text: str) -> None:
    assert is_degenerate(text, "a picture of")


@pytest.mark.parametrize(
    "text",
    [
        "carrot",
        "two carrots and a key on a pink background",
        "a dog and a dog and a cat",  # (a dog and) comes twice; 4 distinct of 8
        "a picture of a dog",
        "a picture",
        "tuk tuk",
        "a man in a hat and a man in a hat",
        "a man in a hat a man in a coat",
    ],
)
def test_plain_captions_are_not(text: str) -> None:
    assert not is_degenerate(text, "a picture of")


def test_word_repetition_is_the_share_of_words_met_before() -> None:
    assert word_repetition(["a", "b", "a", "a"]) == pytest.approx(0.5)
    assert word_repetition([]) == 0.0
