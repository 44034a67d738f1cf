"""What tests of selections say often: a choice, a picture with texts, and what was decided."""

from typing import Any

from tasks import rows
from tasks.selection import Selection, select
from tasks.storage import Lake
from tests.lakes import CAPTIONER, FILTER, Painted, Text, caption_id, key_of

GOOD = "a brown dog runs over the green meadow"
ALSO_GOOD = "two white cats sleep on a red sofa"


def blip(*batches: str, **more: Any) -> Selection:
    given = {"caption_runs": (CAPTIONER,), "score_run": FILTER, "batches": batches or ("web",)}
    return Selection(policy="blip", **{**given, **more})


def one_text(name: str, text: str = GOOD, **facts: Any) -> Painted:
    return Painted(name=name, texts=[Text(text=text, **facts)])


def with_synthetic(name: str, web_itm: float, synthetic_itm: float) -> Painted:
    texts = [
        Text(text=GOOD, itm=web_itm),
        Text(text=ALSO_GOOD, source="synthetic", itm=synthetic_itm),
    ]
    return Painted(name=name, texts=texts)


def table(lake: Lake, kind: str, selection_id: str) -> list[dict[str, Any]]:
    schema = rows.SELECTIONS if kind == "selections" else rows.DECISIONS
    return rows.read_all(lake, f"{kind}/{selection_id}/*/*.parquet", schema).to_pylist()


def reasons(
    lake: Lake, how: Selection, name: str, *, batch: str = "web", source: str = "web"
) -> dict[str, str]:
    """Rule -> verdict for one picture's first text of a source."""
    found = table(lake, "decisions", select(lake, how).id)
    wanted = caption_id(batch, name, source)
    return {row["rule"]: row["verdict"] for row in found if row["caption_id"] == wanted}


def selected_sources(lake: Lake, how: Selection, name: str, batch: str = "web") -> list[str]:
    found = table(lake, "selections", select(lake, how).id)
    return sorted(row["source"] for row in found if row["key"] == key_of(batch, name))
