"""The protocol: what is fixed, what is compared, what is written.

Candidates of every picture are written once, by beam search and eight times by nucleus sampling,
and all arms choose among the same ones. The scorer gives ITM, ITC and the vectors that Gaussian,
RBM and NCE are fitted on; half of the pictures choose weights, the other half is reported. The
primary measure is how often the judge, which neither wrote nor scored, finds the picture by its
chosen caption among 100 others, 50 of them the most alike. CIDEr-D, hallucination and recall among
captions of equal length are the guards.
"""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from tasks.errors import InputError
from tasks.reranking.validation import human_texts
from tasks.storage import open_lake
from tasks.vectors import held_out
from tests.experiments.rbm.arms import arms_of
from tests.experiments.rbm.cached import cache, fitted_machines
from tests.experiments.rbm.drawing import draw
from tests.experiments.rbm.outcomes import measured, oracle, outcomes_of, random_choice
from tests.experiments.rbm.report import Report, markdown, rich_table, told_with, verdict
from tests.experiments.rbm.retriever import OWN
from tests.experiments.rbm.sureness import resample
from tests.experiments.rbm.terms import read_terms

log = logging.getLogger("tasks.experiment")

HALF = 0.5
WIDTH = 172


def main(arguments: Sequence[str]) -> None:
    """Choose captions in every way there is, and say what the RBM's part is worth."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("lake", help="the lake of a finished demo")
    parser.add_argument("--pictures", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=3, help="of the RBM and of NCE")
    parser.add_argument("--scorer", default="filter", help="the demo's model that scores")
    parser.add_argument("--judge", default=OWN, help="what retrieves: trained here, or the demo's")
    parser.add_argument("--figure", default="", help="an SVG file to write")
    given = parser.parse_args(arguments)
    if given.seeds < 1 or given.pictures < 400:
        raise InputError("seeds is 1 or more, and pictures 400 or more: half of them are reported")
    folder = Path(given.figure).parent
    if given.figure and not folder.is_dir():
        raise InputError(f"there is no folder {folder} for the figure; make it first")
    cached = cache(open_lake(given.lake), given.pictures, given.scorer, given.judge)
    seeds = range(1, given.seeds + 1)
    terms = read_terms(cached, fitted_machines(cached, seeds), seeds)
    keys = terms.candidates.keys
    outcomes = outcomes_of(cached, terms, human_texts(cached.lake, cached.shards))
    validation = held_out(keys, HALF)
    arms = arms_of(terms, outcomes.of["mrr"], validation)
    found = {"random candidate": random_choice(outcomes)}
    found |= {arm.name: measured(arm, outcomes) for arm in arms}
    found |= {"oracle": oracle(outcomes)}
    tested = {
        name: {arm: values[name][:, ~validation] for arm, values in found.items()}
        for name in found["oracle"]
    }
    report = Report(
        pictures=int((~validation).sum()),
        seeds=given.seeds,
        models=asdict(cached.models),
        weights={arm.name: arm.weights for arm in arms if arm.weights},
        by_rbm=tuple(arm.name for arm in arms if arm.uses_rbm),
        resamples={name: resample(own) for name, own in tested.items()},
    )
    name = f"{given.scorer}-{given.judge}"
    cached.lake.publish_bytes(f"{name}.md", markdown(report).encode())
    Console(width=WIDTH).print(rich_table(report))
    log.info("%s\n\n%s", told_with(report), verdict(report))
    log.info("\nwritten to %s", cached.lake.path(f"{name}.md"))
    if given.figure:
        draw(report, given.figure)
