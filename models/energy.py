"""The RBM's energy over pairs, trained to tell right pairs from wrong ones instead of to a density.

B pairs, X and Y widths of the image's and the text's columns, H hidden units. With a = x U and
d = y V, and c the hidden biases,

    s(x, y) = sum over j of [sp(c + a + d) - sp(c + a) - sp(c + d) + sp(c)]_j

is what a joint RBM without visible coupling would give as log p(x, y) - log p(x) - log p(y), up to
normalisation; sp is softplus. Trained by InfoNCE both ways (van den Oord et al. 2018, arXiv
1807.03748) its optimum is the pointwise mutual information, and no partition function is met.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHECK_EVERY = 50
CHECKED_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class EnergyFit:
    """How an energy is trained.

    Attributes:
        hidden: H.
        updates: most steps; the state that was best on the pairs held out is kept.
        batch_size: pairs a step; each is a wrong text for the others.
        learning_rate: Adam's, falling linearly to a fiftieth.
        weight_decay: on U and V.
        seed: of the start and of the order.
    """

    hidden: int = 64
    updates: int = 800
    batch_size: int = 128
    learning_rate: float = 0.01
    weight_decay: float = 1e-3
    seed: int = 0


class PairEnergy(nn.Module):
    """Scores of pairs; higher is likelier."""

    def __init__(self, images: int, texts: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        draws = [torch.randn(width, hidden, generator=generator) for width in (images, texts)]
        self.image_weight = nn.Parameter(draws[0] / images**0.5)
        self.text_weight = nn.Parameter(draws[1] / texts**0.5)
        self.hbias = nn.Parameter(torch.zeros(hidden))

    def forward(self, images: Tensor, texts: Tensor) -> Tensor:
        """Score every image (..., X) with its text (..., Y); leading dimensions broadcast."""
        pulled, pushed = images @ self.image_weight, texts @ self.text_weight
        alone = F.softplus(self.hbias + pulled) + F.softplus(self.hbias + pushed)
        both = F.softplus(self.hbias + pulled + pushed) + F.softplus(self.hbias)
        return (both - alone).sum(dim=-1)


def contrastive_loss(energy: PairEnergy, images: Tensor, texts: Tensor, keys: Tensor) -> Tensor:
    """InfoNCE both ways over B pairs, in nats; other texts of the same image are no wrong ones."""
    scores = energy(images[:, None], texts[None])
    same = (keys[:, None] == keys[None]) & ~torch.eye(len(keys), dtype=torch.bool)
    scores = scores.masked_fill(same, -torch.inf)
    right = torch.arange(len(keys))
    return (F.cross_entropy(scores, right) + F.cross_entropy(scores.T, right)) / 2


def fit_pair_energy(
    images: Tensor, texts: Tensor, keys: Tensor, held_out: Tensor, how: EnergyFit
) -> PairEnergy:
    """Train on the pairs that are not held out, and keep what is best on those that are.

    Args:
        images: (N, X).
        texts: (N, Y).
        keys: int64 (N,), equal for pairs of one image.
        held_out: bool (N,).
        how: size and steps.

    Raises:
        ValueError: there are fewer than two pairs on either side.
    """
    places = (~held_out).nonzero()[:, 0]
    kept = held_out.nonzero()[:, 0]
    if min(len(places), len(kept)) < 2:
        raise ValueError("training and checking each need two pairs or more")
    generator = torch.Generator().manual_seed(how.seed)
    energy = PairEnergy(images.shape[1], texts.shape[1], how.hidden, generator)
    x, y = images.float(), texts.float()
    groups: list[dict[str, Any]] = [
        {"params": [energy.image_weight, energy.text_weight], "weight_decay": how.weight_decay},
        {"params": [energy.hbias]},
    ]
    optimiser = torch.optim.Adam(groups, lr=how.learning_rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.02, how.updates)
    best, least = copy.deepcopy(energy), torch.inf
    for update in range(1, how.updates + 1):
        some = places[torch.randperm(len(places), generator=generator)[: how.batch_size]]
        optimiser.zero_grad()
        torch.autograd.backward(contrastive_loss(energy, x[some], y[some], keys[some]))
        optimiser.step()
        schedule.step()
        if update % CHECK_EVERY == 0 or update == how.updates:
            loss = _checked(energy, x[kept], y[kept], keys[kept])
            if loss < least:
                best, least = copy.deepcopy(energy), loss
    return best.requires_grad_(False)


@torch.no_grad()
def _checked(energy: PairEnergy, images: Tensor, texts: Tensor, keys: Tensor) -> float:
    """Return the loss on pairs held out, the mean over groups of equal size."""
    groups = max(1, len(keys) // CHECKED_AT_ONCE)
    losses = [
        contrastive_loss(energy, images[g::groups], texts[g::groups], keys[g::groups])
        for g in range(groups)
    ]
    return float(torch.stack(losses).mean())
