"""Rounds of CapFilt: each round's model makes the captioner and the filter of the next round.

    python -m flows.rounds plan.json [--rounds N] [--lake FOLDER]

A model of the raw pairs is round 0. Every further round finetunes a captioner and a filter on the
human captions, lets them write and judge, selects, and pretrains a new model from scratch: going
on with the old one gives nothing (BLIP, table 13). The batches of the plan must have been ingested.
Every stage is named after its settings and inputs, so the command run again does only the rest.
`runs/<run>/rounds.json` has the numbers of all rounds side by side.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact

from flows.chain import Chain
from flows.embedded import embed_prefect
from flows.environment import this_machine
from flows.plan import Plan
from flows.quality import require_gates
from flows.round_table import round_rows, round_table
from flows.runs import run_name
from flows.tables import told_to
from tasks.commands import run_command
from tasks.settings import read_plan, settings_from
from tasks.storage import Lake


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """What one round made and measured.

    Attributes:
        number: 0 is the model of the raw pairs.
        models: addresses of the round's captioner, filter and model.
        runs: names of its captions, scores and evaluations.
        selection: id of what its model was trained on, beside the human captions.
        numbers: captions, kept and shares by source; scores of the model on held-out pictures.
        against_raw: by how much the model is better than that of round 0, with the interval.
    """

    number: int
    models: dict[str, str]
    runs: dict[str, str]
    selection: str
    numbers: dict[str, float]
    against_raw: dict[str, Any]


def rounds_path(run: str) -> str:
    """Return where the numbers of a run's rounds lie in the lake."""
    return f"runs/{run}/rounds.json"


@flow(name="rounds")
def rounds(plan: Plan, lake: str = "") -> dict[str, str]:
    """Take the plan's rounds over batches that have been ingested; nothing is registered.

    Args:
        plan: every choice, `rounds` among them; sources are used by their batch's name alone.
        lake: a folder or object-store prefix; empty means this machine's CAPLIFT_LAKE.

    Returns:
        The `run`; `rounds`, the path of its numbers; and the `model` of the last round.
    """
    opened = this_machine().open_lake(lake)
    for source in (plan.web, plan.seed, plan.held_out):
        opened.planned(source.batch)  # else a batch that is missing is found out after an hour
    run = run_name("rounds", plan)
    opened.publish_json(f"runs/{run}/plan.json", asdict(plan))
    chain = Chain(plan, opened, run)
    require_gates(opened, chain.check())
    take_rounds(chain)
    return {"run": run, "rounds": rounds_path(run), "model": chain.models["selected"]}


def take_rounds(chain: Chain) -> None:
    """Train on the raw pairs, then take every round of the plan; the last one's models remain.

    Raises:
        GateFailed: a round's filter or captions are not sound; no model is trained on them.
    """
    plan, many = chain.plan, chain.plan.rounds > 1
    chain.select_unjudged("raw", "raw", plan.web.batch)
    chain.select_unjudged("human", "human", plan.seed.batch)
    chain.pretrain("raw", "raw", "human")
    chain.evaluate("raw")
    _keep(chain, _round_zero(chain))
    start = "raw"
    for number in range(1, plan.rounds + 1):
        chain.story.part = f", round {number}" if many else ""
        chain.finetune(start)
        chain.caption_and_score()
        chain.select_judged("kept")
        require_gates(chain.lake, chain.check())
        chain.pretrain("selected", "kept", "human")
        chain.evaluate("captioner", "filter", "selected")
        chain.compare_with_raw()
        _keep(chain, _round_of(chain, number))
        start = "selected"
    chain.story.part = ""


def _keep(chain: Chain, one: Round) -> None:
    """Put a round beside those before it: in the lake, and on the run's page."""
    found = chain.found.setdefault("rounds", [])
    found.append(asdict(one))
    chain.lake.publish_json(rounds_path(chain.run), found)
    about = "Rounds side by side; scores are of each round's model on held-out pictures"
    create_table_artifact(key="rounds", table=round_rows(found), description=about)


def _round_zero(chain: Chain) -> Round:
    card = chain.selections["raw"]
    return Round(
        number=0,
        models={"model": chain.models["raw"]},
        runs={"evaluation": chain.runs["evaluation raw"]},
        selection=card.id,
        numbers=_kept(card.sources) | _scores(chain, "raw"),
        against_raw={},
    )


def _round_of(chain: Chain, number: int) -> Round:
    card, found = chain.selections["kept"], chain.found
    numbers = _kept(card.sources)
    for source, one in found["accepted"].items():
        numbers[f"{source}_accepted"] = one.share
    judged: Mapping[str, Any] = found["filter"]
    for name in ("precision", "recall"):
        if judged.get(name) is not None:
            numbers[f"filter_{name}"] = judged[name]
    captioner = found["scores"]["captioner"]["scores"]
    numbers["captioner_cider_d"] = captioner["cider_d"]["value"]
    runs = {name: chain.runs[name] for name in ("captions", "scores")}
    runs |= {"evaluation": chain.runs["evaluation selected"]}
    models = {name: chain.models[name] for name in ("captioner", "filter")}
    return Round(
        number=number,
        models={**models, "model": chain.models["selected"]},
        runs=runs,
        selection=card.id,
        numbers=numbers | _scores(chain, "selected"),
        against_raw=found["against_raw"],
    )


def _kept(sources: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    counts = {f"{name}_captions": one["captions"] for name, one in sources.items()}
    return counts | {f"{name}_kept": one["selected"] for name, one in sources.items()}


def _scores(chain: Chain, model: str) -> dict[str, float]:
    scores = chain.found["scores"][model]["scores"]
    return {name: one["value"] for name, one in scores.items()}


def main(arguments: Sequence[str]) -> None:
    """Take rounds with an embedded Prefect and print their numbers side by side."""
    parser = argparse.ArgumentParser(prog="python -m flows.rounds", description=main.__doc__)
    parser.add_argument("plan", type=Path, help="a JSON file; its keys are those of flows.plan")
    parser.add_argument("--rounds", type=int, help="how many, not the plan's")
    parser.add_argument("--lake", default="", help="a folder or an fsspec URL, not CAPLIFT_LAKE")
    given = parser.parse_args(arguments)
    plan = settings_from(Plan, read_plan(given.plan))
    if given.rounds is not None:
        plan = replace(plan, rounds=given.rounds)
    embed_prefect()
    lake = this_machine().open_lake(given.lake)
    tell_rounds(lake, rounds(plan, lake.root)["run"])


def tell_rounds(lake: Lake, run: str) -> None:
    """Print the rounds of a run side by side."""
    path = rounds_path(run)
    console = told_to(sys.stdout.isatty())
    console.print(round_table(lake.read_json(path)))
    console.print(f"{lake.path(path)} is this table's source", highlight=False)


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
