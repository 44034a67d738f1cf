"""Two machines are compared in the embedding's own columns, on pairs that neither has learnt from.

Log-densities are held to scipy's of the full Gaussian, which a machine without weights is.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal  # type: ignore[import-untyped]

from models.rbm.machine import RBM
from models.rbm.partition import log_z_exact
from models.rbm.whitening import KEPT_ABOVE, fit_whitener
from tasks.contenders import RBM_METRIC, rbm_candidate
from tasks.errors import ModelError
from tasks.fitted import FittedRbm, load_rbm, publish_rbm
from tasks.gate import Gate
from tasks.rbm.contest import against, log_density
from tasks.registration import register_candidate
from tasks.storage import Lake, open_lake
from tests.vectors import WIDTH, fitted, write_vectors

GOOD: dict[str, Any] = {
    "hidden": 5,
    "updates": 300,
    "save_every": 100,
    "ais_chains": 31,
    "ais_betas": 200,
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Two machines on the same vectors: one that has learnt, and one at its start."""
    lake = open_lake(str(tmp_path_factory.mktemp("contest") / "lake"), create=True)
    for shard in ("00000", "00001", "00002"):
        write_vectors(lake, shard=shard)
    fitted(lake, "good", **GOOD)
    fitted(lake, "poor", **{**GOOD, "updates": 1})
    return lake


def gaussian(rows: torch.Tensor) -> FittedRbm:
    """The full Gaussian of these rows, as a machine without weights."""
    whitener = fit_whitener([rows], rows.shape[1] // 2)
    machine = RBM(whitener.n_kept, 3)
    return FittedRbm("gaussian", machine, whitener, {"log_z": log_z_exact(machine)})


def drawn(width: int = 7) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    rows = torch.randn(211, 2 * width, generator=generator, dtype=torch.float64)
    return rows @ torch.randn(2 * width, 2 * width, generator=generator, dtype=torch.float64) + 2


def test_a_machine_without_weights_has_the_density_of_the_full_gaussian() -> None:
    rows = drawn()
    spread = np.cov(rows.numpy().T, bias=True)
    wanted = multivariate_normal(rows.mean(0).numpy(), spread).logpdf(rows.numpy())
    assert log_density(gaussian(rows), rows).numpy() == pytest.approx(wanted, abs=1e-6)


def test_a_direction_that_is_cut_off_counts_with_the_variance_of_the_cut() -> None:
    rows = drawn()
    rows[:, 4] = 0.5  # never varies: it is cut
    made = gaussian(rows)
    assert made.whitener.n_kept == 13
    kept = [column for column in range(14) if column != 4]
    spread = np.cov(rows[:, kept].numpy().T, bias=True)
    inside = multivariate_normal(rows[:, kept].mean(0).numpy(), spread).logpdf(rows[:, kept])
    floor = KEPT_ABOVE * np.linalg.eigvalsh(np.cov(rows[:, :7].numpy().T, bias=True)).max()
    moved = rows.clone()
    moved[:, 4] += 0.01
    for given, off in ((rows, 0.0), (moved, 0.01)):
        outside = -(off**2 / floor + np.log(2 * np.pi * floor)) / 2
        found = log_density(made, given).numpy()
        assert found == pytest.approx(inside + outside, abs=1e-5)


def test_a_machine_is_as_good_as_itself_and_better_than_its_start(lake: Lake) -> None:
    same = against(lake, "good", "rbms/good")
    assert same is not None
    assert (same.difference.value, same.difference.low, same.difference.high) == (0, 0, 0)
    better, worse = against(lake, "good", "rbms/poor"), against(lake, "poor", "rbms/good")
    assert better is not None
    assert worse is not None
    assert better.difference.value == pytest.approx(-worse.difference.value)
    # Both have the whitener of the same rows: it cancels, and white densities differ as much.
    told = [load_rbm(lake, run).metrics["log_likelihood"] for run in ("good", "poor")]
    assert better.difference.value == pytest.approx(told[0] - told[1], abs=1e-6)


def test_what_reads_other_columns_or_cannot_be_read_is_no_match(lake: Lake) -> None:
    whitener = fit_whitener([drawn(3)], 3)
    publish_rbm(lake, "narrow", RBM(whitener.n_kept, 3), whitener, {"metrics": {"log_z": 0.0}})
    assert against(lake, "good", "rbms/narrow") is None
    lake.publish_json("rbms/broken/rbm.json", {"metrics": {}})
    assert against(lake, "good", "rbms/broken") is None
    with pytest.raises(ModelError, match="there is no fitted RBM nobody"):
        against(lake, "nobody", "rbms/good")
    assert whitener.n_kept < 2 * WIDTH


def test_a_machine_on_vectors_of_another_model_is_no_match(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    record = lake.read_json("rbms/good/rbm.json")
    for run, names in (("ours", ["blip-0123456789ab"]), ("theirs", ["blip-ba9876543210"])):
        lake.publish_bytes(
            f"rbms/{run}/rbm.safetensors", lake.read_bytes("rbms/good/rbm.safetensors")
        )
        lake.publish_json(f"rbms/{run}/rbm.json", {**record, "embedded_by": names})
    lake.publish_bytes(
        "fits/ours/prepared.safetensors", lake.read_bytes("fits/good/prepared.safetensors")
    )
    assert against(lake, "ours", "rbms/theirs") is None
    assert "blip-ba9876543210 and ours on those of blip-0123456789ab" in caplog.text
    same = against(lake, "ours", "rbms/ours")
    assert same is not None
    unknown = {key: value for key, value in record.items() if key != "embedded_by"}
    lake.publish_json("rbms/theirs/rbm.json", unknown)
    assert against(lake, "ours", "rbms/theirs") is not None


@pytest.mark.slow
def test_the_alias_moves_to_a_clearly_better_machine_alone(lake: Lake) -> None:
    where = f"sqlite:///{lake.local_path('mlflow.db')}"
    # What is asked here is which of two is better, not whether either is good.
    open_to_all = Gate(floors={RBM_METRIC: -1e9}, gains=(RBM_METRIC,))

    def registered(run: str) -> str:
        candidate = rbm_candidate(lake, f"rbms/{run}", "checkpoints/blip", {}, {"revision": "r"})
        assert candidate.gate.gains == open_to_all.gains
        made, decision = register_candidate(lake, where, replace(candidate, gate=open_to_all))
        return f"{made.version} {decision.alias}"

    assert registered("poor") == "1 champion"
    assert registered("poor") == "1 champion"  # it is not beaten by itself
    assert registered("good") == "2 champion"
    assert registered("poor") == "1 challenger"
    fitted(lake, "equal", seed=1, **GOOD)
    found = against(lake, "equal", "models:/caplift-rbm@champion")
    assert found is not None
    assert found.difference.low < 0 < found.difference.high
    assert registered("equal") == "3 challenger"
    assert lake.read_json("registrations/caplift-rbm/2.json")["alias"] == "champion"
