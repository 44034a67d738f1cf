"""Where the right answer came: ranks, recall@k and AUC from scores.

N queries, M candidates. A query may have several right candidates and is answered by the best of
them: an image with two captions has found its text when either comes first, while each caption has
the one image to find. Two images with two captions each:

    caption    0    1    2    3      belongs to image 0, 0, 1, 1
    image 0   .9   .2   .8   .1      its best caption, 0, is first                  rank 1
    image 1   .7   .3   .4   .2      its best caption, 2, comes after caption 0     rank 2

    image to text    ranks 1, 2          recall@1 1/2   recall@2 1
    text to image    ranks 1, 2, 2, 1    recall@1 1/2   recall@2 1

Candidates with equal scores are in no order: a rank is then the mean over all orders, and recall@k
the share of orders that have a right one among the first k. So a model that scores all alike gets
exactly the score of chance, and not, by an accident of sorting, 0 or 1.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the best right candidate of each query stands; all float64 (N,).

    Attributes:
        better: wrong candidates with a higher score.
        equal: wrong candidates with the same score.
        right: right candidates with that score, itself included.
    """

    better: Tensor
    equal: Tensor
    right: Tensor


def standing(scores: Tensor, is_right: Tensor) -> Standing:
    """Find each query's best right candidate.

    Args:
        scores: float (N, M), higher is better.
        is_right: bool (N, M), at least one true in each row.

    Raises:
        ValueError: shapes differ, a score is NaN, or a query has no right candidate.
    """
    if scores.shape != is_right.shape or scores.ndim != 2:
        raise ValueError(
            f"scores and is_right are both (N, M), got {tuple(scores.shape)} and "
            f"{tuple(is_right.shape)}"
        )
    if bool(torch.isnan(scores).any()):
        raise ValueError("a score is NaN, so the candidates have no order; is the model broken?")
    if not bool(is_right.any(dim=1).all()):
        raise ValueError("a query has no right candidate; leave it out of the evaluation")
    best = scores.masked_fill(~is_right, -torch.inf).amax(dim=1, keepdim=True)
    level = scores == best
    return Standing(
        ((scores > best) & ~is_right).sum(dim=1).double(),
        (level & ~is_right).sum(dim=1).double(),
        (level & is_right).sum(dim=1).double(),
    )


def same_image(queries: Tensor, candidates: Tensor) -> Tensor:
    """Return bool (N, M): query and candidate belong to the same image; from int64 (N,), (M,)."""
    return queries[:, None] == candidates[None, :]


def ranks(found: Standing) -> Tensor:
    """Return float64 (N,): the best right candidate's place, 1 is first; a mean where some tie."""
    return found.better + (found.equal + found.right + 1) / (found.right + 1)


def recall_at(found: Standing, k: int) -> Tensor:
    """Return float64 (N,): the probability of a right candidate among the first k.

    Of the e + r candidates that tie, the first j = k - better are seen; all of them are wrong with
    probability C(e, j) / C(e + r, j).
    """
    seen = (k - found.better).clamp(min=0)
    unseen_wrong = found.equal - seen
    certain = unseen_wrong < 0
    log_missed = (
        torch.lgamma(found.equal + 1)
        - torch.lgamma(unseen_wrong.clamp(min=0) + 1)
        - torch.lgamma(found.equal + found.right + 1)
        + torch.lgamma((unseen_wrong + found.right).clamp(min=0) + 1)
    )
    return torch.where(certain, 1.0, 1.0 - log_missed.exp())


def chance(is_right: Tensor, k: int) -> Tensor:
    """Return float64 (N,): what `recall_at` gives on average to scores drawn at random."""
    return recall_at(standing(torch.zeros(is_right.shape), is_right), k)


def auc(scores: Tensor, is_positive: Tensor) -> float:
    """Return the probability that a positive scores above a negative; a tie counts one half.

    Args:
        scores: float (N,).
        is_positive: bool (N,).

    Returns:
        0 to 1, 0.5 for scores that say nothing; NaN when either class is empty.
    """
    positive, negative = scores[is_positive].double(), scores[~is_positive].double()
    if not len(positive) or not len(negative):
        return float("nan")
    ordered = negative.sort().values
    below = torch.searchsorted(ordered, positive, right=False)
    not_above = torch.searchsorted(ordered, positive, right=True)
    return float((below + not_above).double().mean() / (2 * len(negative)))
