"""How soon chains forget, told from traces whose correlation is known."""

import numpy as np
import pytest
import torch

from models.rbm.machine import RBM
from tasks.rbm.traces import autocorrelation, energy_traces, mixing_time
from tests.machines import machine

CHAINS, SWEEPS = 211, 400


def autoregressive(kept: float) -> torch.Tensor:
    """Traces (SWEEPS + 1, CHAINS) whose correlation at lag n is kept to the power of n."""
    generator = np.random.default_rng(0)
    noise = generator.normal(size=(SWEEPS + 1, CHAINS)) * (1 - kept**2) ** 0.5
    traces = np.empty_like(noise)
    traces[0] = generator.normal(size=CHAINS)
    for sweep in range(1, SWEEPS + 1):
        traces[sweep] = kept * traces[sweep - 1] + noise[sweep]
    return torch.from_numpy(7 + 3 * traces)


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.9])
def test_a_known_process_has_its_correlation_and_its_time(kept: float) -> None:
    found = autocorrelation(autoregressive(kept))
    assert len(found) == SWEEPS // 2 + 1
    assert found[:20].tolist() == pytest.approx([kept**lag for lag in range(20)], abs=0.03)
    assert mixing_time(found) == pytest.approx((1 + kept) / (1 - kept), rel=0.06)


def test_chains_that_stay_where_they_began_have_forgotten_nothing() -> None:
    apart = torch.linspace(0, 1, 13, dtype=torch.float64).expand(41, 13)
    assert autocorrelation(apart).tolist() == pytest.approx([1.0] * 21)
    assert mixing_time(autocorrelation(apart)) == pytest.approx(41)  # no lag is far enough
    assert autocorrelation(torch.ones(41, 13)).tolist() == [1.0] * 21


def test_one_sweep_has_no_correlation_to_tell() -> None:
    with pytest.raises(ValueError, match="two sweeps or more, not 1"):
        autocorrelation(torch.zeros(2, 3))


def traced(made: RBM, sweeps: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    start = made.sample(211, generator)
    return energy_traces(made, start, generator, sweeps)


def test_a_machine_without_weights_forgets_at_once_and_a_strong_one_does_not() -> None:
    free = machine("bernoulli")
    free.weight.zero_()
    strong = machine("bernoulli")
    strong.weight.mul_(6)
    assert traced(free, 20).shape == (21, 211)
    assert mixing_time(autocorrelation(traced(free, 20))) == pytest.approx(1, abs=0.3)
    assert mixing_time(autocorrelation(traced(strong, 20))) > 2
