"""The report of a run: what the catalogue says, drawn, in one HTML file that opens anywhere.

    reports/<run>/report.json   the same numbers
    reports/<run>/report.html   written after it
    reports/index.html          every report of the lake

`python -m tasks.report.report LAKE` writes one without Prefect.
"""

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from tasks.catalogue.building import open_catalogue
from tasks.commands import run_command
from tasks.database import Database
from tasks.errors import InputError
from tasks.report.contents import AFTER_GALLERIES, BEFORE_GALLERIES
from tasks.report.figures import DrawnSection, Header, Scope, drawn_section
from tasks.report.fitting import fitting_page
from tasks.report.galleries import Shown, shown_galleries
from tasks.report.headlines import headlines
from tasks.report.index import write_index
from tasks.report.numbers import plain
from tasks.storage import Lake, open_lake

log = logging.getLogger(__name__)

UNNAMED = "lake"


def write_report(lake: Lake, run: str = "", *, selection: str = "", revision: str = "") -> str:
    """Write the report of what the catalogue holds now; return its path in the lake.

    Args:
        lake: whose catalogue has been built.
        run: what the report is named after; empty means the lake as it is.
        selection: id of the selection it is about; empty means the newest that a filter judged.
        revision: git revision of the code, for the header.

    Raises:
        LakeError: there is no catalogue yet.
        InputError: there is no such selection.
    """
    folder = f"reports/{run or UNNAMED}"
    with open_catalogue(lake) as database:
        card = _card(database, selection)
        scope = _scope(database, card)
        before, after = (
            [drawn_section(database, section, scope) for section in sections]
            for sections in (BEFORE_GALLERIES, AFTER_GALLERIES)
        )
        galleries = shown_galleries(lake, database, scope)
    header = Header(
        run=run or UNNAMED,
        lake=lake.root,
        written_at=datetime.now(UTC).replace(microsecond=0),
        revision=revision,
        selection=card,
        rbm_run=scope.rbm_run,
        gates=dict(Counter(str(row["status"]) for row in before[0].figures[0].rows)),
        headlines=headlines([*before, *after], scope.selection),
    )
    text = fitting_page(header, before, galleries, after)
    lake.publish_json(f"{folder}/report.json", _numbers(header, [*before, *after], galleries))
    lake.publish_bytes(f"{folder}/report.html", text)
    write_index(lake)
    log.info("%s/report.html: %.0f KB", folder, len(text) / 1024)
    return f"{folder}/report.html"


def _card(database: Database, wanted: str) -> dict[str, Any]:
    """Return the row of the selection the report is about; empty when there is none at all."""
    known = {row["id"]: row for row in database.rows("reports/selections")}
    if wanted and wanted not in known:
        raise InputError(
            f"the catalogue has no selection {wanted!r} (it has {', '.join(known) or 'none'}); "
            "build it again, or name one of these"
        )
    return known[wanted] if wanted else next(iter(known.values()), {})


def _scope(database: Database, card: dict[str, Any]) -> Scope:
    selection = str(card.get("id", ""))
    thresholds = json.loads(card.get("thresholds") or "{}")
    machines = database.rows("reports/rbm_runs", selection=selection)
    return Scope(
        selection=selection,
        rbm_run=str(machines[0]["run"]) if machines else "",
        itm_threshold=thresholds.get("itm_probability") if card.get("score_run") else None,
    )


def _numbers(
    header: Header, sections: Sequence[DrawnSection], galleries: Sequence[Shown]
) -> dict[str, Any]:
    """Return what the page shows as JSON has it."""
    figures = {
        one.figure.name: {"statement": one.figure.statement, "rows": one.rows}
        for section in sections
        for one in section.figures
    }
    pictures = {
        one.gallery.name: [
            {name: value for name, value in card.items() if name != "thumbnail"}
            for card in one.cards
        ]
        for one in galleries
    }
    told: dict[str, Any] = plain({**asdict(header), "figures": figures, "galleries": pictures})
    return told


def main(arguments: Sequence[str]) -> None:
    """Read the command line and write the report."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.report.report", description=write_report.__doc__
    )
    parser.add_argument("lake", help="the lake's root: a folder or an fsspec URL")
    parser.add_argument("--run", default="", help=f"what to name it after; {UNNAMED} without")
    parser.add_argument("--selection", default="", help="id; the newest judged one without")
    given = parser.parse_args(arguments)
    lake = open_lake(given.lake)
    log.info(lake.path(write_report(lake, given.run, selection=given.selection)))


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
