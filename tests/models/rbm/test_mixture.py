"""A mixture finds the clusters that rows come from and has the density of its parts."""

import math

import pytest
import torch
from torch import Tensor

from models.rbm.gaussian import log_density
from models.rbm.mixture import Mixture, fit_mixture

ROWS, COLUMNS, CLUSTERS = 1009, 5, 3


def clustered(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    centres = 4 * torch.randn(CLUSTERS, COLUMNS, generator=generator, dtype=torch.float64)
    chosen = torch.randint(CLUSTERS, (ROWS,), generator=generator)
    mix = 0.5 * torch.randn(COLUMNS, COLUMNS, generator=generator, dtype=torch.float64)
    noise = torch.randn(ROWS, COLUMNS, generator=generator, dtype=torch.float64)
    return centres[chosen] + noise @ mix, centres


def fitted(rows: Tensor, components: int = CLUSTERS, seed: int = 1) -> Mixture:
    return fit_mixture(rows, torch.Generator().manual_seed(seed), components)


def test_clusters_are_found() -> None:
    rows, centres = clustered()
    apart = torch.cdist(centres, fitted(rows).centres)
    assert float(apart.amin(1).max()) < 0.5  # clusters are 10 apart
    assert sorted(apart.argmin(1).tolist()) == [0, 1, 2]


def test_the_density_is_the_sum_of_its_parts() -> None:
    rows, _ = clustered()
    made = fitted(rows)
    parts = [
        log_density(rows - c, made.covariance).exp() * s
        for c, s in zip(made.centres, made.share.exp(), strict=True)
    ]
    assert torch.allclose(made.log_density(rows), torch.stack(parts).sum(0).log(), atol=1e-8)
    assert float(made.share.exp().sum()) == pytest.approx(1, abs=1e-9)


def test_one_component_is_the_full_gaussian() -> None:
    rows, _ = clustered()
    covariance = torch.cov((rows - rows.mean(0)).T, correction=0)
    whole = log_density(rows - rows.mean(0), covariance).mean()
    assert float(fitted(rows, 1).log_density(rows).mean()) == pytest.approx(float(whole), abs=0.01)


def test_new_rows_are_likelier_than_under_one_gaussian_by_what_clusters_tell() -> None:
    rows, _ = clustered()
    gain = fitted(rows[:500]).log_density(rows[500:]) - fitted(rows[:500], 1).log_density(
        rows[500:]
    )
    assert float(gain.mean()) > 1.0


def test_rows_that_repeat_do_not_stop_it() -> None:
    made = fitted(torch.ones(7, COLUMNS).cumsum(1).double(), 3)
    assert math.isfinite(float(made.share.sum()))


def test_more_components_than_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="3 components need as many rows, got 2"):
        fitted(torch.zeros(2, COLUMNS), 3)
