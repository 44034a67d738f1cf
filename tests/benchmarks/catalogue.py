"""What the catalogue costs at a million captions: building it, asking it, choosing again.

`make bench-catalogue` makes up a lake (half a million pictures, a found and a written caption
each, scored; 500 shards), chooses by the default policy, builds quality.duckdb, reads every view
to its last row, chooses again by another threshold, and builds again. Each step is a process of
its own, so its peak memory is its own. The goals are 2 s a view and 10 s a choice.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import tests

# Some library brings a top-level `tests` of its own, which outside pytest would hide ours.
ROOT = Path(__file__).resolve().parents[2]
tests.__path__ = [str(ROOT / "tests")]

from sql.statements import names  # noqa: E402
from tasks.catalogue.building import CATALOGUE, build_catalogue, open_catalogue  # noqa: E402
from tasks.database import Database  # noqa: E402
from tasks.selection import Selection, Thresholds, select  # noqa: E402
from tasks.storage import open_lake  # noqa: E402
from tests.benchmarks.made_up_lake import (  # noqa: E402
    BATCH,
    CAPTIONER,
    FILTER,
    make_lake,
    make_shard_again,
    teach,
)

Answer = tuple[str, float, float, int]  # what was asked, seconds, CPU-seconds, rows
VIEW_GOAL_S, SELECT_GOAL_S = 2.0, 10.0


def choice(itm_probability: float) -> Selection:
    return Selection(
        batches=(BATCH,),
        caption_runs=(CAPTIONER,),
        score_run=FILTER,
        thresholds=Thresholds(itm_probability=itm_probability),
    )


def asked(lake: str) -> list[Answer]:
    """Read every view, and every macro over what the lake holds, to the last row."""
    with open_catalogue(open_lake(lake)) as database:
        (first,) = database.ask("select id, digest from selection order by id limit 1")
        (key,) = database.ask("select min(key) as key from sample_final where not kept")
        dropped = database.ask("select any_value(first_reason) as reason from v_first_drop")
        chosen, reason = first["id"], dropped[0]["reason"]
        macros = {
            "ancestry": f"'{chosen}'",
            "candidates": f"'{key['key']}'",
            "cost_per_kept": "0.1, 2.0",
            "diff": f"'{chosen}', (select max(id) from selection)",
            "drift_psi": f"'{BATCH}', '{CAPTIONER}', 'n_words'",
            "gallery_sample": f"'{chosen}', '{reason}', 24",
            "lineage": "'checkpoints/pretraining/00000001'",
            "why": f"'{key['key']}'",
            "why_dropped": f"'{key['key']}'",
        }
        # alike_pictures is asked by a check and by each selection, over tables of theirs.
        known = {name.removeprefix("macros/") for name in names("macros")} - {"alike_pictures"}
        if known != macros.keys():
            raise SystemExit(f"say how to ask {', '.join(known ^ macros.keys())}")
        questions = [name.removeprefix("views/") for name in names("views")]
        questions += [f"{name}({given})" for name, given in macros.items()]
        return [timed(database, question) for question in questions]


def timed(database: Database, question: str) -> Answer:
    began, cpu = time.monotonic(), time.process_time()
    rows = sum(len(batch) for batch in database.stream(f"from {question}"))
    seconds, cpu_s = time.monotonic() - began, time.process_time() - cpu
    return question.partition("(")[0], seconds, cpu_s, rows


def steps(lake: str, captions: int) -> dict[str, Callable[[], object]]:
    opened = open_lake(lake, create=True)
    return {
        "make the lake up": lambda: make_lake(opened, captions),
        "choose, ITM 0.5": lambda: teach(opened, select(opened, choice(0.5)).id),
        "build": lambda: build_catalogue(opened),
        "ask, one selection": lambda: asked(lake),
        "choose again, ITM 0.6": lambda: select(opened, choice(0.6)),
        "build on it": lambda: build_catalogue(opened),
        "ask, two selections": lambda: asked(lake),
        "nothing is new": lambda: build_catalogue(opened),
        "do a shard again": lambda: make_shard_again(opened, captions),
        "build on one shard": lambda: build_catalogue(opened),
    }


def run(step: str, lake: str, captions: int) -> None:
    """Do a step in this process and print what it took, and what it found, as JSON."""
    do = steps(lake, captions)[step]
    began, cpu = time.monotonic(), time.process_time()
    found = do()
    seconds, cpu_s = time.monotonic() - began, time.process_time() - cpu
    told = found if isinstance(found, list) else []
    result = {"seconds": seconds, "cpu_s": cpu_s, "peak_mb": peak_mb(), "asked": told}
    sys.stdout.write(json.dumps(result) + "\n")


def peak_mb() -> float:
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


def report(lake: Path, captions: int) -> bool:
    """Do every step and print the tables; true when all goals are met."""
    say(f"{captions:,} captions, {captions // 2:,} pictures\n")
    say(f"{'step':24} {'seconds':>8} {'CPU-s':>8} {'peak MB':>8}  goal")
    met = True
    answers: dict[str, list[Answer]] = {}
    for step in steps(str(lake), captions):
        command = [sys.executable, __file__, "--step", step, "--lake", str(lake)]
        done = subprocess.run(
            [*command, "--captions", str(captions)], check=True, stdout=subprocess.PIPE, text=True
        )
        took = json.loads(done.stdout.splitlines()[-1])
        goal = SELECT_GOAL_S if step.startswith("choose") else None
        met &= goal is None or took["seconds"] < goal
        said = "" if goal is None else f"< {goal:g} s"
        say(
            f"{step:24} {took['seconds']:8.1f} {took['cpu_s']:8.1f} {took['peak_mb']:8,.0f}  {said}"
        )
        if took["asked"]:
            answers[step] = took["asked"]
    say(f"\n{CATALOGUE}: {(lake / CATALOGUE).stat().st_size / 2**20:,.0f} MB\n")
    one, two = answers.values()
    say(f"{'':24} {'':>12} {'one selection':>17} {'two':>17}")
    say(f"{'view or macro':24} {'rows':>12}" + f" {'s':>8} {'CPU-s':>8}" * 2)
    for (name, *first, _), (_, *second, rows) in zip(one, two, strict=True):
        slow = " over" if max(first[0], second[0]) >= VIEW_GOAL_S else ""
        met &= not slow
        took = "".join(f" {number:8.2f}" for number in (*first, *second))
        say(f"{name:24} {rows:>12,}{took}{slow}")
    say("\nall goals are met" if met else "\na goal is missed")
    return met


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="make bench-catalogue", description=__doc__)
    parser.add_argument("--captions", type=int, default=1_000_000)
    parser.add_argument("--lake", default="", help="keep the lake here; else it is removed")
    parser.add_argument("--step", default="", help="one of them, in this process")
    given = parser.parse_args(arguments)
    if given.step:
        run(given.step, given.lake, given.captions)
        return
    lake = Path(given.lake or tempfile.mkdtemp(prefix="bench-catalogue-"))
    try:
        report(lake, given.captions)
    finally:
        if not given.lake:
            shutil.rmtree(lake)


if __name__ == "__main__":
    main(sys.argv[1:])
