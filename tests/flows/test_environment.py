"""This machine is read once, from the environment; a value that means nothing is one clear line."""

import re
from pathlib import Path

import pytest

from flows.environment import this_machine
from tasks.errors import InputError, LakeError
from tasks.storage import Lake


def test_an_empty_environment_is_a_laptop() -> None:
    machine = this_machine({})
    assert machine.lake == str(Path("lake").absolute())
    assert machine.engine == "threads"
    assert machine.workers >= 1
    assert machine.contact == ""


def test_a_lake_on_an_object_store_keeps_its_address() -> None:
    assert this_machine({"CAPLIFT_LAKE": "s3://bucket/lake"}).lake == "s3://bucket/lake"


def test_a_chosen_device_is_taken_as_it_stands() -> None:
    assert this_machine({"CAPLIFT_DEVICE": "cuda:3"}).device == "cuda:3"


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("CAPLIFT_ENGINE", "spark", "threads or ray"),
        ("CAPLIFT_WORKERS", "0", "at least 1"),
        ("CAPLIFT_WORKERS", "many", "at least 1"),
        ("CAPLIFT_RANKS", "two", "at least 0"),
        ("CAPLIFT_DEVICE", "gpu", "cpu, cuda or cuda:0"),
        ("CAPLIFT_DEVICE", "cuda:x", "cpu, cuda or cuda:0"),
    ],
)
def test_a_value_that_means_nothing_is_named_with_what_it_can_be(
    name: str, value: str, remedy: str
) -> None:
    with pytest.raises(InputError, match=re.escape(remedy)) as raised:
        this_machine({name: value})
    assert name in str(raised.value)
    assert repr(value) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_mlflow_lies_in_a_local_lake_unless_the_machine_says_otherwise(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    assert this_machine({}).mlflow_uri(lake) == f"sqlite:///{tmp_path}/mlflow.db"
    elsewhere = this_machine({"MLFLOW_TRACKING_URI": "http://127.0.0.1:5003"})
    assert elsewhere.mlflow_uri(lake) == "http://127.0.0.1:5003"


def test_a_lake_that_is_no_folder_needs_to_be_told_where_mlflow_is() -> None:
    with pytest.raises(InputError, match="set MLFLOW_TRACKING_URI"):
        this_machine({}).mlflow_uri(Lake("memory://lake"))


def test_a_missing_lake_says_how_to_get_one(tmp_path: Path) -> None:
    machine = this_machine({"CAPLIFT_LAKE": str(tmp_path / "none")})
    with pytest.raises(LakeError, match="make demo"):
        machine.open_lake()
    assert not (tmp_path / "none").exists()
