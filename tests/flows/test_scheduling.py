"""The server's two bounds hold: with newer versions it does not start, or schedules nothing.

Newer fastapi ends the server at its import, which is seen at once. SQLAlchemy 2.1 ends only the
scheduler, on each of its loops: the server answers, and no scheduled run ever appears.
"""

import tomllib
from datetime import timedelta
from importlib.metadata import version

import pytest
from packaging.requirements import Requirement
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import IntervalSchedule

from tests.stand import ROOT, eventually, is_completed

BOUNDED = ("fastapi", "prefect", "sqlalchemy")


def bounds() -> dict[str, Requirement]:
    """What pyproject.toml asks of the packages that can break the server."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(line) for line in project["optional-dependencies"]["pipeline"]]
    return {one.name: one for one in wanted if one.name in BOUNDED}


def pins() -> dict[str, str]:
    """What constraints.txt installs."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {name.lower(): pinned.split(";")[0].strip() for name, pinned in found}


@pytest.mark.parametrize("name", BOUNDED)
def test_what_is_installed_and_what_is_pinned_lie_within_the_bounds(name: str) -> None:
    bound = bounds()[name].specifier
    assert bound.contains(version(name))
    assert bound.contains(pins()[name])


@pytest.mark.parametrize(("name", "broken"), [("fastapi", "0.158.0"), ("sqlalchemy", "2.1.0")])
def test_the_versions_known_to_break_the_server_lie_outside(name: str, broken: str) -> None:
    assert not bounds()[name].specifier.contains(broken)


@pytest.mark.slow
def test_the_server_starts_and_answers(client: SyncPrefectClient) -> None:
    assert client.api_healthcheck() is None
    assert client.api_version() == version("prefect")


@pytest.mark.slow
def test_a_scheduled_run_appears_by_itself_and_completes(client: SyncPrefectClient) -> None:
    # A deployment of its own: one of ours may have runs of its schedule for hours ahead already.
    model = client.read_deployment_by_name("sweep/sweep")
    often = client.create_deployment(
        flow_id=model.flow_id,
        name="often",
        entrypoint=model.entrypoint,
        path=model.path,
        pull_steps=model.pull_steps,
        work_pool_name=model.work_pool_name,
        schedules=[
            DeploymentScheduleCreate(schedule=IntervalSchedule(interval=timedelta(seconds=5)))
        ],
    )
    wanted = DeploymentFilter(id=DeploymentFilterId(any_=[often]))

    def runs() -> list[FlowRun]:
        return client.read_flow_runs(deployment_filter=wanted)

    try:
        eventually("a run is scheduled", runs, within_s=30)
        assert all(run.auto_scheduled for run in runs())
        eventually("a scheduled run completes", lambda: any(map(is_completed, runs())))
    finally:
        client.delete_deployment(often)
