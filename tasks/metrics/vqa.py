"""VQA accuracy (Antol et al. 2015, arXiv 1505.00468; Goyal et al. 2017): agreement with ten people.

An answer is worth min(1, n / 3), n being how many people gave it; the mean of that over every set
of all people but one. Both sides are brought to one spelling first, as the challenge's rules say:
lower case, no punctuation, digits for number words, no articles, apostrophes where they belong.

    people  red red red red red red red red blue crimson
    "red"   10 sets of nine: 7 or 8 of them say red        1
    "blue"  1 set without the one who said it: 0; 9 with: 1/3       0.3
"""

import re
from collections.abc import Sequence
from itertools import product

COUNTED = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBERS = {"none": "0", **{word: str(number) for number, word in enumerate(COUNTED)}}
ARTICLES = frozenset(("a", "an", "the"))
# A mark beside a space, or anywhere in a text with a number such as 1,000, is dropped; any other
# parts two words.
MARKS = ';/[]"{}()=+\\_-><@`,?!'
THOUSANDS = re.compile(r"\d,\d")
# A full stop stays only before a digit.
STOP = re.compile(r"\.(?!\d)")
AGREEING = 3

# As they are written; each is also recognised with any of its apostrophes forgotten, but for those
# that are then another word (we'll, she'll, it's, I'll).
_NEGATED = (
    "ai are ca could did does do had has have is might must need ought sha should was were wo would"
)
_FOLLOWED = {
    "d": "he how it somebody someone something there they where who you",
    "ll": "how it somebody someone something they what who why you y'all",
    "s": "he how somebody someone that there what when where who why",
    "re": "there they what why you",
    "ve": "could i might must not should they we what where who would you",
    "m": "i",
    "d've": "he i it she somebody someone something there they we who you y'all",
}
_OTHERS = (
    "ma'am o'clock 'twas y'all couldn't've hadn't've mightn't've shouldn't've wouldn't've 'ow's'at"
)
WRITTEN = (
    *(f"{word}n't" for word in _NEGATED.split()),
    *(f"{word}'{end}" for end, words in _FOLLOWED.items() for word in words.split()),
    *_OTHERS.split(),
)


def _forgotten(word: str) -> set[str]:
    """Return the word with every choice of its apostrophes left out, but the whole one."""
    parts = word.split("'")
    marks = product(("", "'"), repeat=len(parts) - 1)
    return {
        "".join(a + b for a, b in zip(parts, (*chosen, ""), strict=True)) for chosen in marks
    } - {word}


CONTRACTIONS = {short: word for word in WRITTEN for short in _forgotten(word)}


def normalised(answer: str) -> str:
    """Return an answer in the one spelling that answers are compared in.

    >>> normalised("The  two dogs, they dont bark.")
    "2 dogs they don't bark"
    """
    text = " ".join(answer.lower().split())
    has_thousands = THOUSANDS.search(text) is not None
    spaced = text
    for mark in MARKS:
        beside = f"{mark} " in spaced or f" {mark}" in spaced
        text = text.replace(mark, "" if beside or has_thousands else " ")
    words = (NUMBERS.get(word, word) for word in STOP.sub("", text).split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


def vqa_accuracy(answer: str, people: Sequence[str]) -> float:
    """Return what an answer is worth beside those of people, 0 to 1.

    Raises:
        ValueError: nobody has answered.
    """
    if not people:
        raise ValueError("a question without an answer of anybody has no accuracy")
    mine = normalised(answer)
    agreeing = [normalised(one) == mine for one in people]
    total = sum(agreeing)
    if len(people) == 1:  # there is no set without the only one
        return float(total)
    return sum(min(1.0, (total - own) / AGREEING) for own in agreeing) / len(people)
