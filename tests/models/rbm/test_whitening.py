"""Whitened training rows have covariance I, the two blocks stay apart, and pieces do not matter."""

import math

import pytest
import torch
from torch import Tensor

from models.rbm.whitening import Sums, Whitener, fit_whitener, whitener_from, whitener_of

ROWS, FIRST, SECOND = 211, 5, 7


def correlated(rows: int = ROWS, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randn(rows, 3, generator=generator, dtype=torch.float64)
    mixed = shared @ torch.randn(3, FIRST + SECOND, generator=generator, dtype=torch.float64)
    noise = torch.randn(rows, FIRST + SECOND, generator=generator, dtype=torch.float64)
    return 4.0 + mixed + 0.3 * noise


def covariance(rows: Tensor) -> Tensor:
    centred = rows - rows.mean(0)
    return centred.T @ centred / len(rows)


def fitted(rows: Tensor) -> Whitener:
    return fit_whitener([rows], FIRST)


def test_training_rows_become_white() -> None:
    white = fitted(correlated()).transform(correlated())
    assert torch.allclose(white.mean(0), torch.zeros(12, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(covariance(white), torch.eye(12, dtype=torch.float64), atol=1e-10)


def test_how_rows_are_cut_into_pieces_does_not_matter() -> None:
    rows = correlated()
    whole, pieces = (
        fitted(rows),
        fit_whitener([rows[:1], rows[1:101], rows[101:114], rows[114:]], FIRST),
    )
    assert torch.allclose(whole.transform(rows), pieces.transform(rows), atol=1e-9)


def test_each_kept_column_is_of_one_block() -> None:
    made = fitted(correlated())
    assert made.split == FIRST
    assert torch.equal(made.cut[FIRST:, : made.split], torch.zeros(SECOND, FIRST).double())
    assert torch.equal(made.cut[:FIRST, made.split :], torch.zeros(FIRST, SECOND).double())


def test_a_constant_and_a_copied_column_are_cut() -> None:
    rows = correlated()
    rows[:, 0] = 3.0  # of the first block
    rows[:, 11] = rows[:, 10]  # of the second
    made = fitted(rows)
    assert (made.split, made.n_kept) == (FIRST - 1, FIRST + SECOND - 2)
    assert torch.isfinite(made.transform(rows)).all()


def test_fewer_rows_than_columns_keep_finite_columns() -> None:
    made = fitted(correlated(rows=5))
    assert made.n_kept <= 8  # at most four directions a block
    assert torch.isfinite(made.transform(correlated(rows=5))).all()


def test_blocks_that_copy_each_other_stay_finite() -> None:
    block = correlated()[:, :FIRST]
    made = fit_whitener([torch.cat([block, block], 1)], FIRST)
    assert torch.isfinite(made.transform(torch.cat([block, block], 1))).all()
    assert math.isfinite(made.log_det)


def test_a_block_that_varies_much_less_becomes_as_white_as_the_other() -> None:
    rows = correlated()
    rows[:, :FIRST] /= 300
    made = fitted(rows)
    white = covariance(made.transform(rows))
    assert torch.allclose(white, torch.eye(len(white), dtype=torch.float64), atol=1e-6)


def test_the_log_determinant_carries_densities_over() -> None:
    made = fitted(correlated())
    assert made.log_det == pytest.approx(-0.5 * float(torch.logdet(made.covariance)), abs=1e-9)
    cut = made.project(correlated())
    assert torch.allclose(covariance(cut), made.covariance, atol=1e-9)


def test_it_survives_being_stored() -> None:
    made = fitted(correlated())
    again = whitener_from({name: value.clone() for name, value in made.state().items()})
    assert torch.equal(made.transform(correlated()), again.transform(correlated()))
    assert again.split == made.split


def test_rows_of_float32_are_summed_in_float64() -> None:
    rows = correlated().float() + 1e4
    white = fitted(rows).transform(rows)
    assert torch.allclose(covariance(white), torch.eye(white.shape[1]).double(), atol=1e-3)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (torch.full((3, 12), math.nan), "NaN or infinite"),
        (torch.zeros(1, 12), "2 rows or more, got 1"),
        (torch.ones(9, 12), "all columns of the first block are constant"),
    ],
)
def test_rows_that_cannot_be_whitened_are_refused(rows: Tensor, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        fitted(rows)


def test_rows_of_another_width_are_refused_with_both_numbers() -> None:
    with pytest.raises(ValueError, match="rows have 3 columns, the whitener was fitted on 12"):
        fitted(correlated()).transform(torch.zeros(2, 3))


def test_far_from_the_origin_it_is_the_same_map() -> None:
    # Sums about 0 would lose the variances in the rounding of the squared mean.
    rows = correlated()
    near, far = fitted(rows), fitted(rows + 1e7)
    assert torch.allclose(far.transform(rows + 1e7), near.transform(rows), atol=1e-6)


def test_a_block_that_never_varies_is_refused_though_its_value_has_no_binary_form() -> None:
    rows = correlated()
    rows[:, FIRST:] = 0.1
    with pytest.raises(ValueError, match="all columns of the second block are constant"):
        fitted(rows)


def test_pieces_without_rows_change_nothing() -> None:
    rows = correlated()
    pieces = fit_whitener([rows[:0], rows[:101], rows[:0], rows[101:]], FIRST)
    assert torch.allclose(pieces.transform(rows), fitted(rows).transform(rows), atol=1e-9)


def test_a_row_is_whitened_alone_as_among_others() -> None:
    rows, made = correlated(), fitted(correlated())
    alone = torch.cat([made.transform(row[None]) for row in rows[:17]])
    assert torch.allclose(alone, made.transform(rows)[:17], rtol=0, atol=1e-12)


def test_fewer_rows_than_columns_are_white_in_what_they_span() -> None:
    # Five rows span four directions a block, and the blocks' eight are collinear: in the four they
    # share the covariance is I, in the others there is nothing.
    rows = correlated(rows=5)
    values = torch.linalg.eigvalsh(covariance(fitted(rows).transform(rows)))
    assert torch.allclose(values[-4:], torch.ones(4).double(), atol=1e-6)
    assert float(values[:-4].abs().max()) < 1e-6


def test_the_way_back_leads_to_the_rows_where_nothing_was_cut() -> None:
    rows, made = correlated(), fitted(correlated())
    assert torch.allclose(made.inverse(made.transform(rows)), rows, atol=1e-9)
    assert torch.allclose(made.restore(made.project(rows)), rows, atol=1e-9)


def test_what_was_cut_comes_back_as_its_mean() -> None:
    rows = correlated()
    rows[:, 3] = 7.0
    made = fitted(rows)
    assert torch.allclose(made.inverse(made.transform(rows)), rows, atol=1e-9)


def test_columns_that_never_vary_are_known_by_number() -> None:
    sums, rows = Sums(), correlated()
    rows[:, 2], rows[:, 11] = 0.1, -3.0
    for piece in torch.split(rows, 17):
        sums.add(piece)
    assert sums.constant == (2, 11)
    assert torch.equal(
        whitener_of(sums, FIRST).transform(rows).isfinite().all(), torch.tensor(True)
    )


def test_pieces_of_another_width_are_refused_with_both_numbers() -> None:
    sums = Sums()
    sums.add(torch.zeros(2, 12))
    with pytest.raises(ValueError, match="rows have 5 columns, those before 12"):
        sums.add(torch.zeros(2, 5))


@pytest.mark.parametrize("scale", [1e-30, 1e-9, 1e9, 1e30])
def test_blocks_whose_scales_are_too_far_apart_are_told(scale: float) -> None:
    rows = torch.randn(101, 7, generator=torch.Generator().manual_seed(0)).double()
    rows[:, :3] *= scale
    with pytest.raises(ValueError, match=r"vary too differently .* \(deviations up to .*scale one"):
        fit_whitener([rows], 3)


@pytest.mark.parametrize("scale", [1e-5, 1e5])
def test_blocks_of_which_one_varies_much_more_are_white_all_the_same(scale: float) -> None:
    rows = torch.randn(101, 7, generator=torch.Generator().manual_seed(0)).double()
    rows[:, :3] *= scale
    white = fit_whitener([rows], 3).transform(rows)
    eye = torch.eye(7, dtype=torch.float64)
    assert torch.allclose(torch.cov(white.T, correction=0), eye, atol=1e-3)
