"""A page of at most four megabytes: a mail takes it, and a telephone opens it.

Thumbnails and texts are kept small where they are made. What remains without a bound is how many
reasons, runs or batches there are: a page that has become too large loses pictures, then drawings.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

from tasks.report.figures import DrawnSection, Header
from tasks.report.galleries import Shown
from tasks.report.page import page

log = logging.getLogger(__name__)

MOST_BYTES = 4_000_000


def fitting_page(
    header: Header,
    before: Sequence[DrawnSection],
    galleries: Sequence[Shown],
    after: Sequence[DrawnSection],
    most: int = MOST_BYTES,
) -> bytes:
    """Return the report as one HTML document (UTF-8) of less than `most` bytes.

    Galleries show half of their pictures until it fits or none is left, then the largest drawings
    give way to their numbers one by one. Everything is in report.json all the same.
    """
    while len(text := page(header, before, galleries, after).encode()) >= most:
        if any(one.cards for one in galleries):
            galleries = [_halved(one) for one in galleries]
            continue
        largest = max(len(one.svg) for part in (*before, *after) for one in part.figures)
        if not largest:
            break
        before, after = (
            [_without(section, largest) for section in part] for part in (before, after)
        )
    shown = sum(len(one.cards) for one in galleries)
    log.info("the page has %.0f KB and shows %d pictures", len(text) / 1000, shown)
    return text


def _halved(gallery: Shown) -> Shown:
    kept = len(gallery.cards) // 2
    left_out = gallery.left_out + len(gallery.cards) - kept
    return replace(gallery, cards=gallery.cards[:kept], left_out=left_out)


def _without(section: DrawnSection, size: int) -> DrawnSection:
    """Return a section without its drawings of a size."""
    figures = tuple(
        replace(one, svg="") if len(one.svg) == size else one for one in section.figures
    )
    return replace(section, figures=figures)
