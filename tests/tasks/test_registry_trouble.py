"""A registry that is shared, slow, half gone or not there says so in a line and loses nothing."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from models.blip import Blip
from models.presets import preset
from models.tokenization import Tokenizer
from tasks.checkpoints import load_model, save_checkpoint
from tasks.description import Description
from tasks.errors import InputError, ModelError
from tasks.gate import Gate
from tasks.metrics.bootstrap import Difference, Estimate
from tasks.promotion import CHAMPION, history, promote, rollback
from tasks.registry import Registry, alias_of, download, register_model
from tasks.storage import Lake, open_lake
from tasks.tracking import HELD, alone
from tests.small_lake import jpeg_of
from tests.stand import free_port

NAME = "caplift-captioner"
GATE = Gate(floors={"cider_d": 0.0})


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(f"sqlite:///{tmp_path}/mlflow.db")


def registered(registry: Registry, root: Path, score: float) -> str:
    """A version with this score, sure to a thousandth."""
    folder = root / f"{score}"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text(f"{score}")
    reached = {"cider_d": Estimate(score, score - 0.001, score + 0.001)}
    said = Description(lineage={"run": f"run-{score}"}, metrics=reached)
    return register_model(registry, NAME, folder, said).version


def test_of_versions_that_are_promoted_at_once_the_best_is_champion(
    registry: Registry, tmp_path: Path
) -> None:
    scores = [0.2, 0.7, 0.3, 0.5, 0.9, 0.6, 0.1]
    versions = [registered(registry, tmp_path, score) for score in scores]
    with ThreadPoolExecutor(len(versions)) as pool:
        list(pool.map(lambda version: promote(registry, NAME, version, GATE), versions))
    assert alias_of(registry, NAME, CHAMPION) == versions[scores.index(0.9)]
    # None that was worse than the champion it found has taken its place, and none was forgotten.
    told = history(registry, NAME)
    reached = [scores[versions.index(one["version"])] for one in told]
    assert reached == sorted(reached)
    assert [one["against"] for one in told] == ["", *(one["version"] for one in told[:-1])]


def test_a_difference_to_a_champion_that_was_replaced_decides_nothing(
    registry: Registry, tmp_path: Path
) -> None:
    first, second, third = (registered(registry, tmp_path, score) for score in (0.2, 0.9, 0.5))
    promote(registry, NAME, first, GATE)
    better = {"cider_d": Difference(0.2, 0.5, Estimate(0.3, 0.2, 0.4), 1.0)}
    promote(registry, NAME, second, GATE)
    said = promote(registry, NAME, third, GATE, better, first)
    assert (said.alias, said.against) == ("challenger", second)


def test_who_was_killed_while_promoting_keeps_nobody_waiting_for_ever(
    registry: Registry, tmp_path: Path
) -> None:
    version = registered(registry, tmp_path, 0.4)
    registry.client.create_registered_model(NAME + HELD)
    database = sqlite3.connect(tmp_path / "mlflow.db")
    with database:
        database.execute("update registered_models set creation_time = creation_time - 180000")
    database.close()
    assert promote(registry, NAME, version, GATE).alias == "champion"
    with pytest.raises(MlflowException):
        registry.client.get_registered_model(NAME + HELD)


def test_an_error_while_promoting_gives_the_turn_back(registry: Registry) -> None:
    def fail() -> None:
        with alone(registry, NAME):
            raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fail()


def test_files_that_are_gone_or_damaged_are_named_with_what_to_do(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    lake = open_lake(str(tmp_path), create=True)
    gone, cut = (blip(lake, registry, seed) for seed in (1, 2))
    (folder,) = Path(tmp_path, "mlflow").glob(f"**/{NAME}/{'[0-9a-f]' * 12}/artifacts/*1")
    shutil.rmtree(folder.parent.parent)
    with pytest.raises(ModelError, match=r"cannot be fetched.*rollback caplift-captioner") as said:
        download(f"models:/{NAME}/{gone}", lake)
    assert len(str(said.value).splitlines()) == 1
    weights = download(f"models:/{NAME}/{cut}", lake) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    with pytest.raises(ModelError, match="is damaged"):
        load_model(lake, f"models:/{NAME}/{cut}")


def blip(lake: Lake, registry: Registry, seed: int) -> str:
    tokenizer = Tokenizer.train(["a red square", "a blue wall"], 60)
    model = Blip(preset("test"), tokenizer.vocab_size, seed=seed)
    saved = save_checkpoint(lake, f"captioner-{seed}", seed, model, tokenizer, {"seed": seed})
    reached = {"cider_d": Estimate(seed, seed, seed)}
    said = Description(lineage={"run": f"r{seed}"}, metrics=reached, cards={"model_card.md": "#"})
    config = {"decoding": {"method": "greedy", "max_length": 9}}
    return register_model(registry, NAME, lake.local_path(saved.uri), said, config).version


@pytest.mark.slow
def test_a_registry_that_does_not_answer_is_said_in_a_line() -> None:
    nobody = Registry(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(InputError, match=r"cannot be used.*MLFLOW_TRACKING_URI") as said:
        rollback(nobody, NAME)
    assert len(str(said.value).splitlines()) == 1


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """MLflow's server on loopback with its database and artifacts in a folder."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("mlflow")), "server", "--host", "127.0.0.1"]
    where = ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--workers", "1"]
    kept = ["--artifacts-destination", f"{folder}/artifacts", "--port", str(port)]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, *where, *kept],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(1500):
            assert server.poll() is None, (folder / "server.log").read_text()[-2000:]
            with suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=2):
                break
            time.sleep(0.2)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)


@pytest.mark.slow
def test_a_tracking_server_serves_the_champion_to_a_process_that_knows_its_address(
    tmp_path: Path,
) -> None:
    lake = open_lake(str(tmp_path / "lake"), create=True)
    picture = tmp_path / "red.jpg"
    picture.write_bytes(jpeg_of((220, 30, 30)))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with served(tmp_path) as address:
        registry = Registry(address)
        first, second = (blip(lake, registry, seed) for seed in (1, 2))
        for version in (first, second):
            assert promote(registry, NAME, version, GATE).alias == "champion"
        assert rollback(registry, NAME)[0] == first
        script = (
            "import mlflow\n"
            f'captioner = mlflow.pyfunc.load_model("models:/{NAME}@champion")\n'
            f"print(captioner.predict([{str(picture)!r}]))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=elsewhere,
            env={**os.environ, "MLFLOW_TRACKING_URI": address},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1].startswith("['")
    kept = {path.suffix for path in (tmp_path / "artifacts").rglob("*") if path.is_file()}
    assert kept == {".safetensors", ".json", ".md", ".py", ".txt", ".yaml", ""}
