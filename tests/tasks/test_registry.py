"""Runs are tracked by name, versions say what they came from and load without pickle."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest

from models.blip import Blip
from models.presets import preset
from models.tokenization import Tokenizer
from tasks import rows
from tasks.checkpoints import load_model, save_checkpoint
from tasks.errors import InputError, ModelError
from tasks.fitted import load_rbm
from tasks.metrics.bootstrap import Estimate
from tasks.pair_scores import scored_pairs
from tasks.rbm.fitting import fit_rbm
from tasks.registry import (
    Description,
    Registered,
    Registry,
    Tracker,
    download,
    lineage,
    register_model,
)
from tasks.storage import Lake, Shard, open_lake
from tasks.vectors import pairs_of, vectors_table
from tests.small_lake import jpeg_of
from tests.vectors import quick

TEXTS = ["a red square", "a blue wall", "a green field"]
LINEAGE = {"run": "captioner-1", "selections": {"kept": "d1"}, "revision": "abc"}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return open_lake(str(tmp_path_factory.mktemp("lake")), create=True)


@pytest.fixture(scope="module")
def registry(lake: Lake) -> Registry:
    return Registry(f"sqlite:///{lake.local_path('mlflow.db')}")


def checkpoint(lake: Lake, run: str, seed: int) -> Path:
    tokenizer = Tokenizer.train(TEXTS, 60)
    model = Blip(preset("test"), tokenizer.vocab_size, seed=seed)
    return lake.local_path(save_checkpoint(lake, run, 3, model, tokenizer, {"seed": seed}).uri)


def registered(registry: Registry, lake: Lake, name: str, seed: int, score: float) -> Registered:
    folder = checkpoint(lake, f"{name}-{seed}", seed)
    config: dict[str, Any] = {"decoding": {"method": "greedy", "max_length": 9}}
    reached = {"cider_d": Estimate(score, score - 0.25, score + 0.5)}
    cards = {"model_card.md": f"# {name}", "data_card.json": "{}"}
    said = Description(lineage=LINEAGE, metrics=reached, cards=cards)
    return register_model(registry, name, folder, said, config)


def test_a_resumed_run_goes_on_in_its_own_place(registry: Registry) -> None:
    parameters = {"steps": 7, "objective": {"alpha": 0.4}}
    first = Tracker(registry, "pretraining-1", parameters=parameters)

    def train() -> None:
        with first:
            first.log({"loss": 2.5}, step=1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train()
    assert registry.client.get_run(first.run_id).info.status == "FAILED"
    with Tracker(registry.tracking_uri, "pretraining-1", parameters=parameters) as second:
        second.log({"loss": 1.5, "lr": 0.1}, step=2)
        second.log_selection("kept", "d" * 64, "selections/kept/selection.json")
        second.tag({"revision": "abc"})
    assert second.run_id == first.run_id
    run = registry.client.get_run(first.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"steps": "7", "objective.alpha": "0.4"}
    history = registry.client.get_metric_history(first.run_id, "loss")
    assert [(one.step, one.value) for one in history] == [(1, 2.5), (2, 1.5)]
    (used,) = run.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.source_type) == ("kept", "webdataset")
    assert "d" * 64 in used.dataset.source
    assert run.data.tags["revision"] == "abc"


def test_a_version_belongs_to_the_run_that_trained_it_and_names_what_it_came_from(
    registry: Registry, lake: Lake
) -> None:
    with Tracker(registry, "captioner-1", parameters={"steps": 5}) as tracker:
        tracker.log_selection("kept", "d1", "selections/kept/selection.json")
    made = registered(registry, lake, "caplift-captioner", 0, 1.0)
    assert made.run_id == tracker.run_id
    known = lineage(registry, made.uri)
    assert known["parameters"] == {"steps": "5"}
    assert known["inputs"] == {"kept": "d1"}
    assert known["tags"]["selections.kept"] == "d1"
    assert known["tags"]["revision"] == "abc"
    bounds = [float(known["tags"][f"metric.cider_d{end}"]) for end in ("", ".low", ".high")]
    assert bounds == [1.0, 0.75, 1.5]
    run = registry.client.get_run(made.run_id)
    assert run.data.metrics["metric.cider_d.high"] == 1.5
    assert (
        registry.client.get_model_version(made.name, made.version).description == f"# {made.name}"
    )


def test_the_same_checkpoint_is_one_version(registry: Registry, lake: Lake) -> None:
    first = registered(registry, lake, "caplift-blip", 0, 0.5)
    again = registered(registry, lake, "caplift-blip", 0, 0.7)
    other = registered(registry, lake, "caplift-blip", 1, 0.5)
    assert again == first
    assert other.version != first.version
    assert float(lineage(registry, first.uri)["tags"]["metric.cider_d"]) == 0.7


def test_checkpoints_of_one_run_keep_their_own_files(registry: Registry, lake: Lake) -> None:
    name = "caplift-filter"
    first = registered(registry, lake, name, 17, 0.5)
    second = registered(registry, lake, name, 19, 0.5)
    assert first.run_id == second.run_id
    for made, seed in ((first, 17), (second, 19)):
        here = checkpoint(lake, f"{name}-{seed}", seed) / "model.safetensors"
        there = download(made.uri, lake) / "model.safetensors"
        assert there.read_bytes() == here.read_bytes()


def test_a_version_of_an_untracked_run_has_its_selections_as_inputs(
    registry: Registry, lake: Lake
) -> None:
    folder = checkpoint(lake, "untracked", 23)
    came_from = {"run": "untracked", "selections": {"kept": "d1", "human": "e" * 64}}
    made = register_model(
        registry, "caplift-blip", folder, Description(lineage=came_from, metrics={})
    )
    assert lineage(registry, made.uri)["inputs"] == {"kept": "d1", "human": "e" * 36}
    again = register_model(
        registry, "caplift-blip", folder, Description(lineage=came_from, metrics={})
    )
    assert again == made
    assert len(registry.client.get_run(made.run_id).inputs.dataset_inputs) == 2


def test_a_folder_that_may_hold_a_pickle_is_refused(registry: Registry, lake: Lake) -> None:
    folder = checkpoint(lake, "with-pickle", 29)
    (folder / "optimiser.pt").write_bytes(b"cos\nsystem\n")
    with pytest.raises(ModelError, match=r"holds optimiser\.pt: only safetensors and JSON"):
        register_model(registry, "caplift-blip", folder, Description(lineage={}, metrics={}))


def test_a_downloaded_model_is_the_checkpoint_that_was_registered(
    registry: Registry, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    made = registered(registry, lake, "caplift-blip", 5, 0.5)
    folder = download(made.uri, lake)
    here = checkpoint(lake, "caplift-blip-5", 5)
    assert (folder / "model.safetensors").read_bytes() == (here / "model.safetensors").read_bytes()
    loaded = load_model(lake, made.uri)
    assert loaded.facts == {"seed": 5}


def test_what_is_not_registered_is_refused_in_one_line(registry: Registry, lake: Lake) -> None:
    nothing = Description(lineage={}, metrics={})
    with pytest.raises(ModelError, match="caplift-rbm@champion is not registered at sqlite"):
        download("models:/caplift-rbm@champion", lake)
    with pytest.raises(InputError, match=r"one of caplift-captioner.*not 'mine'"):
        register_model(registry, "mine", lake.local_path(), nothing)
    with pytest.raises(ModelError, match="no checkpoint folder"):
        register_model(registry, "caplift-blip", lake.local_path("gone"), nothing)


def test_a_database_that_is_none_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is no database at all, " * 99)
    with pytest.raises(InputError, match=r"not a database.*set MLFLOW_TRACKING_URI"):
        Tracker(f"sqlite:///{tmp_path}/mlflow.db", "r")


def test_the_champion_serves_in_three_lines_without_pickle(
    registry: Registry, lake: Lake, tmp_path: Path
) -> None:
    for name in ("caplift-captioner", "caplift-filter", "caplift-blip"):
        made = registered(registry, lake, name, 11, 9.0)
        registry.client.set_registered_model_alias(name, "champion", made.version)
    picture = tmp_path / "red.jpg"
    picture.write_bytes(jpeg_of((220, 30, 30)))
    script = f"""
