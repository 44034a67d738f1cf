"""Every stage in order: from pages to registered models, on one machine.

`python -m flows.pipeline plan.json [--lake FOLDER]` runs it with an embedded Prefect; nothing else
has to be running. Run again, it finds what is committed and does the rest.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import flow

from flows.capfilt import capfilt
from flows.embedding import embedding
from flows.environment import revision, this_machine
from flows.evaluation import evaluation, registration
from flows.finetuning import finetuning
from flows.ingestion import ingestion
from flows.plan import Plan
from flows.pretraining import pretraining
from flows.quality import quality, require_gates
from flows.rbm import rbm
from flows.runs import run_name
from flows.selection import selection
from flows.summary import PipelineResult, Story

log = logging.getLogger(__name__)


@flow(name="pipeline")
def pipeline(plan: Plan, lake: str = "") -> dict[str, str]:
    """Run every stage; the raw pairs and the selected ones each train a model, and both are judged.

    Args:
        plan: every choice of the run.
        lake: a folder or object-store prefix; empty means this machine's CAPLIFT_LAKE.

    Returns:
        The run's name, and where in the lake its summary lies.
    """
    opened = this_machine().open_lake(lake, create=True)
    run = run_name("pipeline", plan)
    opened.publish_json(f"runs/{run}/plan.json", {"plan": asdict(plan), "revision": revision()})
