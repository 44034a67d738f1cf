"""Plots are SVG that any viewer opens: lines where the numbers are, cells in their colours."""

import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from tasks.rbm.drawings import HEIGHT, LEFT, RIGHT, TOP, WIDTH, heat, lines

SVG = "{http://www.w3.org/2000/svg}"


def test_a_line_goes_through_its_points_and_leaves_out_what_is_not_finite() -> None:
    points = [(0.0, 1.0), (5.0, float("nan")), (10.0, 3.0)]
    drawing = ElementTree.fromstring(lines("a < b", "update", "nats", {"gap": points}))
    (line,) = drawing.iter(f"{SVG}polyline")
    found = [tuple(map(float, one.split(","))) for one in line.attrib["points"].split()]
    # The least number is at the lower left, the largest at the upper right.
    assert found == [(LEFT, HEIGHT - 50), (WIDTH - RIGHT, TOP)]
    texts = [text.text for text in drawing.iter(f"{SVG}text")]
    assert {"a < b", "update", "nats", "gap"} <= set(texts)


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (50.0, 1500.0, ["500", "1000", "1500"]),
        (-0.1309, 17.15, ["0", "5", "10", "15"]),
        (-0.0173, 1.0, ["0", "0.5", "1"]),
        (97.69, 108.3, ["100", "105"]),
        (-3e-7, 9e-7, ["0", "5e-07"]),
        (0.0, 100.0, ["0", "25", "50", "75", "100"][::2]),
    ],
)
def test_axes_have_round_numbers(low: float, high: float, told: list[str]) -> None:
    drawing = ElementTree.fromstring(lines("t", "x", "y", {"gap": [(0.0, low), (1.0, high)]}))
    left = [
        text for text in drawing.iter(f"{SVG}text") if text.attrib.get("x") == f"{LEFT - 6:.1f}"
    ]
    assert [text.text for text in left] == told
    for text in left:
        share = (float(text.text or "nan") - low) / (high - low)
        height = HEIGHT - 50 - share * (HEIGHT - TOP - 50)
        assert float(text.attrib["y"]) == pytest.approx(height + 4, abs=0.06)


def test_nothing_to_draw_and_a_flat_line_are_drawn_too() -> None:
    empty = ElementTree.fromstring(lines("t", "x", "y", {"gap": []}))
    assert not list(empty.iter(f"{SVG}polyline"))
    flat = ElementTree.fromstring(lines("t", "x", "y", {"gap": [(1.0, 2.0)]}))
    assert len(list(flat.iter(f"{SVG}polyline"))) == 1


def test_a_matrix_is_white_at_zero_red_above_and_blue_below() -> None:
    drawing = heat("Filters", "columns", "rows", np.array([[0.0, 2.0, -2.0], [1.0, 0.0, 0.0]]))
    assert "the strongest colour is ±2" in drawing
    (content,) = re.findall(r"base64,([^\"]+)\"", drawing)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))
    assert pixels.shape == (2, 3, 3)
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[0, 1].tolist() == [178, 24, 43]
    assert pixels[0, 2].tolist() == [33, 102, 172]
    assert pixels[1, 0].tolist() == [216, 139, 149]  # half the way from white


def test_the_rows_of_a_matrix_are_named_beside_their_middles() -> None:
    drawing = ElementTree.fromstring(heat("t", "x", "y", np.eye(2), ["above", "below"]))
    found = {text.text: float(text.attrib["y"]) for text in drawing.iter(f"{SVG}text")}
    height = HEIGHT - TOP - 50
    assert found["above"] == TOP + height / 4 + 4
    assert found["below"] == TOP + 3 * height / 4 + 4
