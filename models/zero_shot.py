"""Classes as the mean of what is said of them (Radford et al. 2021, arXiv 2103.00020, 3.1.4).

C classes, P prompts each, N images, E embedding width.
"""

import torch.nn.functional as F
from torch import Tensor


def class_vectors(embedded: Tensor) -> Tensor:
    """Return the mean of each class's prompts as a unit vector: (C, P, E) to (C, E)."""
    return F.normalize(F.normalize(embedded, dim=-1).mean(dim=1), dim=-1)


def class_scores(images: Tensor, classes: Tensor) -> Tensor:
    """Return the cosine of every image and class: unit (N, E) and (C, E) to (N, C)."""
    return images @ classes.T
