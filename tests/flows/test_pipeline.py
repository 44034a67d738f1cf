"""The whole chain runs on a small web, ends in registered models, and run again does nothing twice.

The site is the demo's, a sixtieth of its size, and the models are the smallest there are: what is
shown is that every stage hands the next what it needs, not that anything is learnt.
"""

import json
import socket
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from flows.demonstration import plan_for
from flows.plan import Plan
from tasks.demo.facts import SiteFacts, write_truth
from tasks.demo.planting import Site
from tasks.demo.server import serving
from tasks.demo.site import build_site
from tasks.settings import settings_from
from tasks.storage import Lake

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("server")]

ROOT = Path(__file__).resolve().parents[2]
STEPS = 7


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> SiteFacts:
    how = Site(pictures=83, seed_pictures=23, evaluation_pictures=13, port=free_port())
    return build_site(tmp_path_factory.mktemp("site") / "site", how)


def small_plan(site: SiteFacts) -> Plan:
    plan = plan_for(site)
    return replace(
        plan,
        ingestion=replace(plan.ingestion, shard_size=41),
        pretraining=replace(plan.pretraining, preset="test", steps=STEPS, batch_size=8),
        captioner=replace(plan.captioner, steps=STEPS, batch_size=8),
        filter=replace(plan.filter, steps=STEPS, batch_size=8),
        # A filter of seven steps finds every text wrong; what it drops is not the question here.
        selection=replace(
            plan.selection, thresholds=replace(plan.selection.thresholds, itm_probability=0.0)
        ),
        rbm=replace(plan.rbm, updates=200, hidden=8, ais_betas=50, save_every=100),
        evaluation=replace(plan.evaluation, bootstrap=53),
    )


def run(command: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )


def commits(lake: Path) -> dict[str, str]:
    return {str(file): file.read_text() for file in lake.glob("commits/**/*.json")}


def test_a_plan_runs_from_pages_to_registered_models_and_only_once(
    site: SiteFacts, tmp_path: Path
) -> None:
    plan = small_plan(site)
    lake, file = tmp_path / "lake", tmp_path / "plan.json"
    file.write_text(json.dumps(asdict(plan)))
    write_truth(Lake(str(lake)), plan.web.batch, site)
    with serving(site.served, site.port):
        first = run(["flows.pipeline", str(file), "--lake", str(lake)], tmp_path)
        assert first.returncode == 0, first.stderr
        before = commits(lake)
        again = run(["flows.pipeline", str(file), "--lake", str(lake)], tmp_path)
    assert again.returncode == 0, again.stderr
    assert commits(lake) == before
    (summary,) = lake.glob("runs/*/summary.json")
    told: dict[str, Any] = json.loads(summary.read_text())
    stages = {row["stage"]: row for row in told["stages"]}
    assert stages["ingestion web"]["rows_in"] > stages["ingestion web"]["rows_out"] > 0
    assert set(told["models"]) == {"raw", "captioner", "filter", "selected", "rbm"}
    assert set(told["scores"]) == {"raw", "captioner", "filter", "selected"}
    assert set(told["registered"]) == {
        "caplift-captioner",
        "caplift-filter",
        "caplift-blip",
        "caplift-rbm",
    }
    resolved = json.loads((summary.parent / "plan.json").read_text())
    assert settings_from(Plan, resolved) == plan
    for place in ("report", "database"):
        assert Path(told["places"][place]).is_file()
        assert told["places"][place] in first.stdout
    report = json.loads(Path(told["places"]["report"]).with_suffix(".json").read_text())
    assert report["run"] == told["run"]
    assert report["selection"]["id"] == told["selections"]["kept"]["id"]
    assert "CapFilt" in first.stdout


def test_a_misspelt_key_is_one_line_with_its_path_and_writes_nothing(
    site: SiteFacts, tmp_path: Path
) -> None:
    plan = asdict(plan_for(site))
    plan["capfilt"]["decoding"]["topp"] = 0.8
    file, lake = tmp_path / "plan.json", tmp_path / "lake"
    file.write_text(json.dumps(plan))
    done = run(["flows.pipeline", str(file), "--lake", str(lake)], tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "capfilt.decoding.topp" in line
    assert not lake.exists()
