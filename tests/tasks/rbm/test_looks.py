"""A fit is followed by numbers and plots, ends when it no longer gains, and is free to look at."""

from xml.etree import ElementTree

import pytest
import torch
from safetensors.torch import load

from tasks.curves import read_curve
from tasks.fitted import load_rbm
from tasks.rbm.fitting import fit_rbm
from tasks.rbm.looks import histogram
from tasks.storage import Lake
from tests.vectors import PAIRS, fitted, quick, write_vectors


def test_the_best_state_is_the_result_and_a_fit_that_no_longer_gains_ends(lake: Lake) -> None:
    write_vectors(lake)
    looks = list(
        fit_rbm(lake, "long", "v", ("web",), quick(updates=5000, patience=2, ais_betas=200))
    )
    values = {
        look.update: look.numbers["log_likelihood"]
        for look in looks
        if "log_likelihood" in look.numbers
    }
    best = max(values, key=lambda update: values[update])
    metrics = load_rbm(lake, "long").metrics
    assert (metrics["best_update"], metrics["last_update"]) == (best, max(values))
    assert max(values) == best + 2 * 50 < 5000
    fitted(lake, "short", updates=5000, patience=1, ais_betas=200)
    (first, *_) = [update for update in values if values[update] > values.get(update + 50, -1e9)]
    assert load_rbm(lake, "short").metrics["best_update"] == first


def test_every_look_is_in_the_training_log_and_the_plots_lie_beside(lake: Lake) -> None:
    write_vectors(lake)
    looks = list(fit_rbm(lake, "told", "v", ("web",), quick()))
    assert [look.update for look in looks] == [25, 50, 75, 100]
    curve = read_curve(lake, "told")
    for look in looks:
        for name, value in look.numbers.items():
            assert (look.update, value) in curve[name]
    assert {
        "recon_mse",
        "free_energy_gap",
        "grad_norm",
        "update_ratio",
        "samples_per_s",
        "gemm_share",
        "hidden_off",
        "activity_share/0-0.001",
        "activity_share/0.999-1",
        "weight_norm_median",
        "variance_min",
        "dropped_rows",
    } <= looks[0].numbers.keys()
    assert {
        "log_likelihood",
        "log_z_se",
        "ais_ess",
        "log_z_reverse",
        "bracket_gap",
        "nats_over_diagonal_gaussian",
        "nats_over_full_gaussian",
        "nats_over_gmm20",
        "mixing_data_noise",
        "mixing_autocorrelation",
        "mixing_time_sweeps",
    } <= looks[1].numbers.keys()
    for name in ("filters", "activations", "free_energy_gap", "mixing", "forgetting"):
        drawing = ElementTree.fromstring(lake.read_bytes(f"fits/told/plots/{name}.svg"))
        assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    # Only what may be registered lies beside the machine.
    assert lake.names("rbms/told", "") == ["rbm.json", "rbm.safetensors"]


def test_every_hidden_unit_is_in_one_bin_of_the_histogram() -> None:
    found = histogram(torch.tensor([0.0, 0.0005, 0.001, 0.55, 0.999, 1.0, 0.62]))
    assert sum(found.values()) == pytest.approx(1)
    assert {name: round(7 * share) for name, share in found.items() if share} == {
        "activity_share/0-0.001": 2,
        "activity_share/0.001-0.003": 1,
        "activity_share/0.3-0.7": 2,
        "activity_share/0.999-1": 2,
    }


def test_tempered_chains_tell_how_often_they_exchange(lake: Lake) -> None:
    write_vectors(lake)
    how = quick(method="pt", temperatures=3, updates=50)
    looks = list(fit_rbm(lake, "tempered", "v", ("web",), how))
    for look in looks:
        lowest, mean = look.numbers["swap_rate_min"], look.numbers["swap_rate_mean"]
        assert 0 < lowest <= mean < 1
    state = load(lake.read_bytes("fits/tempered/training.safetensors"))
    rates = state["learner.exchanges"]
    assert looks[-1].numbers["swap_rate_min"] == pytest.approx(float(rates.min()))
    assert looks[-1].numbers["swap_rate_mean"] == pytest.approx(float(rates.mean()))


def test_looking_more_often_changes_no_update(lake: Lake) -> None:
    write_vectors(lake)
    seldom = fitted(lake, "seldom", look_every=1000, save_every=100)
    often = fitted(lake, "often", look_every=7, save_every=100)
    for name, value in seldom.items():
        assert torch.equal(value, often[name]), name


def test_what_is_told_at_the_end_is_of_the_rows_that_were_measured(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    write_vectors(lake, pairs=3 * PAIRS)
    with caplog.at_level("INFO"):
        fitted(lake, "few", measured_rows=11, updates=1)
    assert load_rbm(lake, "few").metrics["test_rows"] > 30
    assert caplog.messages[-1].endswith("nats over the full Gaussian on 11 pairs held out")
