"""BLIP's three losses as pure functions (Li et al. 2022, section 3.2; ALBEF, arXiv 2107.07651).

B pairs, K keys to compare with (the batch's, then the queue's), N scored tokens, V vocabulary.
Image keys, int64, say which texts belong to one picture: two texts of a picture are never taken
for each other's negatives.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORED = -100
NEGATIVE_FLOOR = 1e-4  # so that every other pair can be drawn, however unlike


def same_image(keys: Tensor, others: Tensor, *, first: int = 0, by_key: bool = True) -> Tensor:
    """Return bool (B, K): the pair is one picture's. `others` has `keys` from place `first` on.

    Without `by_key` only a sample and itself are, as in BLIP's pretraining.
    """
    if by_key:
        return keys[:, None] == others[None, :]
    places = torch.arange(len(others), device=keys.device)
    return places == first + torch.arange(len(keys), device=keys.device)[:, None]


def soft_targets(teacher: Tensor, positives: Tensor, usable: Tensor, alpha: float) -> Tensor:
    """Mix what the teacher finds alike with what is known to belong together.

    Args:
        teacher: float (B, K), the momentum encoders' similarities over temperature.
        positives: bool (B, K), at least one in each row.
        usable: bool (K,), false where a queue is still empty.
        alpha: the teacher's share.

    Returns:
        float (B, K), rows sum to one; no gradient.
    """
    known = positives.float() / positives.sum(dim=1, keepdim=True)
    believed = teacher.detach().float().masked_fill(~usable, -torch.inf).softmax(dim=1)
    return alpha * believed + (1 - alpha) * known


def contrastive_loss(similarity: Tensor, targets: Tensor, usable: Tensor) -> Tensor:
    """Cross-entropy of one direction, images to texts or texts to images.

    Args:
        similarity: float (B, K), cosines over temperature.
        targets: float (B, K) from `soft_targets`; zero where not usable.
        usable: bool (K,).

    Returns:
        float (), mean over the batch.
    """
    scores = similarity.float().masked_fill(~usable, -torch.inf)
    log_probability = scores.log_softmax(dim=1).masked_fill(~usable, 0.0)
    return -(targets * log_probability).sum(dim=1).mean()


def hard_negatives(similarity: Tensor, same: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Draw for every row another column, the likelier the more alike it looks.

    All rows are drawn at once, by inverting the cumulative weights.

    Args:
        similarity: float (B, N), cosines over temperature.
        same: bool (B, N), pairs of one picture, never drawn.
        uniform: float (B,), one number in [0, 1) a row.

    Returns:
        int64 (B,) columns, and bool (B,), false where a row has no negative at all.
    """
    weights = similarity.detach().float().softmax(dim=1).double() + NEGATIVE_FLOOR
    cumulative = weights.masked_fill(same, 0.0).cumsum(dim=1)
    total = cumulative[:, -1:]
    drawn = torch.searchsorted(cumulative, uniform[:, None].to(total) * total, right=True)[:, 0]
    possible = total[:, 0] > 0
    return torch.where(possible, drawn, 0), possible


def matching_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of (M, 2) logits with int64 labels: 1 fits, 0 does not, -100 is left out."""
    return F.cross_entropy(logits.float(), labels, ignore_index=IGNORED)


def language_loss(logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy of (N, V) logits with int64 (N,) next tokens; -100 is left out."""
    return F.cross_entropy(
        logits.float(), targets, ignore_index=IGNORED, label_smoothing=label_smoothing
    )
