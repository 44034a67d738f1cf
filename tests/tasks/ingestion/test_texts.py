"""Text signals are what counting by hand gives, and no text takes long."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import rows
from tasks.ingestion.texts import norm_hash, text_signals


def test_counts_and_shares_are_those_of_paper_and_pencil() -> None:
    # "A cat, a CAT 42!" : 16 characters, of them 7 letters, 4 blanks, 2 digits, 3 signs less 1
    found = text_signals("A  cat, a CAT 42!")
    assert found["n_chars"] == 16
    assert found["n_words"] == 5
    assert found["alpha_ratio"] == pytest.approx(12 / 16)
    assert found["digit_ratio"] == pytest.approx(2 / 16)
    assert found["special_ratio"] == pytest.approx(2 / 16)
    assert found["upper_ratio"] == pytest.approx(4 / 16)
    assert found["word_rep"] == pytest.approx(1 - 3 / 5)  # a, cat, 42


def slow_shares(text: str) -> dict[str, float]:
    """Shares of one line of NFKC text, a character at a time."""
    counts = {
        "alpha_ratio": sum(c.isalpha() or c.isspace() for c in text),
        "digit_ratio": sum(c.isdigit() for c in text),
        "special_ratio": sum(not c.isalnum() and not c.isspace() for c in text),
        "upper_ratio": sum(c.isupper() for c in text),
    }
    return {name: count / len(text) for name, count in counts.items()}


@given(st.text(min_size=1, max_size=60))
@settings(max_examples=300, derandomize=True, deadline=None)
def test_shares_are_those_of_counting_character_by_character(text: str) -> None:
    # Half of the texts are cut down to ASCII, which is counted in another way.
    for one in (text, text.encode("ascii", "ignore").decode()):
        folded = " ".join(unicodedata.normalize("NFKC", one).split())
        if folded:
            found = text_signals(one)
            slow = slow_shares(folded)
            assert {name: found[name] for name in slow} == pytest.approx(slow)


def test_every_ascii_character_is_counted_as_python_sees_it() -> None:
    text = "".join(map(chr, range(128)))
    folded = " ".join(text.split())
    found = text_signals(text)
    slow = slow_shares(folded)
    assert {name: found[name] for name in slow} == pytest.approx(slow)


def test_every_signal_has_its_column() -> None:
    assert set(text_signals("a cat")) <= set(rows.CAPTIONS.names)


# Names (different ones) and relations, by hand.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("photo of the", 0),
        ("42 7", 0),
        ("dog", 1),
        ("a dog, the dog and a DOG", 1),
        ("a brown dog sitting on a red sofa", 4 + 2),
        ("a cat in a box in a box", 2 + 2),
        (" ".join(f"w{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(400)), 255),
    ],
)
def test_complexity_counts_names_and_relations(text: str, expected: int) -> None:
    assert text_signals(text)["complexity"] == expected


def test_a_long_text_is_no_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        assert text_signals("a brown dog runs over the green meadow " * 30)["lang"] == "en"
    assert not caplog.records


def test_a_text_that_loops_has_few_different_five_grams() -> None:
    # "abababab": 4 five-grams, 2 of them different
    assert text_signals("abababab")["char_rep"] == pytest.approx(0.5)
    assert text_signals("a cat on a mat")["char_rep"] == 0


@pytest.mark.parametrize(
    ("text", "signal", "expected"),
    [
        ("IMG_2034.jpg", "is_filename", True),
        ("DSC 0042", "is_filename", True),
        ("a dog in the grass", "is_filename", False),
        ("see http://a.org/x", "url_in_text", True),
        ("visit shop.com today", "url_in_text", True),
        ("a dog in the grass", "url_in_text", False),
        ("write to me@a.org", "pii_flag", True),
        ("call +49 30 1234567", "pii_flag", True),
        ("in 2019 a dog", "pii_flag", False),
        ("click to enlarge", "has_stop_phrase", True),
        ("a dog in the grass", "has_stop_phrase", False),
    ],
)
def test_what_is_no_description_is_known(text: str, signal: str, expected: bool) -> None:
    assert text_signals(text)[signal] is expected


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("a brown dog runs over the green meadow", "en"),
        ("ein brauner Hund läuft über die grüne Wiese", "de"),
        ("", ""),
    ],
)
def test_the_language_is_detected_without_a_download(text: str, language: str) -> None:
    assert text_signals(text)["lang"] == language


def test_hashes_agree_when_only_case_digits_and_punctuation_differ() -> None:
    assert norm_hash("A cat, 12 dogs!") == norm_hash("a CAT 7 dogs")
    assert norm_hash("a cat") != norm_hash("a dog")


@pytest.mark.parametrize("text", ["a" * 200_000, "1-" * 100_000, "a@" * 100_000, ". " * 100_000])
def test_a_hostile_text_has_finite_signals(text: str) -> None:
    found = text_signals(text)
    shares = ("alpha_ratio", "digit_ratio", "special_ratio", "upper_ratio", "char_rep", "word_rep")
    assert all(0 <= found[name] <= 1 for name in shares)


@pytest.mark.parametrize(
    ("told", "signal"),
    [
        ("click to enlarge", "has_stop_phrase"),
        ("www.a.org", "url_in_text"),
        ("me@a.org", "pii_flag"),
    ],
)
def test_patterns_that_backtrack_see_the_start_of_a_text_and_no_more(
    told: str, signal: str
) -> None:
    # Their work grows with the square of what they see, so it is bounded by what they see.
    filler = "a dog and "
    assert text_signals(filler * 150 + told)[signal] is True
    assert text_signals(filler * 250 + told)[signal] is False


def test_a_name_longer_than_any_file_has_is_no_file_name() -> None:
    assert text_signals("a" * 250 + ".jpg")["is_filename"] is True
    assert text_signals("a" * 252 + ".jpg")["is_filename"] is False
