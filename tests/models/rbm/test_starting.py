"""Where a machine starts from is told by its rows' moments, however many columns they have."""

import numpy as np
import pytest
import torch

from models.rbm.starting import _largest


@pytest.mark.parametrize(("rows", "columns"), [(503, 7), (61, 211)])
@pytest.mark.parametrize("shared", [0.0, 0.2, 0.7])
def test_how_far_columns_go_together_is_numpys_largest_eigenvalue(
    rows: int, columns: int, shared: float
) -> None:
    told = np.random.default_rng(0)
    drawn = told.normal(size=(rows, columns)) + shared * told.normal(size=(rows, 1))
    exact = np.linalg.eigvalsh(drawn.T @ drawn / rows)[-1]
    found = _largest(torch.from_numpy(drawn))
    assert 0.97 * exact < found <= exact * (1 + 1e-9)


def test_columns_that_never_vary_go_nowhere() -> None:
    assert _largest(torch.zeros(5, 3, dtype=torch.float64)) == 0
