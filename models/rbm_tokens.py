"""What an RBM says of a picture, as extra tokens that the decoder may look at.

B images, E embedding width, H hidden units, M tokens, Wv image width. The machine is one over
pairs; with the text integrated out, its hidden units given a picture are a Boltzmann machine with
biases `offset + e map` and couplings J, for the picture's unit vector e. Their mean activities (by
TAP, `models.rbm.hidden_sums`) become M tokens beside the image's.

Attention to them is apart from that to the image and enters by a gate, a learned scalar that
starts at 0 (Alayrac et al. 2022, arXiv 2204.14198, section 3.1, gate tanh): at 0 nothing that the
decoder computes differs by a bit. One softmax over all tokens could not promise that.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.presets import RbmShape
from models.rbm.hidden_sums import tap_means
from models.rbm.pmi import JointMachine
from models.rbm.whitening import Whitener


@dataclass(frozen=True, slots=True)
class HiddenField:
    """How a picture's unit vector drives the hidden units when the text is integrated out.

    Attributes:
        map: (E, H).
        offset: (H,).
        coupling: (H, H), symmetric.
    """

    map: Tensor
    offset: Tensor
    coupling: Tensor


def hidden_field(joint: JointMachine, whitener: Whitener) -> HiddenField:
    """Return the field of a machine over pairs, for pictures alone.

    With precision L, pull r and push G (see `models.rbm.pmi`), x the cut columns of the picture and
    y those of the text: integrating y out leaves biases c + G_y' L_yy^-1 r_y +
    (G_x - L_xy L_yy^-1 G_y)' x and couplings G_y' L_yy^-1 G_y.
    """
    image, text = slice(0, joint.split), slice(joint.split, None)
    pushed = torch.linalg.solve(joint.precision[text, text], joint.push[text])
    slope = joint.push[image] - joint.precision[image, text] @ pushed
    width = len(whitener.mean) // 2
    weights = whitener.cut[:width, : joint.split] @ slope
    offset = joint.hbias + joint.pull[text] @ pushed - whitener.mean[:width] @ weights
    return HiddenField(weights, offset, joint.push[text].T @ pushed)


class RbmTokens(nn.Module):
    """A picture's unit vector to tokens (B, M, Wv), and the gate by which they are heard."""

    map: Tensor
    offset: Tensor
    coupling: Tensor

    def __init__(self, shape: RbmShape, embedding: int, vision_width: int) -> None:
        super().__init__()
        self.count = shape.tokens
        self.register_buffer("map", torch.zeros(embedding, shape.hidden))
        self.register_buffer("offset", torch.zeros(shape.hidden))
        self.register_buffer("coupling", torch.zeros(shape.hidden, shape.hidden))
        self.project = nn.Linear(shape.hidden, shape.tokens * vision_width)
        self.norm = nn.LayerNorm(vision_width)
        self.gate = nn.Parameter(torch.zeros(()))

    def take(self, found: HiddenField) -> None:
        """Read pictures by this machine from now on."""
        for name in ("map", "offset", "coupling"):
            getattr(self, name).copy_(getattr(found, name))

    @torch.no_grad()
    def features(self, embedding: Tensor) -> Tensor:
        """Mean activities (B, H) of the hidden units, each picture on its own, for (B, E)."""
        bias = embedding.to(self.map.dtype) @ self.map + self.offset
        return tap_means(bias, self.coupling)

    def forward(self, embedding: Tensor) -> Tensor:
        """Map unit vectors (B, E) to tokens (B, M, Wv); no gradient goes into the vectors."""
        drawn = self.project(self.features(embedding))
        return torch.as_tensor(self.norm(drawn.unflatten(-1, (self.count, -1))))
