"""A lake with something for every part of a report, and what its page says, read back."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from tasks import rows
from tasks.catalogue.building import build_catalogue
from tasks.report.report import write_report
from tasks.selection import select
from tasks.storage import Lake
from tests.lakes import Painted, Text, key_of, new_lake, write_batch, write_duplicates
from tests.selecting import ALSO_GOOD, GOOD, blip

SCRIPT = "<script>alert('caption')</script> a dog and a cat on a sofa"
QUOTE = '"><img src=x onerror=alert(1)> a dog and a cat on a sofa'
RED = np.full((290, 430, 3), (220, 20, 20), dtype=np.uint8)


def write_lake(root: Path) -> Lake:
    """Seven pictures of a web batch: four kept texts of web and captioner, and four dropped ones.

    name     web text          ITM   synthetic  ITM   planted
    kept     good              0.9   good       0.8   none
    rescued  wrong             0.1   good       0.9   swapped
    lost     wrong             0.2   wrong      0.3   swapped
    hard     good              0.51  none             none
    copy     of kept           0.9   none             none
    script   markup            0.7   none             none
    gone     no picture
    """
    lake = new_lake(root)
    pictures = [
        _picture("kept", 0.9, 0.8, pmi=3.0),
        _picture("rescued", 0.1, 0.9, pmi=-2.0),
        _picture("lost", 0.2, 0.3, pmi=-3.0),
        _picture("hard", 0.51, None, pmi=1.0),
        _picture("copy", 0.9, None, pmi=2.0),
        Painted(
            name="script",
            texts=[Text(text=SCRIPT, itm=0.7), Text(text=QUOTE, itm=0.6)],
            web={"url": "javascript:alert(2)", "page_url": "JavaScript:alert(3)", "domain": QUOTE},
        ),
        Painted(name="gone", outcome=rows.Outcome.HTTP_ERROR, web={"http_status": 404}),
    ]
    write_batch(lake, "web", pictures)
    write_duplicates(lake, "web", {"copy": ("kept", 2)})
    planted = {"kept": "none", "rescued": "swapped", "lost": "swapped", "hard": "none"}
    truth = [
        {"key": key_of("web", name), "text": GOOD, "noise": noise, "is_noise": noise != "none"}
        for name, noise in planted.items()
    ]
    rows.write_rows(lake, "truth/web.parquet", rows.table_of(truth, rows.TRUTH))
    select(lake, blip())
    return lake


def _picture(name: str, web: float, synthetic: float | None, pmi: float) -> Painted:
    texts = [Text(text=GOOD, itm=web, itc=web / 2, pmi=pmi)]
    if synthetic is not None:
        texts.append(Text(text=ALSO_GOOD, source="synthetic", itm=synthetic, itc=0.3, pmi=pmi))
    return Painted(name=name, texts=texts)


def reported(lake: Lake, run: str = "a-run") -> tuple[str, dict[str, Any]]:
    """Build the catalogue and the report; return the page and its numbers."""
    build_catalogue(lake)
    page = lake.read_bytes(write_report(lake, run, revision="0123abcd")).decode()
    return page, lake.read_json(f"reports/{run}/report.json")


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the texts between tags, as browsers do."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]
