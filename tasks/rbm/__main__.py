"""Fit an RBM without Prefect: `python -m tasks.rbm LAKE RUN --vectors RUN --batch web`."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from tasks.commands import run_command
from tasks.progress import track
from tasks.rbm.fitting import fit_rbm
from tasks.rbm.settings import RbmFit
from tasks.settings import read_plan, settings_from
from tasks.storage import open_lake

log = logging.getLogger("tasks.rbm")


def main(arguments: Sequence[str]) -> None:
    """Read the command line and fit."""
    parser = argparse.ArgumentParser(prog="python -m tasks.rbm", description=__doc__)
    parser.add_argument("lake", help="the lake's root: a folder or an fsspec URL")
    parser.add_argument("run", help="the machine's name")
    parser.add_argument("--vectors", required=True, help="the run of the vectors it is fitted on")
    parser.add_argument("--batch", action="append", required=True, help="whose; may be repeated")
    parser.add_argument("--settings", type=Path, help="a JSON file; its keys are those of RbmFit")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    given = parser.parse_args(arguments)
    how = settings_from(RbmFit, read_plan(given.settings)) if given.settings else RbmFit()
    lake = open_lake(given.lake)
    looks = fit_rbm(lake, given.run, given.vectors, given.batch, how, given.device)
    for look in track(looks, given.run, how.looks):
        worth = look.numbers.get("nats_over_full_gaussian")
        log.info(
            "update %d: free energy %.2f nats held out, gap %+.2f%s",
            look.update,
            look.numbers["free_energy"],
            look.numbers["free_energy_gap"],
            "" if worth is None else f", {worth:+.2f} over the full Gaussian",
        )


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
