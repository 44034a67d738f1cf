"""The whole chain runs on a small web, ends in registered models, and does nothing twice.

The site is the demo's, a sixtieth of its size, and the models are the smallest there are: what is
shown is that every stage hands the next what it needs, not that anything is learnt. Killed with
kill -9 while fetching and again while training, it ends in the same bytes as a run that was let be.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from flows.demonstration import plan_for
from flows.plan import Plan
from tasks.checkpoints import newest
from tasks.demo.facts import SiteFacts, write_truth
from tasks.demo.planting import Site
from tasks.demo.server import serving
from tasks.demo.site import build_site
from tasks.settings import settings_from
from tasks.storage import Lake
from tests.stand import ROOT, free_port

pytestmark = pytest.mark.slow

STEPS = 7
# Many, and often saved, so that a kill after the first checkpoint is a kill in mid-training.
PRETRAINING_STEPS, CHECKPOINT_EVERY = 61, 5
CRAWLED = ("commits/ingestion", "commits/duplicates")  # what ingestion alone has done


@dataclass(frozen=True)
class Bench:
    """A plan over a served site, and a home for the commands that run it.

    `left` are the process groups of commands that were killed.
    """

    site: SiteFacts
    plan: Plan
    file: Path
    home: Path
    left: list[int] = field(default_factory=list)

    def begin(self, lake: Lake) -> subprocess.Popen[str]:
        """Start the pipeline as it is typed; it leads a process group."""
        return subprocess.Popen(
            [sys.executable, "-m", "flows.pipeline", str(self.file), "--lake", lake.root],
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.home), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, lake: Lake) -> tuple[str, str]:
        """Run the pipeline to its end and return what it said."""
        process = self.begin(lake)
        told, warned = process.communicate(timeout=400)
        assert process.returncode == 0, warned
        return told, warned

    def kill_when(self, pattern: str, lake: Lake) -> None:
        """Run the pipeline and kill it as soon as the lake has a file of this pattern."""
        process = self.begin(lake)
        folder = Path(lake.root)
        try:
            while not any(folder.glob(pattern)):
                assert process.poll() is None, process.communicate()[1]
                time.sleep(0.002)
        finally:
            # This process alone, as the kernel does it: its embedded server lives on.
            self.left.append(process.pid)
            process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    root = tmp_path_factory.mktemp("bench")
    how = Site(pictures=83, seed_pictures=23, evaluation_pictures=13, port=free_port())
    site = build_site(root / "site", how)
    plan, file = small_plan(site), root / "plan.json"
    file.write_text(json.dumps(asdict(plan)))
    with serving(site.served, site.port):
        bench = Bench(site, plan, file, root)
        yield bench
        for group in bench.left:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)


def small_plan(site: SiteFacts) -> Plan:
    plan = plan_for(site)
    # A filter of seven steps finds every text wrong: what it would drop is not the question here.
    thresholds = replace(plan.selection.thresholds, itm_probability=0.0)
    return replace(
        plan,
        ingestion=replace(plan.ingestion, shard_size=41),
        pretraining=replace(
            plan.pretraining,
            preset="test",
            steps=PRETRAINING_STEPS,
            batch_size=8,
            checkpoint_every=CHECKPOINT_EVERY,
        ),
        captioner=replace(plan.captioner, steps=STEPS, batch_size=8),
        filter=replace(plan.filter, steps=STEPS, batch_size=8),
        selection=replace(plan.selection, thresholds=thresholds),
        rbm=replace(
            plan.rbm,
            training=replace(plan.rbm.training, updates=200),
            hidden=8,
            ais_betas=50,
            save_every=100,
        ),
        evaluation=replace(plan.evaluation, bootstrap=53),
    )


@dataclass(frozen=True)
class Finished:
    """A lake in which the plan has run, and what the command said."""

    lake: Lake
    told: str
    summary: dict[str, Any]


@pytest.fixture(scope="module")
def undisturbed(bench: Bench) -> Finished:
    lake = new_lake(bench, "undisturbed")
    told, _ = bench.run(lake)
    return Finished(lake, told, summary_of(lake))


def new_lake(bench: Bench, name: str) -> Lake:
    lake = Lake(str(bench.home / name))
    write_truth(lake, bench.plan.web.batch, bench.site)
    return lake


def summary_of(lake: Lake) -> dict[str, Any]:
    (path,) = lake.glob("runs/*/summary.json")
    return dict(lake.read_json(path))


def commits(lake: Lake) -> dict[str, bytes]:
    return {path: lake.read_bytes(path) for path in lake.glob("commits/**/*.json")}


def is_crawled(path: str) -> bool:
    return path.startswith(CRAWLED)


def cards(lake: Lake) -> list[dict[str, Any]]:
    return [dict(lake.read_json(path)) for path in lake.glob("selections/*/selection.json")]


def weights(lake: Lake) -> dict[str, str]:
    """The digest of the weights that each training run has ended in."""
    ends = {run: newest(lake, run) for run in lake.folders("checkpoints")}
    return {
        run: str(end.card["files"]["model.safetensors"]["sha256"])
        for run, end in ends.items()
        if end is not None and end.is_final
    }


def test_a_plan_runs_from_pages_to_registered_models(bench: Bench, undisturbed: Finished) -> None:
    lake, summary = undisturbed.lake, undisturbed.summary
    stages = {row["stage"]: row for row in summary["stages"]}
    assert stages["ingestion web"]["rows_in"] > stages["ingestion web"]["rows_out"] > 0
    assert set(summary["models"]) == {"raw", "captioner", "filter", "selected", "rbm"}
    assert set(summary["scores"]) == {"raw", "captioner", "filter", "selected"}
    registered = {"caplift-captioner", "caplift-filter", "caplift-blip", "caplift-rbm"}
    assert set(summary["registered"]) == registered
    assert settings_from(Plan, lake.read_json(f"runs/{summary['run']}/plan.json")) == bench.plan
    for place in ("report", "database"):
        assert Path(summary["places"][place]).is_file()
        assert summary["places"][place] in undisturbed.told
    report = json.loads(Path(summary["places"]["report"]).with_suffix(".json").read_text())
    assert report["run"] == summary["run"]
    assert report["selection"]["id"] == summary["selections"]["kept"]["id"]
    assert "CapFilt" in undisturbed.told


def test_run_again_it_says_that_all_is_done_and_touches_nothing(
    bench: Bench, undisturbed: Finished
) -> None:
    before = commits(undisturbed.lake)
    told, said = bench.run(undisturbed.lake)
    assert "all is done already" in said
    assert told == undisturbed.told
    assert commits(undisturbed.lake) == before


def test_killed_while_fetching_it_goes_on_from_the_shards_that_are_done(
    bench: Bench, undisturbed: Finished
) -> None:
    lake = new_lake(bench, "fetching")
    bench.kill_when("commits/ingestion/*/web/*.json", lake)
    fetched = commits(lake)
    assert set(fetched) < {path for path in commits(undisturbed.lake) if is_crawled(path)}
    bench.kill_when("checkpoints/*/*/checkpoint.json", lake)
    after = commits(lake)
    assert {path: after[path] for path in fetched} == fetched
    crawled = {path for path in after if is_crawled(path)}
    assert crawled == {path for path in commits(undisturbed.lake) if is_crawled(path)}
    wanted = undisturbed.summary["selections"]
    digests = {card["how"]["policy"]: card["digest"] for card in cards(lake)}
    assert digests == {name: wanted[name]["digest"] for name in ("raw", "human")}


def test_killed_while_training_it_ends_in_the_same_bytes_and_redoes_nothing(
    bench: Bench, undisturbed: Finished
) -> None:
    lake = Lake(str(bench.home / "training"))
    # The same crawl: another one has other times in its rows, and so other names of selections.
    for folder in ("plans", "web", "truth", "duplicates", "captions/ingestion", *CRAWLED):
        shutil.copytree(undisturbed.lake.local_path(folder), lake.local_path(folder))
    bench.kill_when("checkpoints/*/*/checkpoint.json", lake)
    assert weights(lake) == {}  # in mid-training: no run has ended
    before = commits(lake)
    _, said = bench.run(lake)
    assert "all is done already" not in said
    after = commits(lake)
    assert {path: after[path] for path in before} == before
    assert set(after) == set(commits(undisturbed.lake))
    assert weights(lake) == weights(undisturbed.lake)
    found, wanted = summary_of(lake), undisturbed.summary
    for name, card in wanted["selections"].items():
        assert found["selections"][name]["digest"] == card["digest"]
    for name, report in wanted["scores"].items():
        assert found["scores"][name]["scores"] == report["scores"]
    _, said = bench.run(lake)
    assert "all is done already" in said
    assert commits(lake) == after
