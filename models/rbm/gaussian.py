"""The full Gaussian: the yardstick every machine over embeddings has to beat, and its PMI."""

import torch
from torch import Tensor

from models.rbm.units import LOG_2PI


def log_density(rows: Tensor, covariance: Tensor) -> Tensor:
    """Log N(rows; 0, covariance), float64 (N,), for rows (N, K)."""
    factor = torch.linalg.cholesky(covariance.double())
    white = torch.linalg.solve_triangular(factor, rows.double().T, upper=False)
    log_det = 2 * factor.diagonal().log().sum()
    return -(white.square().sum(0) + log_det + rows.shape[-1] * LOG_2PI) / 2


def pointwise_mutual_information(rows: Tensor, covariance: Tensor, split: int) -> Tensor:
    """Log p(x, y) - log p(x) - log p(y) of a zero-mean Gaussian, in nats, (N,).

    Args:
        rows: (N, K), x in the first `split` columns and y in the others.
        covariance: (K, K).
        split: how many columns are x's.
    """
    joint = log_density(rows, covariance)
    first = log_density(rows[:, :split], covariance[:split, :split])
    second = log_density(rows[:, split:], covariance[split:, split:])
    return joint - first - second
