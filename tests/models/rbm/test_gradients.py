"""The mean direction of an update is the gradient of the likelihood to rounding, none of it noise.

An update is linear in the distribution its model rows come from: summed over all of the machine's
states with their probabilities it is the expectation that sampling only estimates.
"""

import math

import pytest
import torch
from torch import Tensor

from models.rbm.gradient import Offsets, Phase, gradients
from models.rbm.machine import RBM
from tests.machines import VISIBLE, machine, states

ROWS = 13


def phase(made: RBM, rows: Tensor) -> Phase:
    return Phase(rows, made.transform(rows))


def direction_of(made: RBM, rows: Tensor, sampled: Tensor) -> dict[str, Tensor]:
    """In plain coordinates, or about the data's means for discrete visibles."""
    ours = phase(made, rows)
    centres = Offsets().follow(ours) if made.visible != "gaussian" else None
    return gradients(made, ours, phase(made, sampled), offsets=centres)


def expected_direction(made: RBM, rows: Tensor, every: Tensor, share: Tensor) -> dict[str, Tensor]:
    """The update's direction with model rows `every` (S, V), drawn with probabilities (S,)."""
    parts = [direction_of(made, rows, one[None]) for one in every]
    return {
        n: sum((p[n] * s for p, s in zip(parts, share, strict=True)), torch.zeros(()))
        for n in parts[0]
    }


def by_autograd(made: RBM, rows: Tensor, every: Tensor, cell: float) -> dict[str, Tensor]:
    """Gradients of the mean log p, with log Z summed over all visible states."""
    names = [n for n, _ in made.named_parameters() if made.visible == "gaussian" or n != "log_var"]
    made.requires_grad_(True)
    log_z = torch.logsumexp(-made.free_energy(every), 0) + math.log(cell)
    likelihood = -made.free_energy(rows).mean() - log_z
    found = torch.autograd.grad(likelihood, [getattr(made, name) for name in names])
    made.requires_grad_(False)
    return dict(zip(names, found, strict=True))


def bits(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(ROWS, VISIBLE, generator=generator) < 0.4).double()


def binary_direction(made: RBM, rows: Tensor) -> dict[str, Tensor]:
    every = states(VISIBLE)
    return expected_direction(made, rows, every, torch.softmax(-made.free_energy(every), 0))


def test_of_a_gaussian_machine_it_is_the_gradient_variances_too() -> None:
    generator = torch.Generator().manual_seed(2)
    made = RBM(2, 3)
    for name in ("weight", "vbias", "hbias", "log_var"):
        value = getattr(made, name)
        value.copy_(0.7 * torch.randn(value.shape, generator=generator, dtype=value.dtype))
    rows = torch.randn(ROWS, 2, generator=generator, dtype=torch.float64)
    # The sum over a grid is exact to rounding for functions this smooth.
    axis = torch.linspace(-10, 10, 81, dtype=torch.float64)
    grid, cell = torch.cartesian_prod(axis, axis), float(axis[1] - axis[0]) ** 2
    exact = by_autograd(made, rows, grid, cell)
    share = torch.softmax(-made.free_energy(grid), 0)
    found = expected_direction(made, rows, grid, share)
    assert found.keys() == exact.keys()
    for name, direction in found.items():
        assert torch.allclose(direction, exact[name], atol=1e-10), name


def test_of_a_binary_machine_it_is_the_gradient_in_centred_coordinates() -> None:
    # E = -(v - m)' W (h - l) - b_c' v - c_c' h, so that b_c = b + W l and c_c = c + W' m: ascent in
    # (W, b_c, c_c) moves b by its own gradient less dW l (Melchior et al. 2016, eq. 12-14).
    made, rows = machine("bernoulli"), bits(3)
    exact = by_autograd(made, rows, states(VISIBLE), 1.0)
    mean_v, mean_h = rows.mean(0), made.transform(rows).mean(0)
    weight = exact["weight"] - torch.outer(mean_v, exact["hbias"])
    weight = weight - torch.outer(exact["vbias"], mean_h)
    expected = {
        "weight": weight,
        "vbias": exact["vbias"] - weight @ mean_h,
        "hbias": exact["hbias"] - weight.T @ mean_v,
    }
    found = binary_direction(made, rows)
    assert found.keys() == expected.keys()
    for name, direction in found.items():
        assert torch.allclose(direction, expected[name], atol=1e-12), name


def test_a_binary_machine_learns_the_negative_as_it_learns_the_picture() -> None:
    # v -> 1 - v takes W to -W, b to -b and c to c + W' 1. Without centring the flip matters: on
    # MNIST it costs tens of nats.
    made, rows = machine("bernoulli"), bits(5)
    flipped = RBM(VISIBLE, made.n_hidden, "bernoulli")
    flipped.weight.copy_(-made.weight)
    flipped.vbias.copy_(-made.vbias)
    flipped.hbias.copy_(made.hbias + made.weight.sum(0))
    one, other = binary_direction(made, rows), binary_direction(flipped, 1 - rows)
    assert torch.allclose(other["weight"], -one["weight"], atol=1e-12)
    assert torch.allclose(other["vbias"], -one["vbias"], atol=1e-12)
    assert torch.allclose(other["hbias"], one["hbias"] + one["weight"].sum(0), atol=1e-12)


@pytest.mark.parametrize("pieces", [2, 3, 5])
def test_the_direction_of_pieces_averages_to_that_of_the_whole(pieces: int) -> None:
    # As an accumulated gradient does, each piece weighing what it has rows, the last being short.
    made = machine("gaussian")
    rows = torch.randn(17, VISIBLE, generator=torch.Generator().manual_seed(1)).double()
    sampled = torch.randn(7, VISIBLE, generator=torch.Generator().manual_seed(2)).double()
    whole = direction_of(made, rows, sampled)
    size = -(-17 // pieces)
    parts = [(len(p), direction_of(made, p, sampled)) for p in torch.split(rows, size)]
    for name, direction in whole.items():
        summed = sum((n * part[name] for n, part in parts), torch.zeros(())) / 17
        assert torch.allclose(summed, direction, atol=1e-12), name


def test_both_phases_are_means_over_their_own_rows() -> None:
    # sklearn divides both by the size of the batch: a short last batch then drives the chains off.
    made = machine("gaussian")
    rows = torch.randn(1, VISIBLE, generator=torch.Generator().manual_seed(7)).double()
    sampled = torch.randn(101, VISIBLE, generator=torch.Generator().manual_seed(8)).double()
    once = direction_of(made, rows, sampled)
    often = direction_of(made, rows.repeat(17, 1), sampled)
    for name in once:
        assert torch.allclose(once[name], often[name], atol=1e-12)
