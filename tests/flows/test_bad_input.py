"""What a person can mend is one clear line and a status of 2, before anything is written.

Every kind of case is a command as it is typed, in an empty folder; its variants are calls.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from flows.demonstration import run_demo
from flows.pipeline import main
from flows.plan import Plan
from flows.serve import Ports
from tasks.commands import run_command
from tasks.errors import InputError
from tasks.ingestion.settings import Ingestion, Source
from tests.gated_site import gated_site
from tests.stand import ROOT, free_port


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Libraries write into a home when they are imported, so it is not where we look."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Where the command is typed: an empty folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def typed(
    here: Path, home: Path, *words: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    ours = {"HOME": str(home), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=here,
        env={"PATH": "/usr/bin:/bin", **ours},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def only_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line the command said; it ended with the status of what a person can mend."""
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line


@pytest.fixture
def taken() -> Iterator[int]:
    """A port somebody listens on."""
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        yield int(somebody.getsockname()[1])


def plan(**changes: Any) -> dict[str, Any]:
    """A plan as a person writes it, over three tables."""
    return {
        "web": {"batch": "web", "kind": "web", "tables": ["web.csv"]},
        "seed": {"batch": "seed", "kind": "human", "tables": ["seed.csv"]},
        "held_out": {"batch": "evaluation", "kind": "human", "tables": ["evaluation.csv"]},
        **changes,
    }


def test_a_demo_on_a_taken_port_names_the_setting_of_another(
    here: Path, home: Path, taken: int
) -> None:
    line = only_line(typed(here, home, "flows.demo", "--port", str(taken)))
    assert f"port {taken} of 127.0.0.1 is taken" in line
    assert f"make demo SITE_PORT={taken + 1}" in line
    assert not list(here.iterdir())


def test_a_demo_whose_folder_is_a_file_leaves_the_file_alone(here: Path, home: Path) -> None:
    folder = here / "demo"
    folder.write_text("mine")
    elsewhere = ("--port", str(free_port()))  # a demo of yours may be running
    line = only_line(typed(here, home, "flows.demo", "--folder", str(folder), *elsewhere))
    assert f"cannot write in {folder} (Not a directory)" in line
    assert "make demo FOLDER=" in line
    assert folder.read_text() == "mine"


def test_a_misspelt_site_names_those_there_are(here: Path, home: Path) -> None:
    line = only_line(typed(here, home, "flows.demo", "--site", "gmip"))
    assert line == "SITE is 'gmip'; it can be default or gimp"
    assert not list(here.iterdir())


def test_a_demo_in_a_folder_that_cannot_be_made_names_another(here: Path) -> None:
    blocked = here / "blocked"
    blocked.symlink_to(here / "gone" / "away")  # not even root makes a folder of it
    with pytest.raises(InputError, match="make demo FOLDER=") as raised:
        run_demo("default", blocked / "demo", free_port())
    assert f"cannot write in {blocked / 'demo'}" in str(raised.value)
    assert [path.name for path in here.iterdir()] == ["blocked"]


@pytest.mark.parametrize("port", [-1, 0, 1023, 65536])
def test_a_demo_on_a_port_that_is_none_for_users_is_refused(here: Path, port: int) -> None:
    with pytest.raises(InputError, match=f"port is {port}; the site needs one from 1024 to 65535"):
        run_demo("default", here / "demo", port)
    assert not list(here.iterdir())


@pytest.mark.parametrize("setting", ["PREFECT_PORT", "MLFLOW_PORT"])
def test_serving_on_a_taken_port_names_the_setting_of_another(
    here: Path, home: Path, taken: int, setting: str
) -> None:
    option = f"--{setting.lower().replace('_', '-')}"
    line = only_line(typed(here, home, "flows.serve", option, str(taken)))
    assert f"port {taken} of 127.0.0.1 is taken" in line
    assert f"make serve {setting}={taken + 1}" in line
    assert not list(here.iterdir())


def test_two_services_on_one_port_are_refused() -> None:
    with pytest.raises(InputError, match=r"cannot both have port 5003.*MLFLOW_PORT=5004"):
        Ports(prefect=5003, mlflow=5003)


@pytest.mark.parametrize("port", [-1, 0, 65536])
def test_serving_on_a_number_that_is_no_port_is_refused(port: int) -> None:
    with pytest.raises(InputError, match=f"{port} is no port; a port is 1 to 65535"):
        Ports(prefect=port).require_free()


