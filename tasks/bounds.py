"""The bounds that settings keep; the first one outside is refused by its name."""

from collections.abc import Callable, Sequence

from tasks.errors import InputError


def above_zero(settings: object, *names: str) -> None:
    """Refuse settings of these names that are 0, negative or no number.

    Raises:
        InputError: names the setting and says what it is.
    """
    _each(settings, names, "above 0", lambda value: value > 0)


def at_least(lowest: int, settings: object, *names: str) -> None:
    """Refuse settings of these names that are lower or no number; raises as `above_zero`."""
    _each(settings, names, f"{lowest} or more", lambda value: value >= lowest)


def between(lowest: int, highest: int, settings: object, *names: str) -> None:
    """Refuse settings of these names beyond either end; raises as `above_zero`."""
    bounds = f"from {lowest} to {highest}"
    _each(settings, names, bounds, lambda value: lowest <= value <= highest)


def shares(settings: object, *names: str) -> None:
    """Refuse settings of these names outside 0 to 1; raises as `above_zero`."""
    _each(settings, names, "a share from 0 to 1", lambda value: 0 <= value <= 1)


def one_of(settings: object, **known: Sequence[str]) -> None:
    """Refuse settings that are none of the words known for their name; raises as `above_zero`."""
    for name, words in known.items():
        value = getattr(settings, name)
        if value not in words:
            raise InputError(f"{name} is one of {', '.join(words)}, not {value!r}")


def _each(
    settings: object, names: tuple[str, ...], bounds: str, keeps: Callable[[float], bool]
) -> None:
    for name in names:
        value = getattr(settings, name)
        if not keeps(value):
            raise InputError(f"{name} is {bounds}, not {value}")
