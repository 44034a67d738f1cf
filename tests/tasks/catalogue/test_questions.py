"""Every question of the README pages has an answer, and the page misses no table, view or macro."""

import re
from pathlib import Path

import pytest

from sql.statements import names, question
from tasks import rows
from tasks.catalogue.building import build_catalogue, open_catalogue
from tasks.selection import Selection, select
from tasks.storage import Lake
from tests.lakes import Painted, Text, key_of, new_lake, write_batch, write_duplicates
from tests.selecting import ALSO_GOOD, GOOD, blip

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "sql/README.md"
PAGES = (ROOT / "README.md", PAGE)


def questions() -> list[str]:
    texts = [page.read_text() for page in PAGES]
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
    """A lake with something of everything: the batches of the demo, copies, noise, a model."""
    made = new_lake(tmp_path_factory.mktemp("questions") / "lake")
    write_batch(made, "web", [picture(n) for n in range(7)], per_shard=4)
    human = [Text(text=f"{GOOD} {ALSO_GOOD}", source="human", itm=None)]
    write_batch(made, "seed", [Painted(name=f"s{n}", texts=human) for n in range(3)])
    write_duplicates(made, "web", {"p6": ("p0", 2)})
    truth = {"key": key_of("web", "p1"), "text": GOOD, "noise": "swapped", "is_noise": True}
    rows.write_rows(made, "truth/web.parquet", rows.table_of([truth], rows.TRUTH))
    kept = select(made, blip())
    select(made, Selection(policy="raw", batches=("web",)))
    checkpoint = "checkpoints/blip/00000001"
    card = {"facts": {"selections": {kept.id: kept.digest}}}
    made.publish_json(f"{checkpoint}/checkpoint.json", card)
    version = {"name": "caplift-blip", "version": "1", "uri": "models:/caplift-blip/1"}
    told = {"checkpoint": checkpoint, "alias": "champion"}
    made.publish_json("registrations/caplift-blip/1.json", {**version, **told})
    build_catalogue(made)
    return made


def test_there_are_questions_on_both_pages() -> None:
    assert len(questions()) >= 14


@pytest.mark.parametrize("asked", questions())
def test_a_question_as_it_stands_on_the_page_has_an_answer(lake: Lake, asked: str) -> None:
    with open_catalogue(lake) as database:
        assert database.ask(asked)


def test_every_question_of_the_page_is_answered_on_it() -> None:
    text = PAGE.read_text()
    answered = re.findall(r"```sql\n.*?```\n\n```text\n[^`]+```", text, re.DOTALL)
    assert len(answered) == text.count("```sql")


def test_the_page_lists_every_table(lake: Lake) -> None:
    with open_catalogue(lake) as database:
        tables = database.ask("select table_name from duckdb_tables() where not internal")
    section = PAGE.read_text().split("## Tables")[1].split("\n## ")[0]
    listed = set(re.findall(r"`(\w+)`", section))
    assert {row["table_name"] for row in tables} - listed == set()


def test_the_page_lists_every_view_and_macro_with_its_question() -> None:
    listed = dict(re.findall(r"^\| `(\w+)(?:\([^)]*\))?` \| (.*) \|$", PAGE.read_text(), re.M))
    for name in (*names("views"), *names("macros")):
        assert listed[name.split("/")[1]] == question(name)
