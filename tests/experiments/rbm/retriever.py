"""A judge that owes the demo nothing: other pictures, people's words alone, another start.

The demo's own models are no strangers to each other: `selected` has learnt from captions that the
writer wrote and the scorer let pass, and all of them begin at one seed. This one is pretrained as
they are, on scenes of its own.
"""

from dataclasses import replace

from flows.plan import Plan
from flows.summary import finished_summary
from tasks import rows
from tasks.checkpoints import newest
from tasks.errors import ModelError
from tasks.pretraining import pretrain
from tasks.progress import track
from tasks.selection import Selection, select
from tasks.settings import read_plan, settings_from
from tasks.storage import Lake
from tests.experiments.rbm.pictures import Scenes, drawn_pictures

OWN = "own"
SCENES = Scenes(batch="judge", seed=20261122, port=8042)
PICTURES = 3000
SEED, STEPS = 1, 400


def trained_retriever(demo: Lake, lake: Lake) -> str:
    """Train the judge in the experiment's lake, or find it there; return its address.

    Args:
        demo: whose plan says how its models are pretrained.
        lake: the experiment's.

    Raises:
        ModelError: training ended without a model.
    """
    summary = finished_summary(demo)
    plan = settings_from(Plan, read_plan(demo.local_path(summary).with_name("plan.json")))
    how = replace(plan.pretraining, seed=SEED, steps=STEPS)
    (batch,) = {shard.batch for shard in drawn_pictures(lake, PICTURES, SCENES)}
    chosen = select(lake, Selection(policy="human", batches=(batch,)))
    run = f"judge-{rows.fingerprint([batch, chosen.digest, SEED, STEPS])}"
    for _ in track(pretrain(lake, run, (chosen.id,), how), "training the judge", STEPS):
        pass
    found = newest(lake, run)
    if found is None or not found.is_final:
        raise ModelError(f"the judge {run} has no finished checkpoint in {lake.root}")
    return found.uri
