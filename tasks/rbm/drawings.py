"""Plots of a fit as SVG, drawn by hand: a GPU host has no plotting library.

filters.svg           W in the cut columns: which directions of picture and text a unit reads
activations.svg       how active the hidden units were on the average, look by look
free_energy_gap.svg   held-out less learnt-from rows, and the nats over the full Gaussian
mixing.svg            mean free energy of chains begun at data and at noise, sweep by sweep
forgetting.svg        correlation of a chain's free energy with its own, sweeps later
"""

import base64
import html
import io
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 320, 70, 20, 40, 50
COLOURS = ("#0b62a4", "#c0504d", "#4c8c2b", "#7a4fa3")
# Words have a white edge, so that they can be read where a line runs behind them.
STYLE = (
    "text{font:12px sans-serif;fill:#222;stroke:#fff;stroke-width:3px;paint-order:stroke}"
    ".title{font-size:14px}.grid{stroke:#ddd}"
)


def lines(title: str, across: str, up: str, series: Mapping[str, Points]) -> str:
    """Draw one line a series; points that are not finite are left out.

    Args:
        title: above the plot.
        across: name of the horizontal axis.
        up: name of the vertical axis.
        series: (x, y) points by name.
    """
    finite = {n: [p for p in points if all(map(math.isfinite, p))] for n, points in series.items()}
    drawn = {name: points for name, points in finite.items() if points}
    every = [point for points in drawn.values() for point in points] or [(0.0, 0.0)]
    spans = [_span([point[axis] for point in every]) for axis in (0, 1)]
    parts = _frame(title, across, up)
    for axis, (low, high) in enumerate(spans):
        parts += [_tick(axis, value, (low, high)) for value in _round_numbers(low, high)]
    for points, colour in zip(drawn.values(), COLOURS, strict=False):
        path = " ".join(f"{_x(x, spans[0]):.1f},{_y(y, spans[1]):.1f}" for x, y in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
        )
    for nth, (name, colour) in enumerate(zip(drawn, COLOURS, strict=False)):
        parts.append(_label(WIDTH - RIGHT, TOP + 14 + 16 * nth, name, "end", colour))
    return _svg(parts)


def heat(
    title: str, across: str, up: str, values: NDArray[np.float64], names: Sequence[str] = ()
) -> str:
    """Draw a matrix, blue below zero and red above, a cell a value.

    Args:
        title: above the plot.
        across: name of the columns.
        up: name of the rows.
        values: float (rows, columns), finite.
        names: what stands beside each row, if anything.
    """
    most = float(np.abs(values).max()) or 1.0
    share = np.clip(values / most, -1, 1)[..., None]
    red, blue = np.array([178, 24, 43]), np.array([33, 102, 172])
    colour = np.where(share > 0, red, blue)
    pixels = (255 + (colour - 255) * np.abs(share)).astype(np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG")
    content = base64.b64encode(encoded.getvalue()).decode()
    picture = (
        f'<image x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" '
        f'height="{HEIGHT - TOP - BOTTOM}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated" href="data:image/png;base64,{content}"/>'
    )
    told = f"{title}; the strongest colour is ±{most:.3g}"
    step = (HEIGHT - TOP - BOTTOM) / len(values)
    beside = [
        _label(LEFT - 6, TOP + step * (n + 0.5) + 4, name, "end") for n, name in enumerate(names)
    ]
    return _svg([*_frame(told, across, up), picture, *beside])


def _frame(title: str, across: str, up: str) -> list[str]:
    middle = (TOP + HEIGHT - BOTTOM) / 2
    return [
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text class="title" x="{LEFT}" y="22">{html.escape(title)}</text>',
        _label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, across, "middle"),
        f'<text x="16" y="{middle}" text-anchor="middle" '
        f'transform="rotate(-90 16 {middle})">{html.escape(up)}</text>',
    ]


def _round_numbers(low: float, high: float) -> list[float]:
    """Return two to five multiples of 1, 2 or 5 times a power of ten."""
    most = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(most))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= most)
    return [nth * step for nth in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _tick(axis: int, value: float, span: tuple[float, float]) -> str:
    if axis == 0:
        return _label(_x(value, span), HEIGHT - BOTTOM + 18, f"{value:.6g}", "middle")
    at = _y(value, span)
    line = f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
    return line + _label(LEFT - 6, at + 4, f"{value:.6g}", "end")


def _label(x: float, y: float, text: str, anchor: str, colour: str = "#222") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} style="fill:{colour}">{html.escape(text)}</text>'


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _x(value: float, span: tuple[float, float]) -> float:
    return LEFT + (value - span[0]) / (span[1] - span[0]) * (WIDTH - LEFT - RIGHT)


def _y(value: float, span: tuple[float, float]) -> float:
    return HEIGHT - BOTTOM - (value - span[0]) / (span[1] - span[0]) * (HEIGHT - TOP - BOTTOM)


def _svg(parts: Sequence[str]) -> str:
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">'
    return "\n".join([opening, f"<style>{STYLE}</style>", *parts, "</svg>"]) + "\n"
