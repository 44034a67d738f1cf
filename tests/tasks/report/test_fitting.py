"""However much a run has to show, its page stays below four megabytes and says what it left out."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tasks.report.contents import BEFORE_GALLERIES
from tasks.report.figures import Drawn, DrawnSection, Header
from tasks.report.fitting import MOST_BYTES, fitting_page
from tasks.report.galleries import GALLERIES, Shown

HEADER = Header(
    run="a-run",
    lake="lake",
    written_at=datetime(2026, 11, 21, tzinfo=UTC),
    revision="",
    selection={},
    rbm_run="",
    gates={"pass": 19},
    headlines=(),
)
ARTICLE = "a brown dog runs over the <green> meadow & beyond " * 200


def gallery(pictures: int, thumbnail: int) -> Shown:
    texts = [{"source": "web", "kept": True, "text": ARTICLE, "itm": 0.5, "itc": None, "pmi": None}]
    card = {"kind": "kept", "batch": "web", "shard": "00000", "width": 3, "height": 5, "url": ""}
    card |= {"page_url": "", "texts": [{**one, "reasons": []} for one in texts * 6]}
    cards = ({**card, "key": f"{n:020d}", "thumbnail": "x" * thumbnail} for n in range(pictures))
    return Shown(gallery=GALLERIES[0], cards=tuple(cards), sql="select 1")


def section(*sizes: int) -> DrawnSection:
    whole = BEFORE_GALLERIES[0]
    drawn = [
        Drawn(
            figure=replace(whole.figures[0], name=f"figure{n}", folded=None),
            rows=[{"value": n}],
            columns=("value",),
            svg=f"<svg>{'x' * size}</svg>",
            sql="select 1",
            missing="",
        )
        for n, size in enumerate(sizes)
    ]
    return DrawnSection(section=whole, figures=tuple(drawn))


def test_texts_as_long_as_articles_are_cut_off_and_still_escaped() -> None:
    text = fitting_page(HEADER, [], [gallery(223, 0)], []).decode()
    assert len(text.encode()) < MOST_BYTES
    assert text.count('class="card"') == 223
    assert "the <green>" not in text
    assert max(map(len, re.findall(r"<q [^>]*>(.*?)</q>", text))) < len(ARTICLE) / 5


@pytest.mark.parametrize(("pictures", "shown"), [(100, 100), (400, 200), (1700, 212)])
def test_a_gallery_too_many_shows_its_first_pictures_and_says_how_many_it_left_out(
    pictures: int, shown: int
) -> None:
    text = fitting_page(HEADER, [], [gallery(pictures, 12_000)], []).decode()
    assert len(text) < MOST_BYTES
    assert text.count('class="card"') == shown
    assert (f"{pictures - shown} more pictures" in text) == (pictures > shown)


def test_the_largest_drawings_give_way_to_their_numbers_and_the_others_stay() -> None:
    text = fitting_page(HEADER, [section(30, 3_000_000, 50)], [], [section(2_000_000)]).decode()
    assert len(text) < MOST_BYTES
    assert [len(one) for one in re.findall(r"<svg>(x*)</svg>", text)] == [30, 50, 2_000_000]