def test_every_setting_that_a_line_names_is_one_that_make_takes() -> None:
    lines = (ROOT / "Makefile").read_text().splitlines()
    settings = {line.split("?=")[0].strip() for line in lines if "?=" in line}
    assert {"SITE", "FOLDER", "SITE_PORT", "PREFECT_PORT", "MLFLOW_PORT"} <= settings


def test_a_lake_that_is_a_file_is_refused_by_what_writes_one(here: Path, home: Path) -> None:
    lake = here / "lake"
    lake.write_text("mine")
    line = only_line(typed(here, home, "flows.serve", CAPLIFT_LAKE=str(lake)))
    assert f"cannot write under {lake}" in line
    assert "CAPLIFT_LAKE" in line
    assert lake.read_text() == "mine"


@pytest.mark.parametrize(
    "words",
    [
        ["tasks.capfilt", "none", "--batch", "web", "--captioner", "a", "--filter", "b"],
        ["tasks.pretraining", "none", "run", "plan.json"],
    ],
)
def test_a_missing_lake_is_not_made_by_what_only_reads_it(
    here: Path, home: Path, words: list[str]
) -> None:
    settings = {"selections": ["raw-1"], "settings": {}}
    (here / "plan.json").write_text(json.dumps(settings))
    line = only_line(typed(here, home, *words))
    assert line.startswith("there is no lake at none")
    assert "make demo" in line
    assert not (here / "none").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pretraining": {"preset": "tinny"}}, "tinny"),
        ({"pretraining": {"presset": "tiny"}}, "pretraining.presset is not a setting"),
        ({"capfilt": {"decoding": {"topp": 0.8}}}, "capfilt.decoding.topp is not a setting"),
        ({"pretrianing": {}}, "pretrianing is not a setting"),
        ({"rounds": "two"}, "rounds wants int, got 'two'"),
        ({"held_out": {"batch": "web", "tables": ["a.csv"]}}, "must never be trained on"),
    ],
)
def test_a_plan_that_cannot_be_meant_writes_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], said: str
) -> None:
    file = here / "plan.json"
    file.write_text(json.dumps(plan(**changes)))
    assert run_command(main, [str(file), "--lake", str(here / "lake")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line
    assert list(here.iterdir()) == [file]


@pytest.mark.parametrize(("text", "said"), [("{", "is not JSON"), ("[]", "is a JSON object")])
def test_a_file_that_is_no_plan_is_named(
    here: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    file = here / "plan.json"
    file.write_text(text)
    assert run_command(main, [str(file)]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"the plan {file} {said}" in line


def test_a_plan_that_is_not_there_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = here / "plan.json"
    assert run_command(main, [str(file)]) == 2
    said = capsys.readouterr().err
    assert said == f"the plan {file} cannot be read (No such file or directory)\n"


@pytest.mark.slow
def test_a_gate_that_fails_stops_the_pipeline_before_anything_is_trained(
    here: Path, home: Path
) -> None:
    private = Ingestion(allow_private_hosts=("127.0.0.1",))
    with gated_site() as site:
        tables = {name: site.table(here / f"{name}.csv", 3) for name in ("seed", "held_out")}
        # Three pictures in a hundred and thirteen: gate G2 wants sixty in a hundred.
        dead = [f"{site.url}/{number}.gone,picture {number} of a row" for number in range(110)]
        web = site.table(here / "web.csv", 3)
        web.write_text(web.read_text() + "\n".join(dead) + "\n")
        meant = Plan(
            web=Source(batch="web", tables=(str(web),)),
            seed=Source(batch="seed", kind="human", tables=(str(tables["seed"]),)),
            held_out=Source(batch="evaluation", kind="human", tables=(str(tables["held_out"]),)),
            ingestion=private,
        )
        file = here / "plan.json"
        file.write_text(json.dumps(asdict(meant)))
        done = typed(here, home, "flows.pipeline", str(file), "--lake", str(here / "lake"))
    assert done.returncode == 2, done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("gate G2 fail: ")
    assert "is 0.02655 on web" in line
    assert "override G2" in line
    assert "Traceback" not in done.stderr
    assert {"checkpoints", "selections"}.isdisjoint(
        {entry.name for entry in (here / "lake").iterdir()}
    )
