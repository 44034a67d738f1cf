"""Try a filter on texts whose truth is known; nothing is written.

    python -m tasks.canary LAKE models:/caplift-filter@champion [--table pairs.jsonl]

Without a table it is the shipped canary: 512 pairs of 128 drawings.
"""

import argparse
import sys
from collections.abc import Sequence

from tasks.canary.judging import CanaryTest, canary_quality, judged_pairs, told
from tasks.canary.pairs import read_canary
from tasks.commands import run_command
from tasks.inference import shared_model
from tasks.storage import open_lake


def main(arguments: Sequence[str]) -> None:
    """Print precision and recall of a filter, in all and by kind of noise."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.canary",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("lake", help="the lake's root: a folder or an fsspec URL")
    parser.add_argument("filter", help="address of the model that judges")
    parser.add_argument("--table", default="", help="pairs of your own")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args(arguments)
    canary, how = read_canary(given.table), CanaryTest(table=given.table)
    judge = shared_model(open_lake(given.lake), given.filter, given.device, "filter")
    found = judged_pairs(canary, judge, how)
    quality = canary_quality(found, "", "")
    lines = [f"{canary.name}: {told(quality)}"]
    for kind, one in quality.kinds.items():
        auc = one.auc["itm_probability"]
        lines.append(f"  {kind:12} {one.recall:.3f} of {one.pairs} found, AUC {auc:.3f}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
