"""A machine's PMI is that of the mixture of Gaussians it is.

The slow method: a Gaussian machine is a mixture of 2^H Gaussians, whose marginals are mixtures of
the components' marginals.
"""

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from models.rbm.gaussian import log_density, pointwise_mutual_information
from models.rbm.hidden_sums import ais_log_sum, exact_log_sum, log_sum, means, tap_log_sum
from models.rbm.machine import RBM
from models.rbm.partition import hidden_log_weight, log_z_exact
from models.rbm.pmi import Block, JointMachine, joint_machine
from models.rbm.settings import Training
from models.rbm.training import Learner
from models.rbm.whitening import Whitener, fit_whitener

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
    assert torch.allclose(joint.pointwise_mutual_information(cut, method="exact"), slow, atol=1e-10)


@pytest.mark.parametrize(("scale", "bound"), [(0.2, 0.01), (0.4, 0.05), (0.8, 0.2)])
def test_the_tap_expansion_is_near_the_exact_pmi(scale: float, bound: float) -> None:
    _, whitener, joint = fitted(scale)
    cut = whitener.project(rows_of_both(seed=3, rows=ROWS))
    near = joint.pointwise_mutual_information(cut)
    exact = joint.pointwise_mutual_information(cut, method="exact")
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


def test_a_machine_of_another_width_is_refused() -> None:
    _, whitener, _ = fitted(0.1)
    with pytest.raises(
        ValueError, match="Gaussian with 7 visible units, this one is gaussian with 6"
    ):
        joint_machine(RBM(6, 2), whitener, 0.0)


def test_too_many_hidden_units_for_an_exact_sum_are_refused() -> None:
    with pytest.raises(ValueError, match="use tap_log_sum"):
        exact_log_sum(torch.zeros(1, 25).double(), torch.zeros(25, 25).double())


def test_one_pictures_texts_are_in_the_order_of_their_conditional_density() -> None:
    # log p(y | x) = log p(x, y) - log p(x): for one x, minus the free energy sorts alike, and PMI
    # does not, for it also asks how likely a text is of itself.
    made, whitener, joint = fitted(0.8)
    texts = whitener.project(rows_of_both(seed=3, rows=41))
    rows = torch.cat([texts[:1, : whitener.split].expand(41, -1), texts[:, whitener.split :]], 1)
    weights, means, covariance = as_mixture(made, whitener)
    x = slice(0, whitener.split)
    seen = mixture_log_density(rows[:, x], weights, means[:, x], covariance[x, x])
    given = mixture_log_density(rows, weights, means, covariance) - seen
    order = given.argsort()
    assert torch.equal((-joint.free_energy(rows)).argsort(), order)
    assert not torch.equal(
        joint.pointwise_mutual_information(rows, method="exact").argsort(), order
    )


def test_free_energy_is_that_of_the_white_rows() -> None:
    made, whitener, joint = fitted(0.8)
    rows = rows_of_both(seed=3, rows=ROWS)
    white = made.free_energy(whitener.transform(rows))
    assert torch.allclose(joint.free_energy(whitener.project(rows)), white, atol=1e-10)


def test_the_density_of_a_joint_machine_is_the_mixtures() -> None:
    made, whitener, joint = fitted(0.8)
    cut = whitener.project(rows_of_both(seed=3, rows=ROWS))
    slow = mixture_log_density(cut, *as_mixture(made, whitener))
    assert torch.allclose(-joint.free_energy(cut) - joint.log_z, slow, atol=1e-10)


@pytest.mark.parametrize("block", ["image", "text"])
def test_the_log_marginal_is_the_mixtures(block: Block) -> None:
    made, whitener, joint = fitted(0.8)
    own = slice(0, whitener.split) if block == "image" else slice(whitener.split, None)
    cut = whitener.project(rows_of_both(seed=3, rows=ROWS))[:, own]
    weights, means, covariance = as_mixture(made, whitener)
    slow = mixture_log_density(cut, weights, means[:, own], covariance[own, own])
    found = joint.log_marginal(cut, block, method="exact") - joint.log_z
    assert torch.allclose(found, slow, atol=1e-10)


def test_on_a_trained_machine_tap_is_within_a_tenth_of_a_nat_and_ranks_alike() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(13, 14, generator=generator).double()
    chosen = torch.randint(0, 13, (1009,), generator=generator)
    rows = centres[chosen] + 0.4 * torch.randn(1009, 14, generator=generator).double()
    whitener = fit_whitener([rows], 7)
    white = whitener.transform(rows)
    made = RBM(whitener.n_kept, 11)
    made.initialise(white, generator)
    taught = Learner(made, white[:128].clone(), generator, Training())
    for step in range(500):
        at = torch.randint(len(white), (128,), generator=generator)
        taught.update(white[at], 0.02 * (1 - step / 510))
    joint = joint_machine(made, whitener, log_z_exact(made))
    cut = whitener.project(rows[:101])
    near = joint.pointwise_mutual_information(cut)
    exact = joint.pointwise_mutual_information(cut, method="exact")
    assert float((near - exact).abs().max()) < 0.1
    ranks = torch.stack([near.argsort().argsort(), exact.argsort().argsort()]).double()
    assert float(torch.corrcoef(ranks)[0, 1]) > 0.999


