"""A mixture of Gaussians of one covariance: the yardstick that is hardest for a machine to beat.

N rows, K columns, C components. An RBM with Gaussian visibles is itself a mixture of 2^H Gaussians
of one covariance, whose centres are tied to each other; here they are free and few.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from models.rbm.units import LOG_2PI

ROUNDS = 100
SETTLED = 1e-4  # nats a row between two rounds
SHRINK = 1e-3  # of the mean variance, added to every variance


@dataclass(frozen=True, slots=True)
class Mixture:
    """Fitted components.

    Attributes:
        share: (C,), log of the weights.
        centres: (C, K).
        covariance: (K, K), of all components.
    """

    share: Tensor
    centres: Tensor
    covariance: Tensor

    def log_density(self, rows: Tensor) -> Tensor:
        """Log p of rows (N, K), float64 (N,)."""
        return torch.logsumexp(self._joint(rows), 1)

    def shares_of(self, rows: Tensor) -> Tensor:
        """p(component | row), (N, C)."""
        return torch.softmax(self._joint(rows), 1)

    def _joint(self, rows: Tensor) -> Tensor:
        # One covariance for all: rows and centres are whitened once, and only distances are left.
        factor = torch.linalg.cholesky(self.covariance)
        both = torch.cat([rows.double(), self.centres])
        white = torch.linalg.solve_triangular(factor, both.T, upper=False).T
        ours, theirs = white[: len(rows)], white[len(rows) :]
        apart = ours.square().sum(1)[:, None] - 2 * ours @ theirs.T + theirs.square().sum(1)
        volume = factor.shape[0] * LOG_2PI / 2 + factor.diagonal().log().sum()
        return self.share - apart / 2 - volume


def fit_mixture(rows: Tensor, generator: torch.Generator, components: int = 20) -> Mixture:
    """Fit by expectation maximisation from rows picked far apart (k-means++).

    Args:
        rows: (N, K).
        generator: of the start.
        components: C; no more than there are rows.

    Raises:
        ValueError: fewer rows than components.
    """
    if len(rows) < components:
        raise ValueError(f"{components} components need as many rows, got {len(rows)}")
    rows = rows.double()
    centred = rows - rows.mean(0)
    whole = centred.T @ centred / len(rows)
    # Rows that are all alike have no variance to take a part of.
    least = (SHRINK * whole.diagonal().mean()).clamp(min=1e-12)
    floor = least * torch.eye(len(whole), dtype=torch.float64)
    share = torch.full((components,), -math.log(components), dtype=torch.float64)
    found = Mixture(share, _spread_centres(rows, components, generator), whole + floor)
    before = -math.inf
    for _ in range(ROUNDS):
        joint = found._joint(rows)
        now = float(torch.logsumexp(joint, 1).mean())
        if now - before < SETTLED:
            break
        before = now
        belongs = torch.softmax(joint, 1)
        weight = belongs.sum(0).clamp(min=1e-9)
        centres = belongs.T @ rows / weight[:, None]
        # Of one covariance: the rows' own less that of the centres.
        second = rows.T @ rows - (weight[:, None] * centres).T @ centres
        found = Mixture(torch.log(weight / len(rows)), centres, second / len(rows) + floor)
    return found


def _spread_centres(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    chosen = [int(torch.randint(len(rows), (1,), generator=generator))]
    nearest = (rows - rows[chosen[0]]).square().sum(1)
    while len(chosen) < count:
        # Where all rows are centres already, any will do.
        chance = nearest if float(nearest.sum()) > 0 else torch.ones_like(nearest)
        chosen.append(int(torch.multinomial(chance, 1, generator=generator)))
        nearest = torch.minimum(nearest, (rows - rows[chosen[-1]]).square().sum(1))
    return rows[chosen]
