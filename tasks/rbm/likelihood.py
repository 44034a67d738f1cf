"""What a machine is worth: nats a pair above the Gaussians and a mixture, on rows held out.

All densities are of white columns, so they may be compared with one another; the full Gaussian is
N(0, 1) there by making.
"""

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from models.rbm.annealing import Bracket
from models.rbm.gaussian import log_density
from models.rbm.machine import RBM
from models.rbm.mixture import fit_mixture
from models.rbm.whitening import Whitener

MIXTURE_COMPONENTS = 20


@dataclass(frozen=True, slots=True)
class Yardsticks:
    """Log-densities of some white rows, (N,) each."""

    full_gaussian: Tensor
    diagonal_gaussian: Tensor
    mixture: Tensor


class Yardstick:
    """The densities that a machine has to beat, fitted on white rows to learn from."""

    def __init__(self, whitener: Whitener, train: Tensor, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        count = min(MIXTURE_COMPONENTS, len(train))
        self.mixture = fit_mixture(train.cpu().double(), generator, count)
        self.whitener = whitener

    def of(self, white: Tensor) -> Yardsticks:
        """Measure rows (N, K)."""
        rows = white.cpu().double()
        full = log_density(rows, torch.eye(rows.shape[1], dtype=torch.float64))
        # White columns are independent by making: the diagonal Gaussian is one of the cut columns.
        cut = torch.linalg.solve(self.whitener.mix, rows.T).T
        spread = torch.diag(self.whitener.covariance.diagonal())
        diagonal = log_density(cut, spread) - self.whitener.log_det
        return Yardsticks(full, diagonal, self.mixture.log_density(rows))


def judged(machine: RBM, white: Tensor, bracket: Bracket, over: Yardsticks) -> dict[str, float]:
    """Return the likelihood of white rows (N, K) with what it rests on, in nats a row."""
    log_z = bracket.forward.value
    ours = machine.log_likelihood(white, log_z).double().cpu()
    gain = ours - over.full_gaussian
    return {
        "log_likelihood": float(ours.mean()),
        "full_gaussian": float(over.full_gaussian.mean()),
        "diagonal_gaussian": float(over.diagonal_gaussian.mean()),
        "gmm20": float(over.mixture.mean()),
        "nats_over_full_gaussian": float(gain.mean()),
        "nats_over_full_gaussian_se": float(gain.std() / len(gain) ** 0.5),
        "nats_over_diagonal_gaussian": float((ours - over.diagonal_gaussian).mean()),
        "nats_over_gmm20": float((ours - over.mixture).mean()),
        "log_z": log_z,
        "log_z_se": bracket.forward.se,
        "ais_ess": bracket.forward.ess,
        "log_z_reverse": bracket.reverse.value,
        "bracket_gap": bracket.gap,
        "thermalised": float(bracket.thermalised),
    }


def gemm_rate(machine: RBM, rows: int, repeats: int = 5) -> float:
    """Return how many floating-point operations a second a plain product of this size reaches."""
    left = machine.weight.new_ones((rows, machine.n_visible))
    out = left @ machine.weight
    best = float("inf")
    for _ in range(repeats):
        _wait(left)
        started = time.perf_counter()
        torch.matmul(left, machine.weight, out=out)
        _wait(left)
        best = min(best, time.perf_counter() - started)
    return 2 * rows * machine.weight.numel() / best


def update_work(machine: RBM, rows: int, chains: int, sweeps: int) -> int:
    """Return the floating-point operations of one update's matrix products.

    A product of n rows with W is 2 n V H. The data take one and an outer product, the chains two
    a sweep, one more for their activations, and an outer product.
    """
    return 2 * machine.weight.numel() * (2 * rows + (2 * sweeps + 2) * chains)


def _wait(tensor: Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.synchronize(tensor.device)
