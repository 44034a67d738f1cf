"""Whoever edits the statements that selections are made by gets a selection of another name."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.selection import Selection, select
from tasks.storage import Lake
from tests.lakes import Painted, Text, new_lake, write_batch
from tests.selecting import ALSO_GOOD, GOOD, one_text

STATEMENTS = Path(__file__).parents[2] / "sql"
CHEAP = Path("selection/cheap_rules.sql")
ADDRESS = "write to jane.doe@mail.example today"
OWN = """-- What drops when a policy of mine adds a rule to the cheap ones?
-- reads cheap_rule; returns source and rule
select 'web' as source, rule
from (from cheap_rule union all select 'blurry' as rule)
"""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = new_lake(tmp_path / "lake")
    signals = {"lap_var": 14.0, "entropy": 3.1}
    blurred = Painted(name="blurred", texts=[Text(text=ALSO_GOOD)], web=signals)
    write_batch(made, "web", [one_text("good", GOOD), one_text("address", ADDRESS), blurred])
    return made


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    """A copy of the statements that a person may edit."""
    return Path(shutil.copytree(STATEMENTS, tmp_path / "edited" / "sql"))


def selected_with(edited: Path, lake: Lake, policy: str) -> dict[str, int]:
    """Captions kept by each selection, once the edited statements have made theirs."""
    command = [sys.executable, "-m", "tasks.selection", lake.root, "--batch", "web"]
    done = subprocess.run(
        [*command, "--policy", policy],
        env={**os.environ, "PYTHONPATH": str(edited.parent)},
        cwd=edited.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    cards = (lake.read_json(card) for card in lake.glob("selections/*/selection.json"))
    return {card["id"]: card["counts"]["selected"] for card in cards}


def test_a_shorter_list_of_cheap_rules_is_another_selection(lake: Lake, edited: Path) -> None:
    before = select(lake, Selection(policy="heuristics", batches=("web",)))
    assert selected_with(edited, lake, "heuristics") == {before.id: 2}
    text = (edited / CHEAP).read_text()
    (edited / CHEAP).write_text(text.replace("        'pii',\n", ""))
    after = selected_with(edited, lake, "heuristics")
    assert after.pop(before.id) == 2
    assert list(after.values()) == [3]


def test_a_policy_of_ones_own_is_a_file_that_may_read_the_cheap_rules(
    lake: Lake, edited: Path
) -> None:
    (edited / "policies" / "mine.sql").write_text(OWN)
    ((name, kept),) = selected_with(edited, lake, "mine").items()
    assert name.startswith("mine-")
    assert kept == 1
