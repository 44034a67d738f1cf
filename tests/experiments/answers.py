"""Print the questions of both READMEs with their answers on a lake; they quote them.

make answers [SITE=default]
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from tasks.catalogue.building import open_catalogue
from tasks.commands import run_command
from tasks.storage import open_lake

ROOT = Path(__file__).resolve().parents[2]


def answer(found: Sequence[dict[str, Any]]) -> Table:
    """Return rows as a table."""
    table = Table(box=box.MARKDOWN)
    for name in found[0] if found else ("no row",):
        table.add_column(name)
    for row in found:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    return table


def aligned(found: Sequence[dict[str, Any]]) -> str:
    """Return rows as lines of columns, numbers at the right and texts at the left."""
    lines: list[list[str]] = []
    names = list(found[0]) if found else []
    told = [["" if value is None else _said(value) for value in row.values()] for row in found]
    for place, name in enumerate(names):
        column = [name, *(row[place] for row in told)]
        width = max(map(len, column))
        is_text = any(isinstance(row[name], str) for row in found)
        lines.append([one.ljust(width) if is_text else one.rjust(width) for one in column])
    return "\n".join("  ".join(row).rstrip() for row in zip(*lines, strict=True))


def questions(page: Path) -> list[str]:
    """Return the statements a page asks."""
    return [str(one) for one in re.findall(r"```sql\n(.*?)```", page.read_text(), re.DOTALL)]


def _said(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main(arguments: Sequence[str]) -> None:
    """Ask every question of the README."""
    (root,) = arguments
    console = Console(width=120)
    with open_catalogue(open_lake(root)) as database:
        for asked in questions(ROOT / "README.md"):
            console.print(asked, highlight=False, markup=False)
            console.print(answer(database.ask(asked)), highlight=False, markup=False)
        for asked in questions(ROOT / "sql/README.md"):
            sys.stdout.write(f"{asked}\n{aligned(database.ask(asked))}\n\n")


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
