"""What the experiment cannot use is told before it begins, in one line, and leaves no trace."""

from pathlib import Path

import pytest

from tasks.errors import InputError
from tests.experiments.rbm.cached import _named
from tests.experiments.rbm.protocol import main

THERE = {name: f"checkpoints/{name}/1" for name in ("captioner", "filter", "raw")}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--figure", "nowhere/figure.svg"], "there is no folder nowhere for the figure"),
        (["--pictures", "399"], "pictures 400 or more"),
        (["--seeds", "0"], "seeds is 1 or more"),
    ],
)
def test_words_that_mean_nothing_are_told_first(tmp_path: Path, more: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        main([str(tmp_path), *more])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("scorer", "judge"), [("nobody", "own"), ("own", "own"), ("captioner", "own"), ("raw", "raw")]
)
def test_who_writes_scores_and_judges_are_different_models_of_the_demo(
    scorer: str, judge: str
) -> None:
    with pytest.raises(InputError, match=f"or own, not {scorer} and {judge}"):
        _named(THERE, scorer, judge)
    assert _named(THERE, "filter", "own") == ["checkpoints/captioner/1", "checkpoints/filter/1"]
    assert _named(THERE, "filter", "raw")[2] == "checkpoints/raw/1"
