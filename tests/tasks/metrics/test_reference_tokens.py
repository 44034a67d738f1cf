"""Words, and the scores of them, are the reference's for whatever the web calls a caption.

The reference splits captions with a Java program; this file is collected where there is Java.
"""

import random
import shutil

import numpy as np
import pytest
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from tasks.metrics.bleu import corpus_bleu
from tasks.metrics.cider import cider_d
from tasks.metrics.rouge import rouge_l
from tasks.metrics.tokens import words, words_of_all

HOSTILE = [
    "",
    "   ",
    "...",
    "- -- ; : , .",
    "?!?!",
    "'",
    '""',
    "()",
    "[]{}",
    "*",
    "**",
    "_",
    "///",
    "\U0001f600",
    "a \U0001f469\u200d\U0001f467 family",
    "I \u2764\ufe0f cats",
    "\U0001f1e9\U0001f1ea flag",
    "cat\U0001f600dog",
    "\U0001d49c \U00010348",
    "\u200b",
    "\ufeff a",
    "a\xadcat",
    "\ufffd",
    "\x00",
    "a\x07b",
    "caf\xe9",
    "cafe\u0301",
    "\u0130stanbul",
    "\u0939\u093f\u0928\u094d\u0926\u0940",
    "\u0e44\u0e17\u0e22",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "\ud55c\uad6d\uc5b4",
    "\u65e5\u672c\u8a9e\u306e\u732b",
    "\xabguillemets\xbb",
    "\u201elow\u201c",
    "\xbfque?",
    "10\xb0C \xb1 2\xd7",
    "\u2155 \u2161 \xaa",
    ":)",
    ":-(",
    ";-)",
    "=D",
    ">:(",
    "^_^",
    "-_-",
    ":|",
    "a smile :) here",
    ":D:D",
    "8-)",
    "<3",
    "&lt;b&gt; &quot;x&quot; &nbsp; &amp; &apos;s &#39; &copy; &mdash;",
    "<br/>",
    '<img src="a.jpg">',
    "http://a.com/b?c=d&e=f.",
    "www.a.com/b?c=d",
    "mailto:a@b.com",
    "a@b",
    "<http://a.com>",
    "http://",
    "(555) 555-1234",
    "(555)555-1234",
    "1.5x 3.14t",
    "2007-2009,2011",
    "1,0 :1 ,5 -.5 +1h",
    "a1.5b",
    "1.jpg 007.PNG 2.webp",
    "img_1.jpg",
    "v1.2.3",
    "8.x",
    "5'10\" tall",
    "f/2.8,50mm",
    "1/2-inch",
    "a!b dog!!cat",
    "dog..cat",
    "dog....cat",
    "e.g., i.e. vs. approx. 5",
    "figs. 5, no. 5, no. five",
    "in Mass. and Pa. and mass. and pa.",
    "Jan. 1, Mon., Sat.",
    "Ltd. Corp. plc. bldg.",
    "rock'n'roll",
    "o'clock d'Or n'est bird's-eye Mc'Donald ma'am",
    "can`t don`t",
    "'tisn't '90s '05",
    "a/b/c/d/e",
    "/usr/local/bin",
    "a_b _c_ __init__",
    "#a_b #a1 ##a @a_b @@a",
    "A&B a&b x&y&z",
    "a\tb",
    "  a   cat  ",
    "\u3000a\u3000b",
    "a-\u2010b well\u2011known",
    "\u2026and so on\u2026",
    "a " * 3000,
    "cat" * 3000,
    "very, " * 500 + "very long.",
    "?" * 999,
    "\U0001f600" * 500,
]


def reference(texts: list[str]) -> list[str]:
    # A line between two: the program looks into the next line before it ends a sentence.
    spaced = {n: [{"caption": text}, {"caption": "so"}] for n, text in enumerate(texts)}
    return [" ".join(both[0].split()) for both in PTBTokenizer().tokenize(spaced).values()]


if shutil.which("java"):

    def test_hostile_captions_have_the_words_that_the_reference_finds() -> None:
        said = reference(HOSTILE)
        assert {t[:60]: " ".join(words(t)) for t in HOSTILE} == dict(
            zip((t[:60] for t in HOSTILE), said, strict=True)
        )

    @pytest.mark.slow
    def test_every_character_parts_or_joins_words_as_the_reference_has_it() -> None:
        # Those that end a line for Java would part the program's input at the wrong places, and
        # surrogates are no characters.
        ends = {10, 11, 12, 13, 0x85, 0x2028, 0x2029}
        codes = [c for c in range(1, 0x10000) if c not in ends and not 0xD800 <= c < 0xE000]
        codes += [0x1F600, 0x10348, 0x20000]
        lines = [part for c in codes for part in (f"xy{chr(c)}zw", chr(c))]
        wrong = [
            (line.encode("unicode-escape"), said, words(line))
            for line, said in zip(lines, reference(lines), strict=True)
            if said != " ".join(words(line))
        ]
        assert wrong == []

    def test_scores_of_hostile_captions_are_the_references_to_a_millionth() -> None:
        draw = random.Random(11)
        usual = ["a cat on a mat", "two dogs run", "a red car isn't here", "the man's hat"]
        pool = [*HOSTILE[:-5], *usual]
        gts = {
            n: [{"caption": text} for text in draw.choices(pool, k=draw.randint(1, 5))]
            for n in range(173)
        }
        res = {
            n: [{"caption": draw.choice([own[0]["caption"], draw.choice(pool)])}]
            for n, own in gts.items()
        }
        # Each caption ends with a word: the program looks into the next line otherwise.
        for listed in (*gts.values(), *res.values()):
            for one in listed:
                one["caption"] += " so"
        tokenizer = PTBTokenizer()
        want, got = tokenizer.tokenize(gts), tokenizer.tokenize(res)
        # No-break spaces part words for BLEU and CIDEr, and not for ROUGE: here for all.
        want, got = (
            {n: [" ".join(text.split()) for text in own] for n, own in table.items()}
            for table in (want, got)
        )
        captions = [words(res[n][0]["caption"]) for n in res]
        references = [words_of_all([one["caption"] for one in gts[n]]) for n in gts]
        bleu, _ = Bleu(4).compute_score(want, got, verbose=0)
        assert corpus_bleu(captions, references) == pytest.approx(bleu, abs=1e-6)
        _, each = Rouge().compute_score(want, got)
        np.testing.assert_allclose(rouge_l(captions, references), each, atol=1e-6)
        _, each = Cider().compute_score(want, got)
        np.testing.assert_allclose(cider_d(captions, references), each, atol=1e-6)


@pytest.mark.parametrize(
    "part", ["a.", "1a.", "'", "&", "<a ", "http://", "...", "-", "a@", "(555) ", "1,", ":(", "n't"]
)
def test_a_caption_of_three_hundred_kilobytes_is_read_to_its_end(part: str) -> None:
    # What looked back at everything at every character would not come to an end.
    assert words(part * (300_000 // len(part)) + " cat")[-1] == "cat"
