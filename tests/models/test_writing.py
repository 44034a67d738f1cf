"""Captions are transformers' token for token, greedily and by beams, under every rule.

On random weights of several shapes; the rules are a repetition penalty, no repeated n-grams, and
the least and the greatest length.
"""

from typing import Any

import pytest

from models.decoding import Decoding, Spelling
from models.exchange import from_transformers
from tests.blips import DEC, PAD, SEP, UNLIKE, captioner_of, told, unpadded, written

PROMPT = (DEC, 9, 13)


@pytest.mark.parametrize("sizes", UNLIKE.values(), ids=UNLIKE)
@pytest.mark.parametrize(
    ("penalty", "ngram", "least"), [(1.0, 0, 0), (1.3, 0, 6), (1.0, 2, 7), (1.2, 3, 0)]
)
def test_greedy_captions_are_transformers_token_for_token(
    sizes: Any, penalty: float, ngram: int, least: int
) -> None:
    theirs = captioner_of(sizes)
    expected = told(
        theirs,
        PROMPT,
        sizes,
        max_length=19,
        min_length=least,
        repetition_penalty=penalty,
        no_repeat_ngram_size=ngram,
    )
    how = Decoding(
        method="greedy",
        max_length=19,
        min_length=least,
        repetition_penalty=penalty,
        no_repeat_ngram=ngram,
    )
    ours = from_transformers(theirs).model.eval()
    assert written(ours, Spelling(PROMPT, SEP, PAD), how, sizes) == expected


@pytest.mark.parametrize("sizes", UNLIKE.values(), ids=UNLIKE)
@pytest.mark.parametrize(
    ("beams", "penalty", "ngram", "least"), [(2, 1.0, 0, 0), (3, 1.0, 2, 5), (5, 1.2, 0, 5)]
)
def test_beam_captions_are_transformers_token_for_token(
    sizes: Any, beams: int, penalty: float, ngram: int, least: int
) -> None:
    theirs = captioner_of(sizes)
    expected = told(
        theirs,
        PROMPT,
        sizes,
        num_beams=beams,
        max_length=13,
        min_length=least,
        repetition_penalty=penalty,
        no_repeat_ngram_size=ngram,
    )
    how = Decoding(
        method="beam",
        beams=beams,
        max_length=13,
        min_length=least,
        repetition_penalty=penalty,
        no_repeat_ngram=ngram,
    )
    ours = from_transformers(theirs).model.eval()
    found = written(ours, Spelling(PROMPT, SEP, PAD), how, sizes)
    assert unpadded(found) == unpadded(expected)
