"""Captions that are no captions: empty, only the prompt, or a loop.

They are marked before the filter sees them: a matching head has never met "post post post" and its
score of it means nothing.
"""

from collections import Counter

LOOP_WORDS = 3
LOOP_TIMES = 3
MOST_REPETITION = 0.6


def is_degenerate(text: str, prompt: str = "") -> bool:
    """Tell whether a written caption says nothing.

    True when it is empty or the prompt alone, when it is some words said over and over from its
    beginning to its end, when a run of three words comes three times or more, or when more than 0.6
    of its words were there before.
    """
    words, begun = text.lower().split(), prompt.lower().split()
    said = words[len(begun) :] if words[: len(begun)] == begun else words
    if not said or _is_periodic(said):
        return True
    runs = Counter(zip(said, said[1:], said[2:], strict=False))
    return max(runs.values(), default=0) >= LOOP_TIMES or word_repetition(said) > MOST_REPETITION


def _is_periodic(words: list[str]) -> bool:
    """Tell whether a text of three words or more is its beginning said twice or more often."""
    count = len(words)
    return count > 2 and any(
        words[period:] == words[: count - period] for period in range(1, count // 2 + 1)
    )


def word_repetition(words: list[str]) -> float:
    """Return the share of words that came before in the same text; 0 for none."""
    return 1 - len(set(words)) / len(words) if words else 0.0
