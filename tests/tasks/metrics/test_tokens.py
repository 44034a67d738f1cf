"""Captions are split into the words that the published scores count."""

import doctest
import re
import shutil

import pytest
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from tasks.metrics import tokens
from tasks.metrics.tokens import words

# Written down from the rules of the Penn Treebank, one thing a line.
GOLDEN = {
    "A man's dog isn't barking.": "a man 's dog is n't barking",
    "I can't; you cannot, we're gonna go": "i ca n't you can not we 're gon na go",
    "wanna gotta lemme gimme": "wan na got ta lem me gim me",
    "They'll say I'm sure he'd know you've won": "they 'll say i 'm sure he 'd know you 've won",
    "the dogs' bones and the boss's car": "the dogs bones and the boss 's car",
    "it\u2019s a \u201cquoted\u201d text": "it 's a quoted text",
    "the U.S. flag at 5 p.m. sharp": "the u.s. flag at 5 p.m. sharp",
    "Mr. Smith vs. Dr. Jones, St. Ives": "mr. smith vs. dr. jones st. ives",
    "a cat. it sat on the mat.": "a cat it sat on the mat",
    "apples, pears etc.": "apples pears etc.",
    "a well-known black-and-white cat -- sitting": "a well-known black-and-white cat sitting",
    "dusk\u2014a lake \u2013 hills - sky": "dusk a lake hills sky",
    "a t-shirt, an x-ray and an e-mail": "a t-shirt an x-ray and an e-mail",
    "a 20-year-old tree, 1980s style": "a 20-year-old tree 1980s style",
    "1,000 people; 3.5 kg; 50%": "1,000 people 3.5 kg 50 %",
    "$5.00 or \u00a35 or 10\u20ac": "$ 5.00 or # 5 or 10 $",
    "at 10:30, 16:9, 3/4 of a/b, \u00bd": "at 10:30 16:9 3/4 of a/b 1/2",
    "5 feet 6 inches (1.68 m) tall": "5 feet 6 inches -lrb- 1.68 m -rrb- tall",
    "[left] {right}": "-lsb- left -rsb- -lcb- right -rcb-",
    "wait... what?! no!! yes? ok!": "wait what ?! no !! yes ok",
    "caf\u00e9 na\u00efve \u00fcber stra\u00dfe": "caf\u00e9 na\u00efve \u00fcber stra\u00dfe",
    "salt & pepper, R&D, C++": "salt & pepper r&d c++",
    "go to http://example.com/a.jpg now": "go to http://example.com/a.jpg now",
    "#sunset by @somebody": "#sunset by @somebody",
    "ma'am, it is four o'clock": "ma'am it is four o'clock",
    "'tis the season, 'twas late, get 'em": "'t is the season 't was late get 'em",
    "the '90s and 1990's cars": "the '90s and 1990 's cars",
    "a  'single'   quoted \"word\"": "a single quoted word",
    "a busy street.The man.he waits...and sits": "a busy street.the man.he waits and sits",
    "two dogs--one black---on a bed": "two dogs one black on a bed",
    "the dog 's mouth , we 're here , it is n't": "the dog 's mouth we 're here it is n't",
    "DSC00774.JPG, www.example.com and photo-1.png": (
        "dsc00774.jpg www.example.com and photo-1 png"
    ),
    "B&W and b&w, salt &amp; pepper, M&M's": "b&w and b & w salt & pepper m&m 's",
    "no. 5, the no.7 bus, no.": "no. 5 the no. 7 bus no",
    "7:00am, 10am and 5 p.m": "7:00 am 10am and 5 p.m",
    "6'2\" tall, 20's, rock 'n' roll": "6 2 tall 20 's rock 'n' roll",
    "a Ph.D. from the U.S.A, US$5 or 50\u00a2": "a ph.d. from the u.s.a us$ 5 or 50 cents",
    "they'd've, y'all, a < b": "they 'd 've y' all a < b",
    "\u65e5\u672c\u8a9e and \u2603": "\u65e5\u672c\u8a9e and \u2603",
}


@pytest.mark.parametrize("text", GOLDEN)
def test_a_caption_is_split_as_the_treebank_splits_it(text: str) -> None:
    assert " ".join(words(text)) == GOLDEN[text]


@pytest.mark.parametrize("text", ["", "   ", "...", "- -- ; : , ."])
def test_punctuation_alone_is_no_word(text: str) -> None:
    assert words(text) == ()


def test_a_word_has_no_space_and_no_capital() -> None:
    for text in GOLDEN:
        assert not [word for word in words(text) if re.search(r"\s|[A-Z]", word)]


def test_the_example_in_the_docstring_is_true() -> None:
    tried = doctest.testmod(tokens)
    assert (tried.attempted, tried.failed) == (1, 0)


if shutil.which("java"):  # the reference is a Java program; the list above is there without it

    def test_the_golden_list_is_what_the_reference_program_says() -> None:
        lines = [{"caption": text} for text in GOLDEN]
        # A line between two: the program looks into the next line before it ends a sentence.
        spaced = {n: [one, {"caption": "so"}] for n, one in enumerate(lines)}
        said = [both[0] for both in PTBTokenizer().tokenize(spaced).values()]
        assert said == list(GOLDEN.values())
