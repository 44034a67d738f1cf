"""Captions to the words that metrics count.

The published caption scores count words as the Penn Treebank splits them, in lower case and without
punctuation (Chen et al. 2015, arXiv 1504.00325, section 3); the reference does it with a Java
program. This does the same for what captions contain: contractions, possessives, abbreviations,
numbers, hyphens, quotes, names of files, addresses, smileys, remains of HTML. It also keeps
accidents of the reference, since scores are compared across papers: brackets count as words
(`-lrb-`), so does a run of `?` and `!`, two sentences without a space between them make one word
(`street.the`), and characters it has never heard of, as all emoji, are as good as spaces.

Which characters those are, `characters.txt` says: the program was asked for each of the 65,536.
"""

import re
from collections.abc import Sequence
from importlib import resources

Words = tuple[str, ...]

# Kept with their full stop; any other full stop ends a sentence and is dropped.
ABBREVIATIONS = (
    "adj adm al ala alex apr ariz assn assoc asst atty aug ave bhd bldg blvd brig bros calif capt "
    "cf cmdr co col colo comdr conn corp cpl ct dak dec dept det dr drs elec ens esq est etc ext "
    "feb fla fri ft ga gen gov govs hon inc ind insp intl jan jr jul jun kan kans ky lieut lt ltd "
    "maj mar md messrs mfg mich minn mlle mme mo mon mont mr mrs ms msgr mt mtg natl neb nev nov "
    "oct okla penn pfc ph plc pres prof profs pvt rd rep reps rev rt sen sens sep sept seq sgt sq "
    "sr st supt sys tel tenn thu thurs tue tues univ va vs vt wed wis wisc wyo"
)
# So are these where they are written with a capital, or before a number.
STATES = "Ark Del Ill La Mass Miss Ore Pa Tex Wash"
BEFORE_NUMBERS = "art ca fig figs no nos op pp prop"
MARK = "\ufffe"  # stands for the full stop of a state; it is no character
# Names of files that may begin with a digit.
FILES = "jpe?g|gif|png|bmp|pdf|html?|mov|txt|doc|zip|[chx]"
# Apostrophes that are letters.
WHOLE = "s'mores ma'am ne'er o'er e'er hallowe'en c'mon ol' y'all"
# Written as one word, counted as two: the length of the first.
TWO_IN_ONE = {"cannot": 3, "gonna": 3, "gotta": 3, "wanna": 3, "gimme": 3, "lemme": 3, "y'all": 2}
PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201b\u2039\u203a\x91\x92", "'"),
        **dict.fromkeys("\u201c\u201d\u00ab\u00bb\x93\x94", '"'),
        **dict.fromkeys("\u2013\u2014\u2015\x96\x97", " - "),
        **dict.fromkeys("\u20ac\u20a0\u00a4\x80", " $ "),
        "\u2026": " ",
        "\u00ad": "",
        "\u00bc": " 1/4 ",
        "\u00bd": " 1/2 ",
        "\u00be": " 3/4 ",
        "\u2153": " 1/3 ",
        "\u2154": " 2/3 ",
        "\u00a3": " # ",
        "\u00a2": " cents ",
    }
)
BRACKETS = {
    "(": "-lrb-",
    ")": "-rrb-",
    "[": "-lsb-",
    "]": "-rsb-",
    "{": "-lcb-",
    "}": "-rcb-",
}
# Of what remains of HTML only these are read; &copy; is three words.
ENTITIES = {
    "amp": " & ",
    "lt": " < ",
    "gt": " > ",
    "quot": ' " ',
    "apos": "'",
    "nbsp": " ",
    "mdash": " - ",
    "ndash": " - ",
}


def _characters() -> tuple[str, str]:
    """Return characters of words and single ones as ranges for brackets in a pattern."""
    listed = resources.files("tasks.metrics").joinpath("characters.txt").read_text("ascii")
    found = []
    for part in listed.split("#")[1:]:
        codes = [one.split("-") for one in part.split("\n", 1)[1].split()]
        ranges = ("-".join(re.escape(chr(int(code, 16))) for code in one) for one in codes)
        found.append("".join(ranges))
    return found[0], found[1]


def _any(words: str) -> str:
    """Return a pattern of words that are parted by spaces."""
    return "|".join(re.escape(word) for word in words.split())


