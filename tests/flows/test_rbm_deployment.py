"""New embeddings make an RBM by themselves: fitted, held against the champion, registered, used.

A real server, its workers and its events; the model that embeds is untrained, and what machines
are compared on is drawn.
"""

import json
from typing import Any

import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from prefect.client.schemas.objects import FlowRun

from models.blip import Blip
from models.presets import preset
from models.tokenization import Tokenizer
from tasks import rows
from tasks.checkpoints import save_checkpoint
from tasks.fitted import load_rbm
from tasks.storage import Lake, Shard, open_lake
from tests.small_lake import NAMES, SHAPES, write_lake
from tests.stand import Stand, eventually, is_completed, runs_of
from tests.vectors import write_sides

pytestmark = pytest.mark.slow

WIDTH, CLUSTERS = 7, 6
FIRST = {"hidden": 5, "training": {"updates": 400, "chains": 31}}
BETTER = {"hidden": 13, "training": {"updates": 600, "chains": 31}}


def typed(stand: Stand, name: str, **parameters: Any) -> str:
    """Type `prefect deployment run NAME` with parameters and wait for its end."""
    given = [word for n, v in parameters.items() for word in ("--param", f"{n}={json.dumps(v)}")]
    done = stand.prefect("deployment", "run", name, "--watch", *given)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Completed" in done.stdout, done.stdout
    return done.stdout


def records(lake: Lake) -> dict[str, dict[str, Any]]:
    """What is registered as `caplift-rbm`, by version."""
    names = lake.names("registrations/caplift-rbm", ".json")
    return {name: lake.read_json(f"registrations/caplift-rbm/{name}.json") for name in names}


def test_embedding_a_batch_makes_a_machine_and_scores_every_pair(
    stand: Stand, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake = write_lake(tmp_path_factory.mktemp("new") / "lake", counts=(149, 83), shades=25)
    address = save_checkpoint(lake, "blip", 1, *telling_apart(), {"seed": 3}).uri
    with stand.client() as client:

        def done() -> FlowRun | None:
            ours = [run for run in runs_of(client, "rbm") if run.parameters["lake"] == lake.root]
            assert not any(run.state is not None and run.state.is_failed() for run in ours)
            return next((run for run in ours if is_completed(run)), None)

        typed(stand, "embedding", batches=["web"], model=address, lake=lake.root)
        run = eventually("rbm is started by the event and completes", done, within_s=600)
    (vectors,) = lake.folders("commits/embedding")
    assert run.parameters["vectors"] == vectors
    assert run.parameters["batches"] == ["web"]
    (name,) = lake.folders("rbms")
    (loaded,) = load_rbm(lake, name).embedded_by
    assert loaded.startswith(f"{address}#")
    for shard in lake.planned("web"):
        scored = rows.read_rows(lake, lake.rows("scores", name, shard), ["caption_id", "rbm_pmi"])
        captions = rows.read_rows(lake, lake.rows("captions", "ingestion", shard), ["caption_id"])
        assert set(scored["caption_id"].to_pylist()) == set(captions["caption_id"].to_pylist())
        assert np.isfinite(scored["rbm_pmi"].to_numpy()).all()
    (record,) = records(lake).values()
    assert (record["run"], record["parents"], record["vectors"]) == (name, [loaded], vectors)
    assert record["decision"]["reason"]
    shown_in_mlflow(lake, name)


def telling_apart() -> tuple[Blip, Tokenizer]:
    """An untrained model whose texts' vectors point everywhere, as those of a trained one do."""
    texts = [f"a {name} {shape}" for name in NAMES for shape in SHAPES]
    tokenizer = Tokenizer.train(texts, 90)
    model = Blip(preset("test"), tokenizer.vocab_size, 3).eval()
    with torch.no_grad():
        hidden = model.encode_text(*tokenizer.encode(texts, 35, "cls"))[:, 0]
        model.text_projection.bias.copy_(-(hidden @ model.text_projection.weight.T).mean(0))
    return model, tokenizer


def shown_in_mlflow(lake: Lake, name: str) -> None:
    """See that the fit can be followed in MLflow: its numbers over updates, and its plots."""
    client = MlflowClient(f"sqlite:///{lake.local_path('mlflow.db')}")
    experiments = [one.experiment_id for one in client.search_experiments()]
    (found,) = client.search_runs(experiments, f"tags.`caplift.run` = '{name}'")
    assert found.info.status == "FINISHED"
    for metric in ("free_energy_gap", "activity_share/0.01-0.03", "grad_norm"):
        steps = [one.step for one in client.get_metric_history(found.info.run_id, metric)]
        assert steps == list(range(50, 50 * len(steps) + 1, 50)), metric
    assert client.get_metric_history(found.info.run_id, "nats_over_full_gaussian")
    plots = {one.path for one in client.list_artifacts(found.info.run_id, "plots")}
    drawn = ("activations", "filters", "forgetting", "free_energy_gap", "mixing")
    assert plots == {f"plots/{one}.svg" for one in drawn}


def clusters(lake: Lake, run: str, count: int, shard: str) -> None:
    """Write pairs about six centres, as the embedding stage would: vectors, then their record."""
    centres = 2 * np.random.default_rng(99).normal(size=(CLUSTERS, 2 * WIDTH))
    generator = np.random.default_rng(int(shard))
    about = centres[generator.integers(CLUSTERS, size=count)]
    drawn = (about + 0.4 * generator.normal(size=about.shape)).astype(np.float32)
    place = Shard("web", shard)
    write_sides(lake, drawn[:, :WIDTH], drawn[:, WIDTH:], run, place)
    path = lake.rows("vectors", run, place)
    counts, versions = {"vectors": count}, {"model": "checkpoints/blip/1#1234"}
    lake.commit("embedding", run, place, files=[path], rows=counts, seconds=1, versions=versions)


def test_the_command_line_registers_a_better_machine_over_the_champion_once(
    stand: Stand, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake = open_lake(str(tmp_path_factory.mktemp("drawn") / "lake"), create=True)
    clusters(lake, "v-1", 419, "00001")
    clusters(lake, "v-2", 1009, "00002")

    def fitted(vectors: str, how: dict[str, Any]) -> None:
        seldom = {"look_every": 200, "save_every": 200, "batch_size": 64}
        whole = {**seldom, "ais_chains": 13, "ais_betas": 20, **how}
        typed(stand, "rbm", vectors=vectors, batches=["web"], how=whole, lake=lake.root)

    fitted("v-1", FIRST)
    assert {version: one["alias"] for version, one in records(lake).items()} == {"1": "champion"}
    fitted("v-2", BETTER)
    fitted("v-2", {**BETTER, "training": {"updates": 1, "chains": 31}})
    aliases = {version: one["alias"] for version, one in records(lake).items()}
    assert aliases == {"1": "", "2": "champion", "3": "challenger"}
    assert "nats_over_full_gaussian" in records(lake)["3"]["decision"]["reason"]
    before = {path: lake.read_bytes(path) for path in lake.glob("**/*.json")}
    fitted("v-2", BETTER)  # the same machine is found, and nothing is done twice
    assert {path: lake.read_bytes(path) for path in lake.glob("**/*.json")} == before
