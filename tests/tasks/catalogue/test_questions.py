"""Every question of the README pages has an answer, and the page misses no view or macro."""

import re
from pathlib import Path

import pytest

from sql.statements import names, question
from tasks.catalogue.building import build_catalogue, open_catalogue
from tasks.selection import Selection, select
from tasks.storage import Lake
from tests.lakes import Painted, Text, new_lake, write_batch
from tests.selecting import ALSO_GOOD, GOOD, blip

ROOT = Path(__file__).resolve().parents[3]
PAGES = ("README.md", "sql/README.md")


def questions() -> list[str]:
    texts = [(ROOT / page).read_text() for page in PAGES]
    return [block for text in texts for block in re.findall(r"```sql\n(.*?)```", text, re.DOTALL)]


def picture(n: int) -> Painted:
    """The more the web text fits by the matching head, the less by the embeddings."""
    texts = [
        Text(text=GOOD, itm=n / 7, itc=(6 - n) / 7, pmi=1.0),
        Text(text=ALSO_GOOD, source="synthetic", itm=0.9),
    ]
    return Painted(name=f"p{n}", texts=texts)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = new_lake(tmp_path_factory.mktemp("questions") / "lake")
    write_batch(made, "web", [picture(n) for n in range(7)])
    select(made, blip())
    select(made, Selection(policy="raw", batches=("web",)))
    build_catalogue(made)
    return made


def test_there_are_questions_on_both_pages() -> None:
    assert len(questions()) >= 14


@pytest.mark.parametrize("asked", questions())
def test_a_question_as_it_stands_on_the_page_has_an_answer(lake: Lake, asked: str) -> None:
    with open_catalogue(lake) as database:
        answer = database.ask(asked)
    # There is no drift between equal batches, no planted truth and no red gate in so small a lake.
    silent = ("v_gate_status", "v_filter_eval", "v_outcomes where")
    assert answer or any(name in asked for name in silent)


def test_the_page_lists_every_view_and_macro_with_its_question() -> None:
    listed = dict(
        re.findall(
            r"^\| `(\w+)(?:\([^)]*\))?` \| (.*) \|$", (ROOT / "sql/README.md").read_text(), re.M
        )
    )
    for name in (*names("views"), *names("macros")):
        assert listed[name.split("/")[1]] == question(name)
