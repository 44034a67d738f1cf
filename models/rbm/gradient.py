"""The direction of steepest ascent of the log-likelihood: the data's statistics less the model's.

B data rows and M model rows, each phase divided by its own count, so a short batch weighs what it
should. Centred coordinates E = -(v - m)' S^-1 W (h - l) - ... take the same two outer products and
corrections of rank 1 (Melchior, Fischer and Wiskott, JMLR 17:99, 2016, eq. 12-14). The variances'
gradient needs the sum over rows of v_i (W h)_i, which is (W * (v' h))_i. summed over hiddens, of
the product that W's own gradient is made of.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.rbm.machine import RBM
from models.rbm.rooms import pieces

OFFSET_RATE = 0.01
SQUARED_AT_ONCE = 128


@dataclass(slots=True)
class Phase:
    """Rows (N, V) and the means of their hiddens (N, H), and the means of both over rows."""

    visible: Tensor
    hidden: Tensor
    mean_visible: Tensor = field(init=False)
    mean_hidden: Tensor = field(init=False)

    def __post_init__(self) -> None:
        # Not mean(0): products with a vector take two thirds of its time.
        share = self.visible.new_full((len(self.visible),), 1 / len(self.visible))
        self.mean_visible, self.mean_hidden = share @ self.visible, share @ self.hidden


@dataclass(slots=True)
class Offsets:
    """Moving averages of the data's visibles (V,) and hiddens (H,)."""

    visible: Tensor | None = None
    hidden: Tensor | None = None

    def follow(self, ours: Phase) -> tuple[Tensor, Tensor]:
        """Move toward the means of this batch, starting at the first's, and return both."""
        means = ours.mean_visible, ours.mean_hidden
        if self.visible is None or self.hidden is None:
            self.visible, self.hidden = means
        else:
            self.visible = torch.lerp(self.visible, means[0], OFFSET_RATE)
            self.hidden = torch.lerp(self.hidden, means[1], OFFSET_RATE)
        return self.visible, self.hidden


def gradients(
    machine: RBM,
    ours: Phase,
    theirs: Phase,
    *,
    offsets: tuple[Tensor, Tensor] | None = None,
    variances: bool = True,
) -> dict[str, Tensor]:
    """Return ascent directions by the parameters' names.

    Args:
        machine: whose parameters they are.
        ours: the batch.
        theirs: rows that sample the model.
        offsets: about which coordinates are centred, (V,) and (H,); none for plain ones.
        variances: whether Gaussian visibles' are wanted; they are taken in plain coordinates.
    """
    visible = ours.mean_visible - theirs.mean_visible
    hidden = ours.mean_hidden - theirs.mean_hidden
    share = 1 / len(ours.visible)
    outer = torch.addmm(machine.weight, ours.visible.T, ours.hidden, beta=0, alpha=share)
    outer.addmm_(theirs.visible.T, theirs.hidden, alpha=-1 / len(theirs.visible))
    found = {"weight": outer, "vbias": visible, "hbias": hidden}
    if machine.visible == "gaussian":
        precision = machine.precision()
        if variances:
            squares = _squares(machine, ours) - _squares(machine, theirs)
            found["log_var"] = precision * (squares - torch.linalg.vecdot(machine.weight, outer))
        found["vbias"] = precision * visible
    if offsets is not None:
        columns = torch.stack([offsets[0], visible], 1)
        outer.addmm_(columns, torch.stack([hidden, offsets[1]]), alpha=-1)
    if machine.visible == "gaussian":
        outer.mul_(precision[:, None])
    if offsets is not None:
        found["vbias"] = found["vbias"] - outer @ offsets[1]
        found["hbias"] = hidden - machine.scaled(offsets[0]) @ outer
    return found


def _squares(machine: RBM, phase: Phase) -> Tensor:
    """Mean over rows of (v - b)^2 / 2, less b^2 / 2, which both phases share, (V,)."""
    # A few rows at a time, whose squares stay in a core's cache.
    rows = phase.visible
    parts = pieces(rows, len(rows) if rows.is_cuda else SQUARED_AT_ONCE)
    squares = sum((part.square().sum(0) for part in parts), torch.zeros_like(machine.vbias))
    return squares / (2 * len(phase.visible)) - machine.vbias * phase.mean_visible
