"""The direction of an update is the gradient of the likelihood, and updates learn and resume."""

import math

import pytest
import torch
from torch import Tensor

from models.contrastive_divergence import Learner
from models.partition import hidden_log_weight, log_z_exact
from models.rbm import RBM, Visible
from models.whitening import fit_whitener
from tests.machines import VISIBLE, machine, states

BITS = torch.tensor([[r >> 2 & 1, r >> 1 & 1, r & 1] for r in range(8)], dtype=torch.float64)


def learner(made: RBM, chains: int = 13, **how: object) -> Learner:
    generator = torch.Generator().manual_seed(0)
    start = torch.zeros(chains, made.n_visible, dtype=torch.float64)
    return Learner(made, start, generator, **how)  # type: ignore[arg-type]


def exact_gradient(made: RBM, rows: Tensor) -> dict[str, Tensor]:
    """Gradients of the mean log p, by autograd through the sum over hidden states."""
    made.requires_grad_(True)
    log_z = torch.logsumexp(hidden_log_weight(made, states(made.n_hidden)), 0)
    if made.visible == "gaussian":  # the volume comes as a plain number: its gradient by hand
        log_z = log_z + made.log_var.sum() / 2 - made.log_var.sum().detach() / 2
    likelihood = -made.free_energy(rows).mean() - log_z
    parameters = {
        n: v for n, v in made.named_parameters() if made.visible == "gaussian" or n != "log_var"
    }
    gradients = torch.autograd.grad(likelihood, list(parameters.values()))
    made.requires_grad_(False)
    return dict(zip(parameters, gradients, strict=True))


@pytest.mark.parametrize("visible", ["gaussian", "bernoulli"])
def test_with_enough_chains_the_direction_is_the_gradient_of_the_likelihood(
    visible: Visible,
) -> None:
    made = machine(visible)
    rows = torch.randn(31, VISIBLE, generator=torch.Generator().manual_seed(7)).double()
    rows = (rows > 0).double() if visible == "bernoulli" else rows
    exact = exact_gradient(made, rows)
    taught = learner(made, chains=60_000, weight_decay=0.0)
    sampled = made.gibbs_step(taught.chains, taught.generator, 60)
    found = taught._gradients(rows, sampled)
    if visible == "bernoulli":  # centring changes the biases' direction, not that of W's own part
        assert found.keys() == {"weight", "vbias", "hbias"}
        plain = (rows.T @ made.transform(rows)) / 31 - sampled.T @ made.transform(sampled) / 60_000
        assert torch.allclose(plain, exact["weight"], atol=0.02)
        return
    for name, direction in found.items():
        assert torch.allclose(direction, exact[name], atol=0.05), name


def test_both_phases_are_means_over_their_own_rows() -> None:
    # sklearn divides both by the size of the batch: a short last batch then drives the chains off.
    made = machine("gaussian")
    rows = torch.randn(1, VISIBLE, generator=torch.Generator().manual_seed(7)).double()
    taught = learner(made, chains=101, weight_decay=0.0)
    sampled = made.gibbs_step(taught.chains, taught.generator, 3)
    once = taught._gradients(rows, sampled)
    often = taught._gradients(rows.repeat(17, 1), sampled)
    for name in once:
        assert torch.allclose(once[name], often[name], atol=1e-12)


@pytest.mark.parametrize("visible", ["gaussian", "bernoulli"])
def test_a_restored_learner_goes_on_bit_for_bit(visible: Visible) -> None:
    rows = torch.randn(23, VISIBLE, generator=torch.Generator().manual_seed(7)).double()
    rows = (rows > 0).double() if visible == "bernoulli" else rows
    straight = learner(machine(visible))
    for _ in range(10):
        straight.update(rows, 0.01)
    broken = learner(machine(visible))
    for _ in range(4):
        broken.update(rows, 0.01)
    resumed = learner(machine(visible, seed=99))
    resumed.restore(broken.state())
    for _ in range(6):
        resumed.update(rows, 0.01)
    for name, value in straight.state().items():
        assert torch.equal(value, resumed.state()[name]), name


def test_a_binary_machine_learns_a_distribution_it_can_represent() -> None:
    # Two bits that always agree and a coin: entropy 2 ln 2.
    rows = BITS[BITS[:, 0] == BITS[:, 1]].repeat(16, 1)
    made = RBM(3, 4, "bernoulli")
    made.initialise(rows, torch.Generator().manual_seed(0))
    taught = learner(made, chains=512, k=1, weight_decay=0.0)
    before = float(made.log_likelihood(rows, log_z_exact(made)).mean())
    for step in range(1500):
        taught.update(rows, 0.01 * (1 - step / 1550))
    after = float(made.log_likelihood(rows, log_z_exact(made)).mean())
    assert before < -1.9  # three coins
    assert after > -2 * math.log(2) - 0.1


def test_a_gaussian_machine_finds_what_the_full_gaussian_cannot() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(8, 6, generator=generator).double()
    chosen = torch.randint(0, 8, (2003,), generator=generator)
    rows = centres[chosen] + 0.25 * torch.randn(2003, 6, generator=generator).double()
    white = fit_whitener([rows], 3).transform(rows)
    made = RBM(6, 12)
    made.initialise(white, torch.Generator().manual_seed(1))
    taught = Learner(made, white[:128].clone(), torch.Generator().manual_seed(2))
    for step in range(1200):
        at = torch.randint(len(white), (128,), generator=generator)
        taught.update(white[at], 0.01 * (1 - step / 1260))
    ours = float(made.log_likelihood(white, log_z_exact(made)).mean())
    gaussian = -3 * (1 + math.log(2 * math.pi))  # of white rows: their mean square is 6
    assert ours > gaussian + 0.5


def test_plain_cd_starts_from_the_data_and_leaves_the_chains_alone() -> None:
    made = machine("gaussian")
    taught = learner(made, persistent=False)
    rows = torch.randn(7, VISIBLE, generator=torch.Generator().manual_seed(7)).double()
    before = taught.chains.clone()
    taught.update(rows, 0.01)
    assert torch.equal(taught.chains, before)
