"""Draws of units fall as often as asked, in every row and across rows."""

import math
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from models.rbm.draws import Coins, Normals, coins_, normals_


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_coins_fall_as_often_as_asked_also_where_eight_bits_would_not_do(
    dtype: torch.dtype,
) -> None:
    wanted = torch.tensor([0.0, 1e-5, 1e-3, 0.1, 0.5 + 1 / 700, 0.999, 1.0], dtype=dtype)
    rounds, rows = 50, 20_011
    generator = torch.Generator().manual_seed(6)
    drawn = torch.stack(
        [
            coins_(torch.logit(wanted).repeat(rows, 1), generator).double().mean(0)
            for _ in range(rounds)
        ]
    )
    assert set(coins_(torch.logit(wanted).repeat(9, 1), generator).flatten().tolist()) <= {0.0, 1.0}
    exact = wanted.double()
    error = torch.sqrt(exact * (1 - exact) / (rounds * rows))
    assert ((drawn.mean(0) - exact).abs() <= 4.5 * error).all()


@pytest.mark.parametrize("probability", [0.3, 1e-3])
def test_coins_of_one_column_and_call_are_as_good_as_independent(probability: float) -> None:
    # What draws share shows in the spread of their means: low bits that a column had in common
    # would make it 1.7 times as large for rare ones.
    generator = torch.Generator().manual_seed(7)
    log_odds = math.log(probability / (1 - probability))
    means = torch.cat(
        [coins_(torch.full((211, 500), log_odds), generator).mean(0) for _ in range(40)]
    ).double()
    independent = probability * (1 - probability) / 211
    assert float(means.var()) == pytest.approx(independent, rel=0.06)


def test_rows_of_one_call_are_independent_by_threes_and_units_of_a_row_altogether() -> None:
    # Even odds, told as -1 or 1: products of independent draws have mean 0. 1031 rows of 131 units
    # are more than one piece. Rows of one call share bytes, so a call gives one number a unit.
    generator = torch.Generator().manual_seed(71)
    rows, units, calls = 1031, 131, 40
    chosen = torch.randint(rows, (3, 61), generator=generator)
    means = torch.zeros(3, units)
    for _ in range(calls):
        sign = coins_(torch.zeros(rows, units), generator).mul_(2).sub_(1)
        first, second, third = sign[chosen]
        means += torch.stack([first[0], (first * second)[0], (first * second * third)[0]])
        whole = sign.view(-1)[: rows // 2 * units].view(-1, units).prod(1)
        assert abs(float(whole.mean())) < 5 / math.sqrt(len(whole))
    assert float(means.abs().max()) / calls < 5 / math.sqrt(calls)


def test_numbers_over_many_rows_vary_as_those_of_independent_rows() -> None:
    # The mean over rows of a unit, and of the product of two, as gradients take them.
    generator = torch.Generator().manual_seed(74)
    drawn = (
        torch.stack([coins_(torch.zeros(1024, 257), generator) for _ in range(60)]).mul_(2).sub_(1)
    )
    ones, twos = drawn.mean(1), (drawn * drawn.roll(7, 2)).mean(1)
    for means in (ones, twos):
        assert float(means.var()) == pytest.approx(1 / 1024, rel=0.05)


@pytest.mark.parametrize("width", [1, 6, 37])
def test_normal_noise_has_the_moments_and_the_tails_of_a_normal(width: int) -> None:
    generator = torch.Generator().manual_seed(72)
    rows = 300_007 // width
    noise = normals_(torch.full((rows, width), 2.0), generator).double().sub(2)
    many = noise.numel()
    moments = [float((noise**power).mean()) for power in (1, 2, 3, 4)]
    for found, wanted, spread in zip(moments, (0, 1, 0, 3), (1, 2, 15, 96), strict=True):
        assert abs(found - wanted) < 4.5 * math.sqrt(spread / many)
    for far in (1.0, 2.5, 3.5, 4.0):
        chance = math.erfc(far / math.sqrt(2))
        share = float((noise.abs() > far).double().mean())
        assert abs(share - chance) < 4.5 * math.sqrt(chance / many)


def test_normal_noise_of_two_units_or_rows_does_not_go_together() -> None:
    generator = torch.Generator().manual_seed(73)
    noise = torch.cat([normals_(torch.zeros(307, 6), generator) for _ in range(500)]).double()
    for one in (noise, noise.square() - 1):
        size = one.std() ** 2
        units = one.T @ one / len(one) / size
        assert float((units - units.diagonal().diag()).abs().max()) < 4.5 / math.sqrt(len(one))
        for shift in (1, 2, 32, 64):
            rows = (one * one.roll(shift, 0)).mean() / size
            assert abs(float(rows)) < 4.5 / math.sqrt(one.numel())


@pytest.mark.parametrize("shape", [(0, 5), (1, 1), (7, 11), (1031, 131), (257, 1009)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_draws_again_and_again_draws_what_single_draws_do(
    shape: tuple[int, int], dtype: torch.dtype
) -> None:
    # Both sides of a machine work in the same memory, by turns.
    pull, other = torch.empty(shape, dtype=dtype), torch.empty(613, 307, dtype=dtype)
    bias = torch.linspace(-2, 2, shape[1], dtype=dtype)
    coins, normals = Coins(pull, bias), Normals(other)
    mine, theirs = torch.Generator().manual_seed(75), torch.Generator().manual_seed(75)
    given = torch.Generator().manual_seed(76)
    for _ in range(3):
        pull.normal_(generator=given)
        other.normal_(generator=given)
        wanted = pull.clone(), other.clone()
        coins(mine)
        normals(mine)
        assert torch.equal(pull, coins_(wanted[0], theirs, bias))
        assert torch.equal(other, normals_(wanted[1], theirs))


def test_threads_draw_what_each_would_draw_alone() -> None:
    def drawn(seed: int) -> list[float]:
        generator = torch.Generator().manual_seed(seed)
        sums = []
        for _ in range(30):
            sums.append(float(coins_(torch.zeros(401, 503), generator).sum()))
            sums.append(float(normals_(torch.zeros(503, 401), generator).sum()))
        return sums

    seeds = [77, 78, 79]
    alone = [drawn(seed) for seed in seeds]
    with ThreadPoolExecutor(len(seeds)) as pool:
        assert list(pool.map(drawn, seeds)) == alone
    assert alone[0] != alone[1]
