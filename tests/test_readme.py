"""What the README names is there: files, make targets, modules, and its plan is a plan."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from flows.plan import Plan
from tasks.settings import settings_from

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "CONTRIBUTING.md", "infra/README.md", "sql/README.md", "RESULTS.md")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_points_at_one(page: str) -> None:
    text = (ROOT / page).read_text()
    linked = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    missing = [link for link in linked if not (ROOT / page).parent.joinpath(link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_is_in_the_makefile(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)\b", _commands(page)))
    assert named <= targets


@pytest.mark.parametrize("page", PAGES)
def test_every_module_that_is_run_exists(page: str) -> None:
    named = set(re.findall(r"python -m ((?:flows|tasks)[\w.]*)", (ROOT / page).read_text()))
    assert not [module for module in named if importlib.util.find_spec(module) is None]


def test_the_plan_of_the_readme_is_one() -> None:
    (plan,) = blocks("README.md", "json")
    assert settings_from(Plan, json.loads(plan)).pretraining.preset == "minilm"


def test_the_two_commands_come_first() -> None:
    first = blocks("README.md", "sh")[0]
    assert [line.split("#")[0].strip() for line in first.splitlines()] == ["make demo", "make test"]


def _commands(page: str) -> str:
    """The code of a page: its blocks and what stands between backticks."""
    text = (ROOT / page).read_text()
    return "\n".join(re.findall(r"`+[^`]+`+|^ {4}.*$", text, flags=re.MULTILINE))
