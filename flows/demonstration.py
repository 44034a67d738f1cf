"""The demo's plan, and its run: build the site, serve it, crawl it, say what came of it."""

import contextlib
import logging
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from flows.environment import this_machine
from flows.pipeline import finished_run
from flows.plan import Plan
from flows.ports import LOOPBACK, require_free
from flows.runs import run_name
from flows.summary import summary_path
from flows.tables import told_to
from flows.telling import tell
from tasks.capfilt.settings import CapFilt
from tasks.catalogue.verdicts import Override
from tasks.demo.facts import PORT, SiteFacts, check_port, write_truth
from tasks.demo.gimp import GimpSite, build_gimp_site
from tasks.demo.planting import Site
from tasks.demo.server import serving
from tasks.demo.site import build_site
from tasks.errors import InputError
from tasks.evaluation.settings import Evaluation
from tasks.finetuning.settings import Finetuning
from tasks.ingestion.settings import Ingestion, Source
from tasks.pretraining import Pretraining
from tasks.rbm.settings import RbmFit
from tasks.selection import Selection

log = logging.getLogger(__name__)

SHARD_SIZE = 500  # several shards, so that progress and resuming can be seen
# Real photographs are too much for a tiny model and 200 human captions: its filter rejects nearly
# all. The run goes on, with the red gates in its report, so that the numbers can be read.
TOO_HARD = "a tiny model learns too little from 200 human captions to judge photographs"
OVERRIDE = {
    "default": (),
    "gimp": tuple(
        Override(gate=gate, why=TOO_HARD, who="the demo") for gate in ("G8", "G9", "G13")
    ),
}
SEED_PICTURES = 1000  # what a person would label in two days


def run_demo(site: str, root: Path, port: int) -> None:
    """Run the chain over one of the two sites; everything is kept below `root`.

    Raises:
        CapliftError: the folder cannot be written, or the port is taken; nothing has been made.
    """
    check_port(port)
    # A picture's key is made of its URL, so the site on another port is another data set.
    folder = root / (site if port == PORT else f"{site}-{port}")
    # Once a run has ended, its site need not be served again.
    runs = folder / "lake" / "runs"
    if not (runs.is_dir() and any(runs.glob("*/summary.json"))):
        require_free(port, f"make demo SITE_PORT={port + 1}")
    _require_writable(folder, root)
    lake = this_machine().open_lake(str(folder / "lake"), create=True)
    facts = _built(site, folder / "site", port)
    log.info("the site: %d pictures on %d pages", facts.pictures, facts.pages)
    plan = replace(plan_for(facts), override=OVERRIDE[site])
    write_truth(lake, plan.web.batch, facts)
    has_ended = lake.exists(summary_path(run_name("pipeline", plan)))
    with contextlib.nullcontext() if has_ended else serving(facts.served, facts.port):
        summary = finished_run(plan, lake)
    tell(told_to(sys.stdout.isatty()), lake, summary)


def _require_writable(folder: Path, root: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"cannot write in {root} ({error.strerror}); choose another folder: "
            "make demo FOLDER=/path/to/folder"
        ) from error


def _built(site: str, folder: Path, port: int) -> SiteFacts:
    if site == "gimp":
        return build_gimp_site(folder, GimpSite(port=port))
    return build_site(folder, Site(seed_pictures=SEED_PICTURES, port=port))


def plan_for(facts: SiteFacts) -> Plan:
    """Return the plan of a demo: the tiny preset, sized for two cores and a quarter of an hour."""
    return Plan(
        web=Source(batch="web", kind="web", pages=facts.start_urls),
        seed=Source(batch="seed", kind="human", tables=(str(facts.seed_table),)),
        held_out=Source(batch="evaluation", kind="human", tables=(str(facts.evaluation_table),)),
        ingestion=Ingestion(
            shard_size=SHARD_SIZE,
            allow_private_hosts=(LOOPBACK,),
            concurrency=16,
            per_host_concurrency=16,  # all pictures are of one host, which is ours
            timeout_s=5,
        ),
        pretraining=Pretraining(preset="tiny", steps=1000),
        captioner=Finetuning(),
        filter=Finetuning(),
        capfilt=CapFilt(),
        selection=Selection(),
        rbm=RbmFit(),
        evaluation=Evaluation(),
    )