import mlflow
import pandas as pd
mlflow.set_tracking_uri({registry.tracking_uri!r})
captioner = mlflow.pyfunc.load_model("models:/caplift-captioner@champion")
picture = {str(picture)!r}
texts = captioner.predict([picture, open(picture, "rb").read(), picture] * 12)
assert len(texts) == 36 and len(set(texts)) == 1 and isinstance(texts[0], str), texts
judge = mlflow.pyfunc.load_model("models:/caplift-filter@champion")
one, other = judge.predict([{{"image": picture, "text": t}} for t in ("a red square", "a wall")])
assert 0 < one["itm_probability"] < 1 and one != other, (one, other)
blip = mlflow.pyfunc.load_model("models:/caplift-blip@champion")
(vector,) = blip.predict(pd.DataFrame({{"image": [picture]}}))
assert abs(sum(x * x for x in vector) - 1) < 1e-5
try:
    captioner.predict([b"no picture"])
except Exception as error:
    assert "no JPEG, PNG or WebP" in str(error), error
else:
    raise AssertionError
"""
    environment = {**os.environ, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_registered_rbm_scores_pairs_as_it_did_when_it_was_fitted(
    registry: Registry, lake: Lake
) -> None:
    generator = np.random.default_rng(0)
    shared = generator.normal(size=(211, 3))
    sides = [shared @ generator.normal(size=(3, 5)) + generator.normal(size=(211, 5)) for _ in "ab"]
    captions = [{"key": rows.key_of(str(n)), "caption_id": str(n)} for n in range(211)]
    images, texts = (side.astype(np.float32) for side in sides)
    table = vectors_table(captions, images, texts)
    rows.write_rows(lake, lake.rows("vectors", "v", Shard("web", "00000")), table)
    how = quick(training={"updates": 20, "chains": 32}, save_every=10)
    for _ in fit_rbm(lake, "rbm-1", "v", ("web",), how):
        pass
    metrics = load_rbm(lake, "rbm-1").metrics
    numbers = {name: Estimate(v, v, v) for name, value in metrics.items() for v in [float(value)]}
    folder = lake.local_path("rbms", "rbm-1")
    said = Description(lineage={"run": "rbm-1"}, metrics=numbers)
    made = register_model(registry, "caplift-rbm", folder, said)
    model = mlflow.pyfunc.load_model(str(download(made.uri, lake).parent.parent))
    pairs = [
        {"image_embedding": image.tolist(), "text_embedding": text.tolist()}
        for image, text in zip(images, texts, strict=True)
    ]
    found = model.predict(pairs[:37])
    here = list(scored_pairs(load_rbm(lake, "rbm-1"), pairs_of(table)))
    assert len(found) == 37
    for one, other in zip(found, here[:37], strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_there_is_no_pickle_among_the_artifacts(registry: Registry, lake: Lake) -> None:
    made = registered(registry, lake, "caplift-captioner", 13, 0.1)
    folder = download(made.uri, lake).parent.parent
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    texts = {".safetensors", ".json", ".md", ".py", ".txt", ".yaml"}
    assert {path.suffix for path in files} - {""} == texts
    assert {path.name for path in files if not path.suffix} <= {"MLmodel", "registered_model_meta"}


def test_telemetry_is_off() -> None:
    assert mlflow.telemetry.get_telemetry_client() is None
