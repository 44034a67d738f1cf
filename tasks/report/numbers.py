"""Values as JSON can hold them, and as a person reads them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

THOUSANDS = 10_000
MOST_CHARS = 400  # of one text on the page; report.json has all of it


def plain(value: Any) -> Any:
    """Return a value of tables as JSON has it: no NaN, no infinity, moments as ISO 8601."""
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def counted(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> set[str]:
    """Return the columns that hold numbers: they stand right in a table."""
    return {
        name
        for name in columns
        if any(isinstance(row[name], int | float) for row in rows)
        and not any(isinstance(row[name], bool | str) for row in rows)
    }


def sortable(values: Iterable[float | None]) -> str:
    """Return the first number that has a place in an order, for a script; else nothing."""
    return next((str(one) for one in values if one is not None and math.isfinite(one)), "")


def share(value: float) -> str:
    """Return a share in per cent."""
    return f"{value:.1%}"


def spoken(value: Any) -> str:
    """Return a value of a table's cell as text."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= THOUSANDS else str(value)
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= THOUSANDS else f"{value:.4g}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, list | tuple):
        return ", ".join(spoken(one) for one in value) or "-"
    return shortened(str(value)) or "-"


def shortened(text: str) -> str:
    """Return a text as a page has room for it: an article under a picture is cut off."""
    return text if len(text) <= MOST_CHARS else f"{text[: MOST_CHARS - 1]}…"
