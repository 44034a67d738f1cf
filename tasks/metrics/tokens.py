"""Captions to the words that metrics count.

The published caption scores count words as the Penn Treebank splits them, in lower case and without
punctuation (Chen et al. 2015, arXiv 1504.00325, section 3); the reference does it with a Java
program. This does the same for what captions contain: contractions, possessives, abbreviations,
numbers, hyphens, quotes, names of files. It also keeps accidents of the reference, since scores are
compared across papers: brackets count as words (`-lrb-`), so does a run of `?` and `!`, and two
sentences without a space between them make one word (`street.the`). It differs on smileys, code and
other remains of web pages.
"""

import re
from collections.abc import Sequence

Words = tuple[str, ...]

# Kept with their full stop; any other full stop ends a sentence and is dropped.
ABBREVIATIONS = (
    "mr mrs ms dr prof st sr jr rev gen sgt capt lt col gov messrs mt ft ave blvd rd inc co corp "
    "ltd bros etc vs jan feb mar apr jun jul aug sep sept oct nov dec univ dept est cf"
)
# Written as one word, counted as two: the length of the first.
TWO_IN_ONE = {"cannot": 3, "gonna": 3, "gotta": 3, "wanna": 3, "gimme": 3, "lemme": 3, "y'all": 2}
PLAIN = str.maketrans(
    {
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u2013": " - ",
        "\u2014": " - ",
        "\u2026": " ",
        "\u00a0": " ",
        "\u00ad": "",
        "\u00bc": "1/4",
        "\u00bd": "1/2",
        "\u00be": "3/4",
        "\u00a3": "#",
        "\u20ac": "$",
        "\u00a2": " cents ",
        "(": " -lrb- ",
        ")": " -rrb- ",
        "[": " -lsb- ",
        "]": " -rsb- ",
        "{": " -lcb- ",
        "}": " -rcb- ",
    }
)

_TOKEN = re.compile(
    rf"""
    https?://\S*[\w/]                                # an address
  | [\w.+-]+@[\w-]+(?:\.\w+)+
  | -[lr][rsc]b-
  | [?!][?!]+
  | [\#@][a-z_]\w*                                   # a hashtag, somebody's name
  | </?[a-z][^<>\s]*>
  | no\.(?=\s*\d) | ph\.d\.                          # no. 5
  | (?:[^\W\d_]\.)+(?!\w)                            # u.s., a.m., j.
  | (?:{"|".join(ABBREVIATIONS.split())})\.(?!\w)
  | \d?\d:\d\d(?=[ap]m) | us\$
  | [+-]?(?:\d+(?:[.,:/-]\d+)*|\.\d+)(?:\w|-(?=\w)|'(?=[^\W\d]))*  # 5.00, 10:30, 3/4, 80s
  | 'n'
  | '(?:s|m|d|re|ve|ll)(?!\w)                       # of a text that was split before
  | '(?:em|n|\d\ds|til|cause)\b
  | '(?=t(?:is|was)\b)t
  | [cf](?:\+\+|\#)
  | [^\W_]+(?:\.[^\W\d_][^\W_]*)+                    # photo.jpg, street.the
  | [^\W_](?:\w|[-/&](?=\w)|'(?=\w))*                # a word, t-shirt, r&d; its ending is cut below
  | [^\s\w]
    """,
    re.VERBOSE,
)
_ENDING = re.compile(r"(?:n't|'(?:s|m|d|re|ve|ll|n))$")
_PUNCTUATION = frozenset("'\"`.?!,:;-")
# Between capitals it is part of a name.
_AND = re.compile(r"&amp;|(?<![A-Z])&|&(?![A-Z])")


def words(text: str) -> Words:
    """Return the words of a caption, in lower case, without punctuation.

    >>> words("A man's dog isn't barking at the U.S. flag.")
    ('a', 'man', "'s", 'dog', 'is', "n't", 'barking', 'at', 'the', 'u.s.', 'flag')
    """
    found = _TOKEN.findall(_AND.sub(" & ", text).lower().translate(PLAIN))
    return tuple(part for token in found if token not in _PUNCTUATION for part in _parts(token))


def words_of_all(texts: Sequence[str]) -> list[Words]:
    """Return the words of each caption."""
    return [words(text) for text in texts]


def _parts(token: str) -> Words:
    """Cut contractions and possessives: `isn't` is `is` and `n't`."""
    if token in TWO_IN_ONE:
        cut = TWO_IN_ONE[token]
        return token[:cut], token[cut:]
    ending = _ENDING.search(token)
    if ending is None or ending.start() == 0:
        return (token,)
    return *_parts(token[: ending.start()]), ending.group()
