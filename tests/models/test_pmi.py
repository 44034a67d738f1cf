"""A machine's PMI is that of the mixture of Gaussians it is, and a Gaussian's that of its formula.

The slow method: a Gaussian machine is a mixture of 2^H Gaussians, whose marginals are mixtures of
the components' marginals.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal  # type: ignore[import-untyped]
from torch import Tensor

from models.gaussian import log_density, pointwise_mutual_information
from models.partition import hidden_log_weight, log_z_exact
from models.pmi import JointMachine, exact_log_sum, joint_machine, tap_log_sum
from models.rbm import RBM
from models.whitening import Whitener, fit_whitener

FIRST, SECOND, HIDDEN, ROWS = 3, 4, 5, 11


def rows_of_both(seed: int = 0, rows: int = 307) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randn(rows, 2, generator=generator, dtype=torch.float64)
    mix = torch.randn(2, FIRST + SECOND, generator=generator, dtype=torch.float64)
    noise = torch.randn(rows, FIRST + SECOND, generator=generator, dtype=torch.float64)
    return shared @ mix + 0.5 * noise


def fitted(scale: float) -> tuple[RBM, Whitener, JointMachine]:
    whitener = fit_whitener([rows_of_both()], FIRST)
    generator = torch.Generator().manual_seed(1)
    made = RBM(whitener.n_kept, HIDDEN)
    for name in ("weight", "vbias", "hbias", "log_var"):
        value = getattr(made, name)
        size = scale if name == "weight" else 0.3
        value.copy_(size * torch.randn(value.shape, generator=generator, dtype=torch.float64))
    return made, whitener, joint_machine(made, whitener, log_z_exact(made))


def as_mixture(made: RBM, whitener: Whitener) -> tuple[Tensor, Tensor, Tensor]:
    """Weights (2^H,), means (2^H, K) and the shared covariance (K, K), in cut columns."""
    states = torch.tensor(list(itertools.product((0.0, 1.0), repeat=HIDDEN))).double()
    weights = torch.softmax(hidden_log_weight(made, states), 0)
    back = torch.linalg.inv(whitener.mix)
    means = (made.vbias + states @ made.weight.T) @ back
    covariance = back.T @ torch.diag(torch.exp(made.log_var)) @ back
    return weights, means, covariance


def mixture_log_density(rows: Tensor, weights: Tensor, means: Tensor, covariance: Tensor) -> Tensor:
    parts = [log_density(rows - mean, covariance) for mean in means]
    return torch.logsumexp(torch.stack(parts) + torch.log(weights)[:, None], 0)


def pmi_of_mixture(rows: Tensor, made: RBM, whitener: Whitener) -> Tensor:
    weights, means, covariance = as_mixture(made, whitener)
    x, y = slice(0, whitener.split), slice(whitener.split, None)
    return (
        mixture_log_density(rows, weights, means, covariance)
        - mixture_log_density(rows[:, x], weights, means[:, x], covariance[x, x])
        - mixture_log_density(rows[:, y], weights, means[:, y], covariance[y, y])
    )


@pytest.mark.parametrize("scale", [0.0, 0.4, 1.2])
def test_the_exact_pmi_is_that_of_the_mixture(scale: float) -> None:
    made, whitener, joint = fitted(scale)
    cut = whitener.project(rows_of_both(seed=3, rows=ROWS))
    slow = pmi_of_mixture(cut, made, whitener)
    assert torch.allclose(joint.pointwise_mutual_information(cut, exact=True), slow, atol=1e-10)


@pytest.mark.parametrize(("scale", "bound"), [(0.2, 0.01), (0.4, 0.05), (0.8, 0.2)])
def test_the_tap_expansion_is_near_the_exact_pmi(scale: float, bound: float) -> None:
    _, whitener, joint = fitted(scale)
    cut = whitener.project(rows_of_both(seed=3, rows=ROWS))
    near = joint.pointwise_mutual_information(cut)
    exact = joint.pointwise_mutual_information(cut, exact=True)
    assert float((near - exact).abs().max()) < bound


def test_tap_is_exact_for_units_that_do_not_touch() -> None:
    bias = torch.randn(ROWS, HIDDEN, generator=torch.Generator().manual_seed(0)).double()
    coupling = torch.diag(torch.linspace(-1, 1, HIDDEN)).double()
    assert torch.allclose(tap_log_sum(bias, coupling), exact_log_sum(bias, coupling), atol=1e-9)


def test_a_row_has_the_same_pmi_alone_as_among_others() -> None:
    _, whitener, joint = fitted(0.8)
    cut = whitener.project(rows_of_both(seed=3, rows=ROWS))
    alone = torch.cat([joint.pointwise_mutual_information(row[None]) for row in cut])
    assert torch.allclose(alone, joint.pointwise_mutual_information(cut), rtol=0, atol=1e-10)


def test_without_weights_the_machine_says_what_its_gaussian_says() -> None:
    made, whitener, joint = fitted(0.0)
    made.vbias.zero_()
    made.log_var.zero_()
    joint = joint_machine(made, whitener, log_z_exact(made))
    cut = whitener.project(rows_of_both(seed=5, rows=ROWS))
    gaussian = pointwise_mutual_information(cut, whitener.covariance, whitener.split)
    assert torch.allclose(joint.pointwise_mutual_information(cut), gaussian, atol=1e-9)


def test_pmi_rewards_the_right_text_and_not_the_likeliest() -> None:
    # x and y agree; y = 0 is the likeliest text of all and says nothing of any picture.
    covariance = torch.tensor([[1.0, 0.9], [0.9, 1.0]]).double()
    right, generic = torch.tensor([[2.0, 2.0], [2.0, 0.0]]).double()
    scores = pointwise_mutual_information(torch.stack([right, generic]), covariance, 1)
    assert scores[0] > 1 > 0 > scores[1]


def test_the_gaussian_pmi_of_two_columns_is_the_textbooks() -> None:
    rho = 0.6
    covariance = torch.tensor([[1.0, rho], [rho, 1.0]], dtype=torch.float64)
    x, y = 0.7, -0.4
    by_hand = -0.5 * math.log(1 - rho**2) - (rho**2 * (x**2 + y**2) - 2 * rho * x * y) / (
        2 * (1 - rho**2)
    )
    found = pointwise_mutual_information(torch.tensor([[x, y]], dtype=torch.float64), covariance, 1)
    assert float(found) == pytest.approx(by_hand, abs=1e-12)


def test_the_density_is_that_of_scipy() -> None:
    rows = rows_of_both(rows=ROWS)
    covariance = rows_of_both().T @ rows_of_both() / 307
    slow = multivariate_normal(np.zeros(7), covariance.numpy()).logpdf(rows.numpy())
    assert log_density(rows, covariance).tolist() == pytest.approx(slow.tolist(), abs=1e-10)


def test_a_machine_of_another_width_is_refused() -> None:
    _, whitener, _ = fitted(0.1)
    with pytest.raises(
        ValueError, match="Gaussian with 7 visible units, this one is gaussian with 6"
    ):
        joint_machine(RBM(6, 2), whitener, 0.0)


def test_too_many_hidden_units_for_an_exact_sum_are_refused() -> None:
    with pytest.raises(ValueError, match="use tap_log_sum"):
        exact_log_sum(torch.zeros(1, 13).double(), torch.zeros(13, 13).double())
