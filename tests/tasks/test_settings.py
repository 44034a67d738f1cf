"""A plan in JSON becomes checked settings, and a mistake in it is named by its dotted path."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tasks.errors import InputError
from tasks.settings import read_plan, settings_from


@dataclass(frozen=True, kw_only=True, slots=True)
class Inner:
    share: float = 0.5
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.share > 1:
            raise ValueError(f"share is at most 1, not {self.share}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Outer:
    steps: int
    inner: Inner = field(default_factory=Inner)
    extra: Inner | None = None
    fast: bool = False


def test_nested_settings_are_built_and_what_is_left_out_keeps_its_default() -> None:
    values = {"steps": 3, "inner": {"share": 1, "names": ["a", "b"]}, "extra": {}, "fast": True}
    built = settings_from(Outer, values)
    inner = Inner(share=1.0, names=("a", "b"))
    assert built == Outer(steps=3, inner=inner, extra=Inner(), fast=True)
    assert isinstance(built.inner.share, float)
    assert settings_from(Outer, {"steps": 3, "extra": None}) == Outer(steps=3)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"steps": 3, "stepz": 5}, "stepz is not a setting; Outer has steps, inner, extra, fast"),
        ({"steps": 3, "inner": {"shore": 1}}, "inner.shore is not a setting; Inner has share"),
        ({"steps": 3, "extra": {"shore": 1}}, "extra.shore is not a setting"),
        ({"steps": "many"}, "steps wants int, got 'many'"),
        ({"steps": True}, "steps wants int, got True"),
        ({"steps": 3, "fast": "no"}, "fast wants bool, got 'no'"),
        ({"steps": 3, "inner": 7}, "inner wants named values, got 7"),
        ({"steps": 3, "inner": {"names": [7]}}, "inner.names wants str, got 7"),
        ({"steps": 3, "inner": {"names": "a"}}, "inner.names wants a list, got 'a'"),
        ({"steps": 3, "inner": {"share": 2.0}}, "inner: share is at most 1, not 2.0"),
        ({}, "Outer: .* 'steps'"),
        ([1], "Outer wants named values"),
    ],
)
def test_a_mistake_is_named_by_its_path(values: object, line: str) -> None:
    with pytest.raises(InputError, match=line):
        settings_from(Outer, values)


def test_a_plan_that_is_no_json_object_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    with pytest.raises(InputError, match="cannot be read"):
        read_plan(path)
    path.write_text("{steps: 3}")
    with pytest.raises(InputError, match="is not JSON"):
        read_plan(path)
    path.write_text("[1]")
    with pytest.raises(InputError, match="is a JSON object"):
        read_plan(path)
