"""The log sum of a row is near the exact one also where units pull so hard that TAP circles."""

import pytest
import torch
from torch import Tensor

from models.rbm.hidden_sums import _tap, exact_log_sum, tap_log_sum

ROWS, HIDDEN, RANK = 29, 11, 5
SEEDS = range(20)


def pulling_hard(seed: int, size: float = 1.2) -> tuple[Tensor, Tensor]:
    """Biases (N, H) and a coupling (H, H) without negative eigenvalues."""
    generator = torch.Generator().manual_seed(seed)
    root = size * torch.randn(RANK, HIDDEN, generator=generator).double()
    bias = 2 * size * torch.randn(ROWS, HIDDEN, generator=generator).double()
    coupling = root.T @ root
    return bias - 0.3 * coupling.diagonal(), coupling


def test_rows_that_do_not_settle_are_bounded_from_below() -> None:
    off = []
    for seed in SEEDS:
        bias, coupling = pulling_hard(seed)
        rows = ~_tap(bias, coupling)[1]
        off += (exact_log_sum(bias, coupling) - tap_log_sum(bias, coupling))[rows].tolist()
    assert len(off) > 50
    assert min(off) > -1e-9
    assert sorted(off)[len(off) // 2] < 0.2
    assert max(off) < 4  # left going round they are up to 40 off


@pytest.mark.parametrize("seed", [1, 2])
def test_a_row_does_not_depend_on_its_neighbours_settled_or_not(seed: int) -> None:
    bias, coupling = pulling_hard(seed)
    settled = _tap(bias, coupling)[1]
    assert 0 < int(settled.sum()) < ROWS
    alone = torch.cat([tap_log_sum(row[None], coupling) for row in bias])
    assert torch.allclose(alone, tap_log_sum(bias, coupling), rtol=0, atol=1e-9)


def test_means_are_shares_whatever_pulls() -> None:
    for size in (1.2, 30.0, 1e8):
        bias, coupling = pulling_hard(3, size)
        mean, _ = _tap(bias, coupling)
        assert bool(((mean >= 0) & (mean <= 1)).all())
        assert bool(torch.isfinite(tap_log_sum(bias, coupling)).all())
