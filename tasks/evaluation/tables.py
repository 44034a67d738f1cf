"""Small tables that people write: JSON Lines, a JSON list, CSV or TSV with a header."""

import csv
import io
from collections.abc import Mapping
from typing import Any

from tasks.errors import InputError
from tasks.evaluation.annotations import parsed, read_text


def read_table(path: str, of: str) -> list[Mapping[str, Any]]:
    """Return a table's rows by column.

    Args:
        path: on this disk or an fsspec URL, also gzipped.
        of: what it holds, for the error, such as "labels".

    Raises:
        InputError: it cannot be read, or is no table.
    """
    content = read_text(path)
    try:
        found = _rows(content)
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path} is no table of {of} ({error!s:.100})") from error
    odd = next((row for row in found if not isinstance(row, Mapping)), None)
    if odd is not None:
        raise InputError(f"{path} is no table of {of}: {odd!r:.80} is no row with named columns")
    return found


def _rows(content: str) -> list[Any]:
    if content.lstrip().startswith("["):
        return list(parsed(content))
    if content.lstrip().startswith("{"):
        return [parsed(line) for line in content.split("\n") if line.strip()]
    mark = "\t" if "\t" in content.split("\n", 1)[0] else ","
    return list(csv.DictReader(io.StringIO(content), delimiter=mark))
