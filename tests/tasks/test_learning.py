"""A tiny BLIP learns from real drawings in minutes: what it writes and finds holds on unseen ones.

The pictures are the demo's: drawings that two packages bring, composed into scenes with captions
that are true. Margins are stated: retrieval is ten times chance at the low end of its interval,
captions beat those of the training picture most alike by the width of theirs. `make
experiment-learning` draws the curves of the demo's own, longer runs.
"""

from pathlib import Path

import pytest
import torch

from tasks.demo.scenes import Split, compose, jpeg, picture
from tasks.evaluation.report import EvaluationReport
from tasks.evaluation.settings import Evaluation
from tasks.evaluation.stage import evaluate
from tasks.pairs.taking import take_pairs
from tasks.pretraining import Pretraining, pretrain
from tasks.storage import Lake, open_lake
from tasks.training import StepMetrics

pytestmark = pytest.mark.slow

SEED, TAUGHT, HELD_OUT = 3, 2000, 200
HOW = Pretraining(preset="tiny", steps=600, checkpoint_every=10_000)
AVERAGED = 20  # steps at each end, so that no single batch decides


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return open_lake(str(tmp_path_factory.mktemp("learning") / "lake"), create=True)


def scenes(lake: Lake, split: Split, count: int) -> str:
    """Draw scenes into a folder and take them in, as a person does with pictures of their own."""
    folder = Path(lake.root).parent / split
    folder.mkdir()
    for number in range(count):
        scene = compose(SEED, split, number)
        (folder / f"{number:04d}.jpg").write_bytes(jpeg(picture(scene)))
        (folder / f"{number:04d}.txt").write_text(scene.caption)
    return take_pairs(lake, folder)


@pytest.fixture(scope="module")
def steps(lake: Lake) -> list[StepMetrics]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return list(pretrain(lake, "learning", (scenes(lake, "web", TAUGHT),), HOW))
    finally:
        torch.set_num_threads(before)


@pytest.fixture(scope="module")
def report(lake: Lake, steps: list[StepMetrics]) -> EvaluationReport:
    assert len(steps) == HOW.steps
    unseen = scenes(lake, "evaluation", HELD_OUT)
    return evaluate(lake, "seen-nothing", "checkpoints/learning", unseen, Evaluation(bootstrap=500))


@pytest.mark.parametrize(("loss", "left"), [("itc", 0.5), ("itm", 0.9), ("lm", 0.6)])
def test_every_loss_falls(steps: list[StepMetrics], loss: str, left: float) -> None:
    values = [metrics.losses[loss] for metrics in steps]
    assert sum(values[-AVERAGED:]) < left * sum(values[:AVERAGED])


@pytest.mark.parametrize("score", ["itc_tr_r1", "itc_ir_r1", "itm_tr_r1", "itm_ir_r1"])
def test_unseen_pictures_and_their_captions_find_each_other(
    report: EvaluationReport, score: str
) -> None:
    assert report.scores[score].low > 10 * report.baselines["chance"][score].value


def test_captions_of_unseen_pictures_beat_those_of_the_most_alike(report: EvaluationReport) -> None:
    written = report.scores["cider_d"]
    margin = written.high - written.low
    assert written.value > report.baselines["nearest"]["cider_d"].value + margin
    assert written.value > report.baselines["chance"]["cider_d"].value + margin
