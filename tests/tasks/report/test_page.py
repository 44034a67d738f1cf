"""What strangers wrote stays text, nothing is let in or out, and the page can be read by anyone."""

import base64
import hashlib
import re

import pytest

from sql.statements import names
from tasks.report.galleries import GALLERIES, MOST_BYTES
from tasks.report.page import address, own_text
from tests.reported import QUOTE, SCRIPT, Elements, reported, write_lake

AA_TEXT, AA_DRAWING = 4.5, 3.0  # WCAG 2.2, 1.4.3 and 1.4.11


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return reported(write_lake(tmp_path_factory.mktemp("lake")))[0]


def test_a_caption_full_of_markup_is_shown_and_not_obeyed(page: str) -> None:
    elements = Elements(page)
    assert SCRIPT in elements.texts
    assert QUOTE in elements.texts
    assert len(elements.named("script")) == 1
    assert not [name for _, found in elements.found for name in found if name.startswith("on")]
    assert all(one["src"].startswith("data:image/jpeg;base64,") for one in elements.named("img"))


def test_links_lead_into_the_page_or_to_http(page: str) -> None:
    links = {one["href"] for one in Elements(page).named("a")}
    assert all(link.startswith(("#", "https://pictures.example/")) for link in links)
    assert any(link.startswith("https://") for link in links)


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", " JAVASCRIPT:alert(1)", "data:text/html,x", "file:///a", "", None],
)
def test_only_http_addresses_become_links(url: str | None) -> None:
    assert address(url) == ""


def test_the_policy_allows_this_style_and_this_script_and_nothing_else(page: str) -> None:
    policy = Elements(page).named("meta")[1]["content"]
    allowed = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert allowed.pop(f"{tag}-src") == f"'sha256-{digest}'"
    assert allowed == {
        "default-src": "'none'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert not [found for _, found in Elements(page).found if "style" in found]


def test_every_picture_and_drawing_says_what_it_shows(page: str) -> None:
    elements = Elements(page)
    assert elements.named("img")
    assert all(one["alt"] for one in elements.named("img"))
    drawings = elements.named("svg")
    assert len(drawings) > 15
    assert all(one["role"] == "img" and one["aria-label"] for one in drawings)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_drawings_stand_out_from_their_ground(scheme: str) -> None:
    blocks = re.findall(r":root \{(.*?)\}", own_text("page.css"), re.DOTALL)
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w{6});", block)) for block in blocks)
    paint = light if scheme == "light" else dark
    assert light.keys() == dark.keys()
    for ground in (paint["ground"], paint["panel"]):
        for name in ("ink", "quiet", "link", "fail", "warn", "pass"):
            assert contrast(paint[name], ground) >= AA_TEXT, name
        for number in range(1, 7):
            assert contrast(paint[f"series-{number}"], ground) >= AA_DRAWING, number


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two colours such as #1b1f24."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_black_on_white_has_the_contrast_that_wcag_says() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)


def test_with_every_gallery_full_a_page_stays_below_four_megabytes(page: str) -> None:
    pictures = Elements(page).named("img")
    rest = len(page) - sum(len(one["src"]) for one in pictures)
    # Per reason, per kind of disagreement (four), per group of copies (of up to four), or in all.
    kinds = {"dropped": len(names("rules")), "disagreements": 4, "duplicates": 4}
    most = sum(one.most * kinds.get(one.name, 1) for one in GALLERIES)
    a_picture = MOST_BYTES * 4 / 3 + rest / len(pictures) / 4
    assert rest + most * a_picture < 4_000_000
