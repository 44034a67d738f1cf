"""The Gaussian yardstick has the densities of scipy and the PMI of the textbooks."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal  # type: ignore[import-untyped]
from torch import Tensor

from models.rbm.gaussian import log_density, pointwise_mutual_information

FIRST, SECOND, ROWS = 3, 4, 11


def covariance_of_both() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(FIRST + SECOND, 5, generator=generator, dtype=torch.float64)
    return mix @ mix.T + 0.25 * torch.eye(FIRST + SECOND, dtype=torch.float64)


def rows_of_both(rows: int = ROWS) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    white = torch.randn(rows, FIRST + SECOND, generator=generator, dtype=torch.float64)
    return white @ torch.linalg.cholesky(covariance_of_both()).T


def scipys(rows: Tensor, covariance: Tensor) -> Tensor:
    normal = multivariate_normal(np.zeros(len(covariance)), covariance.numpy())
    return torch.from_numpy(np.atleast_1d(normal.logpdf(rows.numpy())))


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
    rows, covariance = rows_of_both(), covariance_of_both()
    assert torch.allclose(log_density(rows, covariance), scipys(rows, covariance), atol=1e-10)


def test_the_pmi_is_the_difference_of_scipys_densities() -> None:
    rows, covariance = rows_of_both(), covariance_of_both()
    x, y = slice(0, FIRST), slice(FIRST, None)
    slow = scipys(rows, covariance)
    slow -= scipys(rows[:, x], covariance[x, x]) + scipys(rows[:, y], covariance[y, y])
    found = pointwise_mutual_information(rows, covariance, FIRST)
    assert torch.allclose(found, slow, atol=1e-10)


def test_the_mean_pmi_of_its_own_rows_is_the_mutual_information() -> None:
    # I(x; y) = (log det S_x + log det S_y - log det S) / 2
    covariance = covariance_of_both()
    parts = (covariance[:FIRST, :FIRST], covariance[FIRST:, FIRST:])
    exact = float(sum(torch.logdet(part) for part in parts) - torch.logdet(covariance)) / 2
    scores = pointwise_mutual_information(rows_of_both(20_011), covariance, FIRST)
    error = float(scores.std()) / math.sqrt(20_011)
    assert float(scores.mean()) == pytest.approx(exact, abs=4 * error)


def test_blocks_that_know_nothing_of_each_other_have_no_pmi() -> None:
    covariance = covariance_of_both()
    covariance[:FIRST, FIRST:] = covariance[FIRST:, :FIRST] = 0
    scores = pointwise_mutual_information(rows_of_both(), covariance, FIRST)
    assert torch.allclose(scores, torch.zeros(ROWS).double(), atol=1e-12)


def test_a_row_scores_the_same_alone_as_among_others() -> None:
    rows, covariance = rows_of_both(), covariance_of_both()
    alone = [pointwise_mutual_information(row[None], covariance, FIRST) for row in rows]
    together = pointwise_mutual_information(rows, covariance, FIRST)
    assert torch.allclose(torch.cat(alone), together, rtol=0, atol=1e-12)


def test_rows_of_float32_are_judged_in_float64() -> None:
    rows, covariance = rows_of_both().float(), covariance_of_both()
    found = log_density(rows, covariance)
    assert found.dtype == torch.float64
    assert torch.equal(found, log_density(rows.double(), covariance))