_LETTERS, _SINGLE = _characters()
_SMALL = "a-z\u13f8-\u13fd\uab70-\uabbf"  # Cherokee was known before it had small letters
_W = f"[0-9{_SMALL}{_LETTERS}]"  # a letter, a mark or a digit
_L = f"[{_SMALL}{_LETTERS}]"
_END = rf"(?:(?<=n)['`]t|'(?:s|m|d|re|ve|ll)|'n(?!'))(?!{_W})"
_JOINED = rf"(?:[-&_!?\u2010\u2011\u058a](?={_W})|{_W})*"
# Of a path not more than three parts go together.
_TAIL = rf"{_JOINED}(?:/(?={_W}){_JOINED}){{0,2}}(?:{_END})*"
_TOKEN = re.compile(
    rf"""
    (?:https?://|www\.)[^\s"<>|(){{}}]{{1,255}}\.[^\s"<>|(){{}}]*[\w/]  # an address
  | (?:mailto:)?[\w.+-]{{1,64}}@[\w-]+(?:\.[\w-]+)*
  | -[lr][rsc]b-
  | \(\d\d\d?\)[ ]?\d{{3,4}}[ -]?\d{{4}}             # a telephone number
  | [<>]?[:;=][-']?[()\[\]{{dp@|\\](?!{_W})         # a smiley
  | \^_\^ | -_-
  | [?!][?!]+ | \*\*+ | \#\#+ | @@+ | << | >> | __+
  | \#[a-z]+ | @[a-z_]\w*                           # a hashtag, somebody's name
  | &\#\d+;
  | <(?!https?:)/?[a-z!][^<>]*>
  | (?:{_any(BEFORE_NUMBERS)})\.(?=\s*\d) | ph\.d\.
  | (?:{_L}\.)+(?!{_L})                             # u.s., a.m., j.
  | (?:{_any(ABBREVIATIONS)})\.(?!{_W}) | (?:{_any(STATES.lower())}){MARK}
  | \d?\d:\d\d(?=[ap]m) | (?:us|hk|[ac])\$
  | [0-9a-z]+(?:\.[0-9a-z]+){{0,4}}\.(?:{FILES})(?!{_W})
  | \d+(?:[.,:]\d+)+(?:-(?={_W}){_JOINED})?(?:{_END})*  # 5.00, 10:30, 3.5-inch
  | [+-]\d+(?:[.,:]\d+)* | [+-]?(?:[.,:]\d+)+
  | 'n'
  | '(?:s|m|d|re|ve|ll)(?!{_W})                     # of a text that was split before
  | (?<!\d)'(?:em|n|\d\ds?|til|cause)(?!{_W})
  | '(?=t(?:is|was)(?:n't)?(?!{_W}))t
  | [cf](?:\+\+|\#)
  | (?:{_any(WHOLE)})(?!{_W})
  | {_L}{_W}*(?:\.{_L}{_W}*)+{_JOINED}                # photo.jpg, street.the
  | (?:(?:[odlnc]|qu)'(?={_L}{_L}))?{_W}{_TAIL}     # t-shirt, r&d, o'clock; endings are cut below
  | [!-~{_SINGLE}]
    """,
    re.VERBOSE,
)
_ENDING = re.compile(r"(?:n[`']t|'(?:s|m|d|re|ve|ll|n))$")
# Left out before capitals are: one may be unknown whose small letter is not.
_UNKNOWN = re.compile(rf"[^\x00-\x7f\u2010\u2011\u058a{_LETTERS}{_SINGLE}]")
_STATE = re.compile(rf"\b({_any(STATES)})\.(?!\w)")
_PUNCTUATION = frozenset("'\"`.?!,:;-")
_ENTITY = re.compile(rf"&({'|'.join(ENTITIES)});", re.IGNORECASE)
# Between capitals it is part of a name, and so it is in an address.
_AND = re.compile(r"((?:https?://|www\.)\S+|&\#\d+;)|(?<![A-Z])&|&(?![A-Z])")


def words(text: str) -> Words:
    """Return the words of a caption, in lower case, without punctuation.

    >>> words("A man's dog isn't barking at the U.S. flag.")
    ('a', 'man', "'s", 'dog', 'is', "n't", 'barking', 'at', 'the', 'u.s.', 'flag')
    """
    read = _ENTITY.sub(lambda found: ENTITIES[found[1].lower()], text)
    spaced = _AND.sub(lambda found: found[1] or " & ", read)
    known = _UNKNOWN.sub(" ", spaced.translate(PLAIN))
    found = _TOKEN.findall(_STATE.sub(rf"\1{MARK}", known).lower())
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
        if token in BRACKETS:
            return (BRACKETS[token],)
        token = token.replace(MARK, ".")
        # A tag of HTML and a telephone number are several.
        return tuple(token.replace("(", "-lrb-").replace(")", "-rrb-").split())
    return *_parts(token[: ending.start()]), ending.group()
