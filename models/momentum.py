"""The slow copy of the two encoders, and the queues of what it embedded.

B images, E embedding width, Q places in a queue. After He et al. 2020 (MoCo) and Li et al. 2021
(ALBEF): the copy follows the model by an exponential moving average, its embeddings are the keys
of the contrastive loss and its similarities the soft targets.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from models.blip import Blip, in_full

EMPTY = -1  # the key of a place in the queue that nothing has filled yet


class Momentum(nn.Module):
    """An averaged copy without gradients, and two rings of unit vectors with their image keys.

    Submodules are named as in `Blip`, which is how `update` finds its pairs. It has no decoder, no
    cross-attention, and no copy of a frozen backbone. In eval mode, a teacher without dropout,
    unless it is asked to drop out as BLIP's did.
    """

    image_queue: Tensor
    text_queue: Tensor
    key_queue: Tensor
    pointer: Tensor

    def __init__(self, model: Blip, queue_size: int, *, dropout: bool = False) -> None:
        super().__init__()
        self.dropout = dropout
        trained = not model.shape.vision.freeze and any(True for _ in model.backbone.parameters())
        self.backbone = copy.deepcopy(model.backbone) if trained else None
        self.vision = copy.deepcopy(model.vision)
        self.text = copy.deepcopy(model.text)
        for layer in self.text.stack:
            del layer.cross, layer.self_attention["decoder"]
        self.vision_projection = copy.deepcopy(model.vision_projection)
        self.text_projection = copy.deepcopy(model.text_projection)
        self.requires_grad_(False)
        device, width = model.device, model.shape.embedding
        self.register_buffer("image_queue", torch.zeros(queue_size, width, device=device))
        self.register_buffer("text_queue", torch.zeros(queue_size, width, device=device))
        empty = torch.full((queue_size,), EMPTY, dtype=torch.int64, device=device)
        self.register_buffer("key_queue", empty)
        self.register_buffer("pointer", torch.zeros((), dtype=torch.int64, device=device))
        self.train()

    def train(self, mode: bool = True) -> "Momentum":
        """Stay in eval mode, or go into train mode if this teacher drops out."""
        return super().train(mode and self.dropout)

    @torch.no_grad()
    def update(self, model: Blip, momentum: float) -> None:
        """Move every weight 1 - momentum of the way towards the model's."""
        current = dict(model.named_parameters())
        slow = [_own_part(parameter) for parameter in self.parameters()]
        fast = [_own_part(current[name]) for name, _ in self.named_parameters()]
        # One fused call: hundreds of small ones would cost more than they compute.
        torch._foreach_lerp_(slow, fast, 1 - momentum)

    @torch.no_grad()
    def embed(
        self, pixels: Tensor, features: Tensor, ids: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Embed images and their texts.

        Args:
            pixels: (B, 3, S, S).
            features: the model's `image_features(pixels)`, used where the backbone has no copy.
            ids: int64 (B, L), beginning with [CLS].
            mask: bool (B, L).

        Returns:
            Unit vectors of images and of texts, (B, E) each.
        """
        seen = features.detach() if self.backbone is None else self.backbone(pixels)
        images = in_full(self.vision_projection, self.vision.summary(seen))
        hidden = self.text.encode(ids, mask, first_only=True)
        texts = in_full(self.text_projection, hidden[:, 0])
        return F.normalize(images, dim=-1), F.normalize(texts, dim=-1)

    @torch.no_grad()
    def enqueue(self, images: Tensor, texts: Tensor, keys: Tensor) -> None:
        """Write (B, E), (B, E), (B,) over the oldest places; any B will do, even one above Q."""
        size = len(self.key_queue)
        if size == 0:
            return
        newest = slice(max(len(keys) - size, 0), None)
        steps = torch.arange(len(keys), device=keys.device)[newest]
        places = (self.pointer + steps) % size
        self.image_queue[places] = images[newest]
        self.text_queue[places] = texts[newest]
        self.key_queue[places] = keys[newest]
        self.pointer.copy_((self.pointer + len(keys)) % size)


def _own_part(parameter: Tensor) -> Tensor:
    """Return what this rank holds of a parameter that ranks may have divided."""
    whole = parameter.detach()
    return whole.to_local() if isinstance(whole, DTensor) else whole
