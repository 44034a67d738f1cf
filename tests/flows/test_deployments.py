"""Every deployment of infra/prefect.yaml loads, fits its flow, and can be run by its bare name."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.flows import load_flow_from_entrypoint

from flows.bare_names import DEPLOYMENTS
from flows.capfilt import GROUP, POOL
from flows.embedding import EMBEDDED
from flows.ingestion import READY

ROOT = Path(__file__).resolve().parents[2]
PAGE: dict[str, Any] = yaml.safe_load((ROOT / "infra" / "prefect.yaml").read_text())
NAMED: dict[str, dict[str, Any]] = {one["name"]: one for one in PAGE["deployments"]}
SHARED = "capfilt_group"  # what the workers of a pool do side by side
# Names of runs and selections, which no page can know before they are made.
GIVEN: dict[str, dict[str, Any]] = {
    "pretraining": {"selections": ["raw-1"]},
    "finetuning": {"start": "checkpoints/pretraining-1/00000007"},
    "rbm": {"vectors": "vectors-1", "batches": ["web"]},
    "capfilt_group": {"batch": "web", "shards": ["00000"], "job": {"scores": "scores-1"}},
    "reranking": {"how": {"caption_runs": ["captions-1"], "score_run": "scores-1"}},
    "publish": {"selection": "blip-1", "folder": "shards"},
}


def flow_of(deployment: dict[str, Any]) -> Flow[Any, Any]:
    flow: Flow[Any, Any] = load_flow_from_entrypoint(
        deployment["entrypoint"], use_placeholder_flow=False
    )
    return flow


def test_the_page_and_the_command_line_know_the_same_deployments() -> None:
    assert set(NAMED) == DEPLOYMENTS


@pytest.mark.parametrize("name", sorted(NAMED))
def test_a_deployment_has_the_name_of_its_flow(name: str) -> None:
    assert flow_of(NAMED[name]).name == name


@pytest.mark.parametrize("name", sorted(NAMED))
def test_the_parameters_of_a_deployment_fit_its_flow(name: str) -> None:
    flow = flow_of(NAMED[name])
    chosen = NAMED[name].get("parameters", {})
    assert set(chosen) <= set(flow.parameters.properties)
    # What is left to whoever starts a run is that which only they can know, and nothing else.
    assert set(flow.parameters.required) - set(chosen) == set(GIVEN.get(name, {}))
    flow.validate_parameters({**defaults(flow), **chosen, **GIVEN.get(name, {})})


def defaults(flow: Flow[Any, Any]) -> dict[str, Any]:
    """The defaults of a flow that survive as JSON; Prefect fills in the others itself."""
    return {
        name: about["default"]
        for name, about in flow.parameters.properties.items()
        if about.get("default") is not None
    }


def test_a_misspelt_key_is_refused_with_its_dotted_path() -> None:
    flow = flow_of(NAMED["ingestion"])
    source = {"batch": "web", "pages": ["index.html"]}
    with pytest.raises(Exception, match=r"how\.shard_sise"):
        flow.validate_parameters({"source": source, "how": {"shard_sise": 7}, "lake": ""})


@pytest.mark.parametrize("name", sorted(NAMED))
def test_an_entrypoint_is_dotted(name: str) -> None:
    # A colon would make Prefect load the file a second time, under another name.
    assert NAMED[name]["entrypoint"] == f"flows.{name}.{name}"


@pytest.mark.parametrize("name", sorted(NAMED))
def test_a_deployment_waits_in_a_pool_and_runs_alone(name: str) -> None:
    assert NAMED[name]["work_pool"]["name"] in ("cpu", "gpu")
    if name != SHARED:
        assert NAMED[name]["concurrency_limit"]["limit"] == 1


def test_only_the_groups_of_capfilt_are_as_many_as_the_pool_has_workers() -> None:
    assert NAMED[SHARED]["work_pool"]["name"] == POOL == "gpu"
    assert "concurrency_limit" not in NAMED[SHARED]
    assert f"{SHARED}/{SHARED}" == GROUP
    # It waits for them: in their pool it would hold the slot that they need.
    assert NAMED["capfilt"]["work_pool"]["name"] != POOL


def test_something_is_scheduled_and_the_pipeline_waits_for_its_pages() -> None:
    active = {
        name
        for name, one in NAMED.items()
        if any(schedule["active"] for schedule in one.get("schedules", []))
    }
    assert active == {"sweep", "quality"}


@pytest.mark.parametrize(("name", "event"), [("capfilt", READY), ("rbm", EMBEDDED)])
def test_a_stage_announces_what_the_next_one_waits_for(name: str, event: str) -> None:
    (trigger,) = NAMED[name]["triggers"]
    assert trigger["expect"] == [event]
    assert set(trigger["parameters"]) <= set(flow_of(NAMED[name]).parameters.properties)
    # As plain jinja every parameter would arrive as a string and the run would never be made.
    for parameter in trigger["parameters"].values():
        assert parameter["__prefect_kind"] == "json"
        assert parameter["value"]["template"].endswith("| tojson }}")


@pytest.mark.parametrize("file", sorted((ROOT / "infra").glob("*.yaml")), ids=lambda f: f.name)
def test_a_yaml_file_is_yaml(file: Path) -> None:
    assert isinstance(yaml.safe_load(file.read_text()), dict)


def test_every_service_of_compose_is_built_from_a_file_that_exists() -> None:
    compose = yaml.safe_load((ROOT / "infra" / "compose.yaml").read_text())
    for service in compose["services"].values():
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).is_file()
        for other in service.get("depends_on", {}):
            assert other in compose["services"]


@pytest.mark.parametrize(
    "file", sorted((ROOT / "infra").glob("*.Dockerfile")), ids=lambda f: f.name
)
def test_an_image_copies_what_exists_and_starts_a_worker_of_its_pool(file: Path) -> None:
    lines = file.read_text().splitlines()
    sources = [word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]]
    assert sources
    assert all((ROOT / source).exists() for source in sources)
    assert f'"--pool", "{file.stem}"' in lines[-1]
