"""Whitening of image-text embeddings: a PCA cut of each block, then the two together.

K columns stay of the D that come in. Blocks are cut apart because cutting the joint space would
leave p(text) undefined; whitened, the full Gaussian is N(0, I), so every nat a machine gains over
it can be seen. Statistics are summed in float64 over any number of blocks of rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

KEPT_ABOVE = 1e-4  # of a block's largest eigenvalue
TOLD_ABOVE = 1e-12  # of all of them, where eigenvalues have three digits in float64


@dataclass(frozen=True, slots=True)
class Whitener:
    """An affine map from D columns to K white ones.

    Attributes:
        mean: (D,).
        cut: (D, K), orthonormal columns within each block.
        mix: (K, K), symmetric; its covariance-inverting square root.
        split: how many of the K columns come from the first block.
        covariance: (K, K), of the cut columns, the smallest eigenvalues of its correlations raised
            to the cut.
    """

    mean: Tensor
    cut: Tensor
    mix: Tensor
    split: int
    covariance: Tensor

    @property
    def n_kept(self) -> int:
        """K."""
        return self.cut.shape[1]

    @property
    def log_det(self) -> float:
        """Log |det mix|: add it to log p of white rows for log p of cut ones."""
        return float(torch.linalg.slogdet(self.mix).logabsdet)

    def project(self, rows: Tensor) -> Tensor:
        """Centre and cut (N, D) to (N, K), the space in which the two blocks are apart."""
        if rows.shape[-1] != len(self.mean):
            raise ValueError(
                f"rows have {rows.shape[-1]} columns, the whitener was fitted on {len(self.mean)}; "
                "were they exported by another model?"
            )
        return (rows.double() - self.mean) @ self.cut

    def transform(self, rows: Tensor) -> Tensor:
        """Whiten (N, D) to float64 (N, K)."""
        return self.project(rows) @ self.mix

    def inverse(self, white: Tensor) -> Tensor:
        """Carry white rows (N, K) back to (N, D); what was cut away comes back as its mean."""
        return self.restore(torch.linalg.solve(self.mix, white.double().T).T)

    def restore(self, projected: Tensor) -> Tensor:
        """Carry cut rows (N, K) back to (N, D), the inverse of `project`."""
        return projected.double() @ self.cut.T + self.mean

    def state(self) -> dict[str, Tensor]:
        """Return tensors that `whitener_from` reads back."""
        return {
            "mean": self.mean,
            "cut": self.cut.contiguous(),
            "mix": self.mix.contiguous(),
            "split": torch.tensor(self.split),
            "covariance": self.covariance.contiguous(),
        }


def whitener_from(state: dict[str, Tensor]) -> Whitener:
    """Rebuild a whitener from `Whitener.state()`."""
    return Whitener(
        state["mean"], state["cut"], state["mix"], int(state["split"]), state["covariance"]
    )


class Sums:
    """Counts, sums and products of rows that arrive in pieces, in float64."""

    def __init__(self) -> None:
        self.count = 0
        self.shift = self.total = self.outer = self.lowest = self.highest = torch.zeros(())

    def add(self, rows: Tensor) -> None:
        """Take in rows (n, D); how they are cut into pieces does not matter.

        Raises:
            ValueError: a value is not finite, or the rows are of another width than before.
        """
        rows = rows.double()
        if not torch.isfinite(rows).all():
            raise ValueError("rows hold NaN or infinite values; drop them before whitening")
        if not len(rows):
            return
        if not self.count:
            # Sums about the first row: far from 0 the variances would be lost in rounding, and a
            # constant column would seem to vary.
            self.shift, self.lowest, self.highest = rows[0].clone(), rows[0], rows[0]
        elif rows.shape[1] != len(self.shift):
            raise ValueError(f"rows have {rows.shape[1]} columns, those before {len(self.shift)}")
        self.count += len(rows)
        self.lowest = torch.minimum(self.lowest, rows.amin(0))
        self.highest = torch.maximum(self.highest, rows.amax(0))
        rows = rows - self.shift
        self.total = self.total + rows.sum(0)
        self.outer = self.outer + rows.T @ rows

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return the mean (D,) and the covariance (D, D).

        Raises:
            ValueError: there were fewer than two rows.
        """
        if self.count < 2:
            raise ValueError(f"whitening needs 2 rows or more, got {self.count}")
        beyond = self.total / self.count
        return self.shift + beyond, self.outer / self.count - torch.outer(beyond, beyond)

    @property
    def constant(self) -> tuple[int, ...]:
        """Which columns held one value in all rows."""
        return tuple(torch.nonzero(self.lowest == self.highest).flatten().tolist())


def fit_whitener(blocks_of_rows: Iterable[Tensor], first_block: int) -> Whitener:
    """Fit on rows given in any number of pieces (n, D).

    Args:
        blocks_of_rows: the pieces; how they are cut does not matter.
        first_block: how many of the D columns are the first block's.

    Raises:
        ValueError: there are fewer than two rows, a value is not finite, all columns of a block
            are constant, or one block varies a million times as much as the other.
    """
    sums = Sums()
    for piece in blocks_of_rows:
        sums.add(piece)
    return whitener_of(sums, first_block)


def whitener_of(sums: Sums, first_block: int) -> Whitener:
    """Return the whitener of rows that were summed, see `fit_whitener`."""
    mean, covariance = sums.moments()
    cut = _cut(covariance, first_block)
    kept = _proper(cut.T @ covariance @ cut)
    values, vectors = torch.linalg.eigh(kept)
    _refuse_far_apart(kept, values, _split(cut, first_block))
    mix = (vectors / torch.sqrt(values)) @ vectors.T
    return Whitener(mean, cut, mix, _split(cut, first_block), kept)


def _proper(covariance: Tensor) -> Tensor:
    """Raise the smallest eigenvalues of the correlations, so that N(0, covariance) is a density.

    The two blocks can be collinear though neither is alone. Of the covariance itself the smallest
    would often be those of the block that varies less, which are as good as any.
    """
    spread = covariance.diagonal().sqrt()
    values, vectors = torch.linalg.eigh(covariance / torch.outer(spread, spread))
    values = values.clamp(min=KEPT_ABOVE * float(values[-1]))
    return (vectors * values) @ vectors.T * torch.outer(spread, spread)


def _refuse_far_apart(covariance: Tensor, values: Tensor, split: int) -> None:
    """See that rounding beside the largest eigenvalue leaves the smallest its first digits."""
    if float(values[0]) < TOLD_ABOVE * float(values[-1]):
        first, second = (
            float(own.max().sqrt()) for own in covariance.diagonal().tensor_split([split])
        )
        raise ValueError(
            f"the two blocks vary too differently to be whitened together (deviations up to "
            f"{first:.3g} and {second:.3g}); scale one of them"
        )


def _cut(covariance: Tensor, first_block: int) -> Tensor:
    """Return the leading eigenvectors of both blocks, block-diagonal, (D, K)."""
    parts = []
    for name, where in (("first", slice(0, first_block)), ("second", slice(first_block, None))):
        values, vectors = torch.linalg.eigh(covariance[where, where])
        kept = values > KEPT_ABOVE * values[-1].clamp(min=0)
        if not bool(kept.any()) or float(values[-1]) <= 0:
            raise ValueError(f"all columns of the {name} block are constant: nothing can be learnt")
        parts.append(vectors[:, kept].flip(1))
    whole: Tensor = torch.block_diag(*parts)  # type: ignore[no-untyped-call]  # torch has no types for it
    return whole


def _split(cut: Tensor, first_block: int) -> int:
    return int((cut[:first_block].abs().sum(0) > 0).sum())
