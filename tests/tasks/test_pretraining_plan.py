"""A plan is read whole: by its recipe, by what it says itself; a bad one ends in a line."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from models.objective import Objective
from models.preprocessing import Augmentation
from models.presets import preset
from tasks.checkpoints import load_model
from tasks.commands import run_command
from tasks.errors import InputError
from tasks.pretraining import Pretraining, main, plan_from
from tasks.storage import Lake
from tests.small_lake import write_lake, write_selection

HOW = Pretraining(preset="test", steps=6, batch_size=5, vocab_size=80)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = write_lake(tmp_path / "lake", counts=(7, 4))
    write_selection(lake, "all")
    return lake


def test_the_published_recipe_is_what_its_authors_ran() -> None:
    plan = plan_from({"selections": ["all"], "recipe": "blip", "settings": {"steps": 100_000}})
    how = plan.settings
    assert (how.batch_size, how.learning_rate, how.warmup_steps) == (2880, 3e-4, 3000)
    assert (how.weight_decay, how.decay_all, how.clip_norm) == (0.05, True, 0)
    assert how.rate(2999, 0) == 3e-4
    assert how.rate(5000, 3) == pytest.approx(3e-4 * 0.9**3)
    assert how.rate(99_999, 60) == 1e-6
    assert how.augmentation == Augmentation(min_scale=0.2, operations=2, magnitude=5)
    wanted = Objective(alpha=0.4, momentum=0.995, queue_size=57600, label_smoothing=0.1)
    assert how.objective_used == replace(wanted, gathered=False, teacher_dropout=True)
    assert (
        plan_from({"selections": [], "recipe": "blip", "settings": {"seed": 3}}).settings.seed == 3
    )
    with pytest.raises(InputError, match=r"recipe is one of , blip, not 'clip'"):
        plan_from({"selections": [], "recipe": "clip", "settings": {}})


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"preset": "huge"}, "there is no preset 'huge'; choose one of test, tiny"),
        ({"steps": 0}, "steps is above 0, not 0"),
        ({"max_length": 2}, "max_length is 3 or more, not 2"),
        ({"workers": -1}, "workers is 0 or more, not -1"),
        (
            {"schedule": "square"},
            "schedule is one of cosine, linear, constant, epoch, not 'square'",
        ),
        ({"init": "thin air"}, "init is scratch, packaged, or .* there is no thin air"),
        ({"vocab_size": 3}, "vocab_size is at least 40"),
        ({"seed": 2**63}, r"seed is below 2 \*\* 63, not 9223372036854775808"),
    ],
)
def test_settings_check_themselves(change: dict[str, object], line: str) -> None:
    with pytest.raises(InputError, match=line):
        replace(HOW, **change)  # type: ignore[arg-type]  # wrong values on purpose


def test_the_command_trains_and_a_second_one_finds_it_done(lake: Lake, tmp_path: Path) -> None:
    settings = {"preset": "test", "steps": 3, "batch_size": 5, "vocab_size": 80}
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"selections": ["all"], "settings": settings}))
    assert run_command(main, [lake.root, "r", str(plan)]) == 0
    command = [sys.executable, "-m", "tasks.pretraining", lake.root, "r", str(plan)]
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "r is done: checkpoints/r/00000003" in again.stderr
    assert load_model(lake, "checkpoints/r").model.shape == preset("test")


@pytest.mark.parametrize(
    ("plan", "line"),
    [
        ({"selections": ["all"], "settings": {"preset": "huge"}}, "there is no preset 'huge'"),
        ({"selections": ["all"], "settings": {"stepz": 3}}, "settings.stepz is not a setting"),
        (
            {"selections": ["all"], "settings": {"objective": {"alfa": 1}}},
            "settings.objective.alfa is not a setting",
        ),
        ({"selections": ["all"], "settings": {"steps": "many"}}, "settings.steps wants int"),
        ({"selections": ["none"], "settings": {}}, "selection 'none' is missing or unfinished"),
        ({"selections": ["all"], "settings": {}, "device": "abacus"}, "device 'abacus' cannot"),
    ],
)
def test_a_bad_plan_is_one_line_and_leaves_nothing(
    lake: Lake,
    tmp_path: Path,
    plan: dict[str, object],
    line: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan))
    assert run_command(main, [lake.root, "r", str(path)]) == 2
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1
    assert lake.folders("checkpoints") == []


@pytest.mark.parametrize("run", ["a/b", "..", "", "/r"])
def test_a_run_that_no_folder_of_the_lake_can_be_named_after_is_one_line(
    lake: Lake, tmp_path: Path, run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"selections": ["all"], "settings": {"preset": "test"}}))
    assert run_command(main, [lake.root, run, str(path)]) == 2
    assert "names one folder of the lake, which" in capsys.readouterr().err
    assert lake.folders("checkpoints") == []


def test_a_missing_lake_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"selections": ["all"], "settings": {}}))
    assert run_command(main, [str(tmp_path / "nowhere"), "r", str(plan)]) == 2
    said = capsys.readouterr().err
    assert "there is no lake at" in said
    assert said.count("\n") == 1