def given(block: Block) -> tuple[JointMachine, Tensor, Tensor, Tensor]:
    """A machine, rows of one block, and what the mixture says of the other: mean and covariance."""
    made, whitener, joint = fitted(0.8)
    weights, centres, covariance = as_mixture(made, whitener)
    image, text = slice(0, whitener.split), slice(whitener.split, None)
    own, other = (image, text) if block == "image" else (text, image)
    rows = whitener.project(rows_of_both(seed=3, rows=ROWS))[:, own]
    slope = torch.linalg.solve(covariance[own, own], covariance[own, other])
    seen = torch.stack([log_density(rows - c, covariance[own, own]) for c in centres[:, own]], 1)
    share = torch.softmax(seen + torch.log(weights), 1)  # (N, 2^H)
    each = centres[:, other] + (rows[:, None] - centres[:, own]) @ slope  # (N, 2^H, K_o)
    mean = (share[..., None] * each).sum(1)
    apart = each - mean[:, None]
    spread = torch.einsum("ns,nsi,nsj->nij", share, apart, apart)
    return joint, rows, mean, spread + covariance[other, other] - covariance[other, own] @ slope


@pytest.mark.parametrize("block", ["image", "text"])
def test_what_one_block_leads_to_expect_of_the_other_is_the_mixtures_conditional_mean(
    block: Block,
) -> None:
    joint, rows, mean, _ = given(block)
    assert torch.allclose(joint.expected(rows, block, "exact"), mean, atol=1e-9)
    assert float((joint.expected(rows, block) - mean).abs().max()) < 0.1 * float(mean.std())


@pytest.mark.parametrize("block", ["image", "text"])
def test_the_other_block_is_drawn_from_the_mixtures_conditional(block: Block) -> None:
    joint, rows, mean, spread = given(block)
    draws = 4001
    again = rows[:1].expand(draws, -1)
    found = joint.sample_other(again, block, torch.Generator().manual_seed(0), sweeps=40)
    error = torch.sqrt(spread[0].diagonal() / draws)
    assert ((found.mean(0) - mean[0]).abs() < 4.5 * error).all()
    scale = torch.sqrt(torch.outer(spread[0].diagonal(), spread[0].diagonal()))
    assert ((torch.cov(found.T) - spread[0]).abs() < 0.1 * scale).all()


def coupled(units: int, size: float = 1.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    bias = torch.randn(ROWS, units, generator=generator, dtype=torch.float64)
    root = size * torch.randn(units, 3, generator=generator, dtype=torch.float64)
    return bias, root @ root.T / 3


def test_annealed_sums_are_near_the_exact_ones_and_do_not_depend_on_neighbours() -> None:
    bias, coupling = coupled(7)
    found, exact = ais_log_sum(bias, coupling, chains=256, betas=300), exact_log_sum(bias, coupling)
    assert float((found - exact).abs().max()) < 0.1
    alone = torch.cat([log_sum(row[None], coupling, "ais") for row in bias])
    assert torch.allclose(alone, log_sum(bias, coupling, "ais"), rtol=0, atol=1e-10)


def test_the_pmi_by_annealing_is_near_the_exact_one() -> None:
    _, whitener, joint = fitted(0.8)
    cut = whitener.project(rows_of_both(seed=3, rows=ROWS))
    found = joint.pointwise_mutual_information(cut, "ais")
    assert float((found - joint.pointwise_mutual_information(cut, "exact")).abs().max()) < 0.3


def test_mean_activities_are_those_of_all_states() -> None:
    bias, coupling = coupled(5)
    states = torch.tensor(list(itertools.product((0.0, 1.0), repeat=5))).double()
    weight = torch.softmax(bias @ states.T + ((states @ coupling) * states).sum(1) / 2, 1)
    assert torch.allclose(means(bias, coupling, "exact"), weight @ states, atol=1e-12)
    near = means(*coupled(5, 0.3))
    assert float((near - means(*coupled(5, 0.3), "exact")).abs().max()) < 0.01


def test_an_exact_sum_that_goes_in_pieces_is_that_of_independent_units() -> None:
    bias = torch.linspace(-1, 1, 13).double()[None]
    by_hand = torch.log1p(bias.exp()).sum(1)
    assert torch.allclose(exact_log_sum(bias, torch.zeros(13, 13).double()), by_hand, atol=1e-12)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda b, j: log_sum(b, j, "mean-field"), "by tap, exact or ais, not 'mean-field'"),  # type: ignore[arg-type]
        (lambda b, j: means(b, j, "ais"), "by tap or exact, not 'ais'"),
        (lambda b, j: ais_log_sum(b, -j), "without negative eigenvalues"),
    ],
)
def test_sums_that_cannot_be_taken_are_refused(
    ask: Callable[[Tensor, Tensor], Tensor], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        ask(*coupled(5))


def test_a_block_that_is_neither_or_of_another_width_is_refused() -> None:
    _, _, joint = fitted(0.1)
    with pytest.raises(ValueError, match="with 3 or 4 columns, got 'image' with 4"):
        joint.expected(torch.zeros(2, 4).double(), "image")


def test_a_joint_machine_of_other_hiddens_is_refused() -> None:
    _, whitener, _ = fitted(0.1)
    with pytest.raises(ValueError, match="Bernoulli hiddens, not relu ones"):
        joint_machine(RBM(7, 2, hidden="relu"), whitener, 0.0)
