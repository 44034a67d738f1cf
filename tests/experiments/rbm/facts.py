"""What a caption of the demo's pictures says, and whether it is so.

The people's captions of a picture say everything that is in it, so their words are the truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.demo.words import GROUNDS, KINDS
from tasks.metrics.tokens import words

Fact = tuple[str, ...]

NUMBERS = {"a": "1", "an": "1", "two": "2", "three": "3"}
THINGS = {name: kind.name for kind in KINDS.values() for name in (kind.name, kind.plural)}


@dataclass(frozen=True, slots=True)
class Said:
    """How a caption fares against the truth.

    Attributes:
        hallucinates: it names a thing that is not in the picture (CHAIR's sentence rate).
        details: the share of the picture's things, their numbers and its ground that it says right.
    """

    hallucinates: bool
    details: float


def facts(caption: str) -> frozenset[Fact]:
    """Return the things, the number of each, and the colour of the ground that a caption names."""
    found: set[Fact] = set()
    said = words(caption)
    for before, word in zip(("", *said), said, strict=False):
        if word in THINGS:
            found.add(("thing", THINGS[word]))
            if before in NUMBERS:
                found.add(("number", THINGS[word], NUMBERS[before]))
        elif word in GROUNDS:
            found.add(("ground", word))
    return frozenset(found)


def said_of(caption: str, references: Sequence[str]) -> Said:
    """Compare a caption with what people said of the picture, at least one caption."""
    claimed, true = facts(caption), frozenset().union(*(facts(one) for one in references))
    things = {fact for fact in claimed if fact[0] == "thing"}
    return Said(bool(things - true), len(claimed & true) / len(true))
