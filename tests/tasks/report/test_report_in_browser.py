"""In a real browser a report has no error, asks for nothing, and its galleries filter and sort."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Page, browser
from tests.reported import reported, write_lake

pytestmark = pytest.mark.slow

CARDS = "[...document.querySelectorAll('#gallery-kept .card')]"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("lake")
    reported(write_lake(root))
    return (root / "reports" / "a-run" / "report.html").as_uri()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 820, 1280])
def test_it_is_whole_at_every_width_in_both_schemes(
    page: Page, address: str, width: int, dark: bool
) -> None:
    page.open(address, width=width, dark=dark)
    assert page.value("document.documentElement.scrollWidth") <= width
    shown = page.value(
        "[...document.querySelectorAll('svg')].map(e => e.getBoundingClientRect().width)"
    )
    assert len(shown) > 15
    assert min(shown) > 200
    broken = "[...document.images].filter(e => !e.complete || e.naturalWidth === 0).length"
    assert page.value(broken) == 0
    ground = page.value("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)")


def test_nothing_is_asked_for_and_nothing_goes_wrong(page: Page, address: str) -> None:
    page.open(address)
    assert page.errors == []
    assert {url for url in page.requests if not url.startswith("data:")} == {address}
    assert page.value("document.querySelectorAll('script').length") == 1


def test_the_policy_stops_a_script_that_gets_in_all_the_same(page: Page, address: str) -> None:
    page.open(address)
    page.value(
        "document.body.append(Object.assign(document.createElement('script'),"
        " {textContent: 'window.gotIn = true'}))"
    )
    assert page.value("window.gotIn === undefined")
    page.errors.clear()


def test_words_filter_a_gallery(page: Page, address: str) -> None:
    page.open(address)
    tell(page, ".by-words", "alert('caption')")
    assert page.value(f"{CARDS}.filter(card => card.checkVisibility()).length") == 1
    assert page.value("document.querySelector('#gallery-kept .count').textContent") == "1 of 4"


def test_a_gallery_sorts_by_score_and_back(page: Page, address: str) -> None:
    page.open(address)
    chosen = page.value(f"{CARDS}.map(card => card.dataset.nth)")
    tell(page, ".by-order", "itm-down")
    scores = page.value(f"{CARDS}.map(card => Number(card.dataset.itm))")
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) > 1
    tell(page, ".by-order", "nth")
    assert page.value(f"{CARDS}.map(card => card.dataset.nth)") == chosen


def test_a_kind_filters_the_gallery_of_reasons(page: Page, address: str) -> None:
    page.open(address)
    tell(page, ".by-kind", "near_duplicate", gallery="dropped")
    kinds = (
        "[...document.querySelectorAll('#gallery-dropped .card')]"
        ".filter(card => card.checkVisibility()).map(card => card.dataset.kind)"
    )
    assert page.value(kinds) == ["near_duplicate"]


def test_the_first_stop_of_the_keyboard_skips_to_the_numbers(page: Page, address: str) -> None:
    page.open(address)
    page.press("Tab")
    assert page.value("document.activeElement.getAttribute('href')") == "#content"


@pytest.mark.parametrize("width", [390, 820, 1280])
def test_the_index_is_whole_at_every_width_and_leads_to_the_report(
    page: Page, address: str, width: int
) -> None:
    page.errors.clear()
    index = address.replace("a-run/report.html", "index.html")
    page.open(index, width=width)
    assert page.value("document.documentElement.scrollWidth") <= width
    assert page.value("document.querySelector('td a').href") == address
    assert page.errors == []


def test_each_figure_opens_the_sql_that_made_it(page: Page, address: str) -> None:
    page.open(address)
    figures = page.value("document.querySelectorAll('figure').length")
    opened = page.value(
        "[...document.querySelectorAll('figure .query')].filter(e => {"
        " e.querySelector('summary').click();"
        " return e.open && e.id.startsWith('sql-') && e.querySelector('code').checkVisibility() &&"
        " e.textContent.includes('select') || e.textContent.includes('from'); }).length"
    )
    assert opened == figures > 25


def test_every_picture_of_the_page_can_be_taken(page: Page, address: str, tmp_path: Path) -> None:
    page.open(address)
    page.picture(tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


def tell(page: Page, control: str, value: str, gallery: str = "kept") -> None:
    """Set a control of a gallery as a person would, and let the page hear of it."""
    page.value(
        f"(() => {{ const e = document.querySelector('#gallery-{gallery} {control}');"
        f" e.value = {value!r}; e.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"
    )
