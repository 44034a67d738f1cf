"""Print the questions of the top README with their answers on a lake; the README quotes them.

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

README = Path(__file__).resolve().parents[2] / "README.md"


def answer(found: Sequence[dict[str, Any]]) -> Table:
    """Return rows as a table."""
    table = Table(box=box.MARKDOWN)
    for name in found[0] if found else ("no row",):
        table.add_column(name)
    for row in found:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    return table


def main(arguments: Sequence[str]) -> None:
    """Ask every question of the README."""
    (root,) = arguments
    console = Console(width=120)
    with open_catalogue(open_lake(root)) as database:
        for asked in re.findall(r"```sql\n(.*?)```", README.read_text(), re.DOTALL):
            console.print(asked, highlight=False, markup=False)
            console.print(answer(database.ask(asked)), highlight=False, markup=False)


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
