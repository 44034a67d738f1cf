"""A number outside its bounds is refused by its name, and one on them is not."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tasks.bounds import above_zero, at_least, between, shares
from tasks.errors import InputError

NAN = float("nan")


@dataclass(frozen=True, kw_only=True, slots=True)
class Numbers:
    first: float = 0.5
    second: float = 0.5


def at_least_two(settings: object, *names: str) -> None:
    at_least(2, settings, *names)


def two_to_seven(settings: object, *names: str) -> None:
    between(2, 7, settings, *names)


@pytest.mark.parametrize(
    ("check", "kept", "refused", "line"),
    [
        (above_zero, (0.001, 3), (0, -1, NAN), "second is above 0, not {}"),
        (at_least_two, (2, 3), (1.999, -2, NAN), "second is 2 or more, not {}"),
        (two_to_seven, (2, 3, 7), (1.999, 7.001, NAN), "second is from 2 to 7, not {}"),
        (shares, (0, 0.5, 1), (-0.001, 1.001, NAN), "second is a share from 0 to 1, not {}"),
    ],
)
def test_the_one_outside_is_named(
    check: Callable[..., None], kept: tuple[float, ...], refused: tuple[float, ...], line: str
) -> None:
    for value in kept:
        check(Numbers(first=kept[-1], second=value), "first", "second")
    for value in refused:
        with pytest.raises(InputError) as said:
            check(Numbers(first=kept[-1], second=value), "first", "second")
        assert str(said.value) == line.format(value)


def test_settings_that_are_not_named_are_not_looked_at() -> None:
    above_zero(Numbers(first=1, second=-1), "first")
