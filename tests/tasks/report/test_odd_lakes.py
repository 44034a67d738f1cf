"""Numbers that are none, names full of quotes, texts in any script: views and reports bear them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sql.statements import names
from tasks.catalogue.building import build_catalogue, open_catalogue
from tasks.database import Database
from tasks.errors import LakeError
from tasks.report.numbers import sortable
from tasks.report.report import write_report
from tasks.selection import Selection, select
from tasks.storage import Lake
from tests.lakes import CAPTIONER, FILTER, Painted, Text, new_lake, write_batch
from tests.reported import Elements

BATCH = 'it\'s "a b" & <c>'
NAN, INF = float("nan"), float("inf")
TEXTS = {
    "🐶🐱 a dog and a cat 👩‍👩‍👧‍👦 on a sofa": 0.9,
    "كلب بني يجري فوق العشب الأخضر": NAN,
    "a dog\nruns\r\nover\tthe\u2028meadow": INF,
    "</script><script>alert(1)</script> a dog": -INF,
    "word " * 3001: 0.7,
    "nul \0 a dog": None,
    "": 0.1,
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = new_lake(tmp_path_factory.mktemp("odd") / "lake")
    pictures = [
        Painted(
            name=f"p{nth}",
            texts=[
                Text(text=text, itm=score, itc=score, pmi=score, signals={"char_rep": score}),
                Text(text=text[:97] or "x", source="synthetic", itm=0.9, pmi=-INF),
            ],
        )
        for nth, (text, score) in enumerate(TEXTS.items())
    ]
    write_batch(made, BATCH, pictures, per_shard=3)
    for policy in ("raw", "blip2"):
        how = Selection(
            policy=policy, batches=(BATCH,), caption_runs=(CAPTIONER,), score_run=FILTER
        )
        select(made, how)
    build_catalogue(made)
    return made


@pytest.fixture(scope="module")
def catalogue(lake: Lake) -> Iterator[Database]:
    with open_catalogue(lake) as opened:
        yield opened


@pytest.mark.parametrize("view", names("views"))
def test_every_view_answers(catalogue: Database, view: str) -> None:
    catalogue.ask(f"from {view.removeprefix('views/')}")


def test_a_signal_with_an_infinity_has_not_drifted_from_itself(catalogue: Database) -> None:
    asked = "from drift_psi($batch, $batch, 'char_rep')"
    assert catalogue.ask(asked, batch=BATCH) == [{"signal": "char_rep", "psi": 0.0}]


def test_an_infinite_score_reaches_every_threshold_or_none(catalogue: Database) -> None:
    asked = (
        "select threshold, keep_rate from v_itm_threshold_sweep "
        "where source = 'web' and selection like 'raw-%' order by threshold"
    )
    kept = [row["keep_rate"] for row in catalogue.ask(asked)]
    # Five are scored: of 0.9, 0.7, 0.1 and an infinity four are above 0, of which one stays at 1.
    assert (kept[0], kept[-1]) == (4 / 5, 1 / 5)


@pytest.mark.parametrize("policy", ["raw", "blip2"])
def test_a_report_shows_them_as_they_are(lake: Lake, catalogue: Database, policy: str) -> None:
    (found,) = catalogue.ask("select id from selection where policy = $policy", policy=policy)
    page = lake.read_bytes(write_report(lake, policy, selection=found["id"])).decode()
    elements = Elements(page)
    assert len(elements.named("script")) == 1
    assert "</script><script>alert(1)</script> a dog" in elements.texts
    assert all(one["dir"] == "auto" for one in elements.named("q"))
    assert not re.findall(r'data-itm="-?(?:nan|inf)', page)
    numbers = lake.read_bytes(f"reports/{policy}/report.json").decode()
    json.loads(numbers, parse_constant=pytest.fail)


def test_a_card_is_sorted_by_its_first_number() -> None:
    assert sortable([None, NAN, 0.25, 0.5]) == "0.25"
    assert sortable([INF, None]) == ""


@pytest.mark.parametrize("target", ["nowhere/at/all", "blocked"])
def test_where_it_cannot_be_written_one_line_says_so(lake: Lake, target: str) -> None:
    """A link to itself refuses what a disk that is only read refuses: to remove, as to write."""
    link = Path(lake.root, "reports", "blocked")
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(target)
    with pytest.raises(LakeError, match="cannot write under") as caught:
        write_report(lake, "blocked")
    assert "\n" not in str(caught.value)
    link.unlink()
