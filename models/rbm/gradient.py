"""The direction of steepest ascent of the log-likelihood: the data's statistics less the model's.

B data rows and M model rows, each phase divided by its own count, so a short batch weighs what it
should. Centred coordinates E = -(v - m)' S^-1 W (h - l) - ... take the same two outer products and
corrections of rank 1 (Melchior, Fischer and Wiskott, JMLR 17:99, 2016, eq. 12-14). The variances'
gradient needs the sum over rows of v_i (W h)_i, which is (W * (v' h))_i. summed over hiddens, of
the product that W's own gradient is made of.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.rbm.machine import RBM

OFFSET_RATE = 0.01


@dataclass(frozen=True, slots=True)
class Phase:
    """Rows (N, V) and the means of their hiddens (N, H)."""

    visible: Tensor
    hidden: Tensor


@dataclass(slots=True)
class Offsets:
    """Moving averages of the data's visibles (V,) and hiddens (H,)."""

    visible: Tensor | None = None
    hidden: Tensor | None = None

    def follow(self, ours: Phase) -> tuple[Tensor, Tensor]:
        """Move toward the means of this batch, starting at the first's, and return both."""
        means = ours.visible.mean(0), ours.hidden.mean(0)
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
    visible = ours.visible.mean(0) - theirs.visible.mean(0)
    hidden = ours.hidden.mean(0) - theirs.hidden.mean(0)
    outer = torch.mm(ours.visible.T, ours.hidden).div_(len(ours.visible))
    outer.addmm_(theirs.visible.T, theirs.hidden, alpha=-1 / len(theirs.visible))
    found = {"weight": outer, "vbias": visible, "hbias": hidden}
    if machine.visible == "gaussian":
        precision = machine.precision()
        if variances:
            squares = _squares(machine, ours) - _squares(machine, theirs)
            found["log_var"] = precision * (squares - (machine.weight * outer).sum(1))
        found["vbias"] = precision * visible
    if offsets is not None:
        outer.addr_(offsets[0], hidden, alpha=-1).addr_(visible, offsets[1], alpha=-1)
    if machine.visible == "gaussian":
        outer.mul_(precision[:, None])
    if offsets is not None:
        found["vbias"] = found["vbias"] - outer @ offsets[1]
        found["hbias"] = hidden - machine.scaled(offsets[0]) @ outer
    return found


def _squares(machine: RBM, phase: Phase) -> Tensor:
    """Mean over rows of (v - b)^2 / 2, less b^2 / 2, which both phases share, (V,)."""
    squares = torch.linalg.vector_norm(phase.visible, dim=0).square_() / len(phase.visible)
    return squares / 2 - machine.vbias * phase.visible.mean(0)
