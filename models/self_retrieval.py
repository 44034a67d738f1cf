"""Whether a caption finds its own image among others: what makes a caption say more.

N images, C candidate captions each, D distractors, E embedding width. A judge that took no part in
writing or scoring embeds images and captions. The distractors are half drawn at random and half
the images most alike to the judge, where a generic caption fails. Images that share a caption with
the image in question are left out: no caption could tell them apart.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.ranking import Standing

RANDOM, NEAR = 50, 50
IMAGES_AT_ONCE = 256


def shared_captions(captions: Sequence[Sequence[str]]) -> Tensor:
    """Return a number for each image, int64 (N,), equal for images that share a caption.

    Images that share one with a third share the third's number too.
    """
    number = list(range(len(captions)))

    def root(image: int) -> int:
        while number[image] != image:
            image = number[image]
        return image

    first: dict[str, int] = {}
    for image, own in enumerate(captions):
        for text in own:
            one, other = root(first.setdefault(text, image)), root(image)
            number[max(one, other)] = min(one, other)
    return torch.tensor([root(image) for image in range(len(captions))], dtype=torch.int64)


def distractors(
    images: Tensor,
    alike: Tensor,
    generator: torch.Generator,
    *,
    near: int = NEAR,
    drawn: int = RANDOM,
) -> Tensor:
    """Return each image's distractors, int64 (N, near + drawn), all different.

    Args:
        images: unit vectors (N, E).
        alike: int64 (N,); images of one number never distract each other.
        generator: of the draw.
        near: how many are the most alike.
        drawn: how many are drawn from the others.

    Raises:
        ValueError: there are too few images for some image.
    """
    count = len(images)
    rest = count - int(torch.bincount(alike).max()) if count else 0
    if rest < near + drawn:
        raise ValueError(
            f"{near + drawn} distractors an image need as many others; with {count} images some "
            f"image has {rest}"
        )
    found = []
    for rows in torch.split(torch.arange(count), IMAGES_AT_ONCE):
        own = alike[rows, None] == alike[None, :]
        cosines = (images[rows] @ images.T).masked_fill(own, -torch.inf)
        nearest = cosines.topk(near, dim=1).indices
        lots = torch.rand(len(rows), count, generator=generator).masked_fill(own, -1.0)
        lots.scatter_(1, nearest, -1.0)
        found.append(torch.cat([nearest, lots.topk(drawn, dim=1).indices], dim=1))
    return torch.cat(found)


def self_standing(images: Tensor, captions: Tensor, others: Tensor) -> Standing:
    """Return where each caption's own image stands among the distractors.

    Args:
        images: unit vectors (N, E).
        captions: unit vectors (N, C, E).
        others: int64 (N, D) from `distractors`.

    Returns:
        A standing whose tensors are flat, (N * C,), captions of one image in a row.
    """
    better, equal = [], []
    for rows in torch.split(torch.arange(len(images)), IMAGES_AT_ONCE):
        texts = captions[rows].double()
        own = torch.einsum("nce,ne->nc", texts, images[rows].double())
        theirs = torch.einsum("nce,nde->ncd", texts, images[others[rows]].double())
        better.append((theirs > own[..., None]).sum(dim=-1))
        equal.append((theirs == own[..., None]).sum(dim=-1))
    above, level = (torch.cat(part).flatten().double() for part in (better, equal))
    return Standing(above, level, torch.ones_like(above))
