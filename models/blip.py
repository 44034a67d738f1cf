"""BLIP's multimodal mixture of encoder and decoder (Li et al. 2022, arXiv 2201.12086, section 3).

B images of T tokens, N texts of L tokens, Wv and Wt widths, E embedding width, V vocabulary.
One model does three things: it embeds images and texts for comparison (ITC), judges whether a text
fits an image (ITM), and writes a text for an image (LM).
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.efficientnet import EfficientNetLite
from models.presets import RbmShape, Shape, VisionShape
from models.rbm_tokens import HiddenField, RbmTokens
from models.text import Cache, ImageKeys, TextStack
from models.vision import FeatureTokens, ViT

INITIAL_TEMPERATURE = 0.07
TEMPERATURE_BOUNDS = (0.001, 0.5)


class LanguageHead(nn.Module):
    """Hidden states to scores of the next token; the word embeddings are its last matrix."""

    def __init__(self, width: int, vocab_size: int, norm_eps: float) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, norm_eps)
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, hidden: Tensor, words: Tensor) -> Tensor:
        """Map (..., Wt) and the embeddings (V, Wt) to (..., V)."""
        return F.linear(self.norm(F.gelu(self.dense(hidden))), words, self.bias)


def image_encoder(shape: VisionShape) -> tuple[nn.Module, ViT | FeatureTokens]:
    """Build the backbone and what reads it; a ViT reads the pixels themselves."""
    if shape.kind == "efficientnet":
        return EfficientNetLite().requires_grad_(not shape.freeze), FeatureTokens(shape)
    return nn.Identity(), ViT(shape)


class Blip(nn.Module):
    """The whole model; `seed` alone decides its first weights.

    `vision` reads what `backbone` makes of the pixels: for a ViT the pixels themselves.
    """

    def __init__(self, shape: Shape, vocab_size: int, seed: int = 0) -> None:
        super().__init__()
        self.shape, self.vocab_size = shape, vocab_size
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._build(shape, vocab_size)
            initialise(self, shape.init_std)

    def _build(self, shape: Shape, vocab_size: int) -> None:
        vision, text = shape.vision, shape.text
        self.backbone, self.vision = image_encoder(vision)
        self.text = TextStack(text, vision.width, vocab_size)
        self.vision_projection = nn.Linear(vision.width, shape.embedding)
        self.text_projection = nn.Linear(text.width, shape.embedding)
        self.match_head = nn.Linear(text.width, 2)
        self.language = LanguageHead(text.width, vocab_size, text.norm_eps)
        self.temperature = nn.Parameter(torch.tensor(INITIAL_TEMPERATURE))
        self.rbm_tokens: RbmTokens | None = None
        if shape.rbm is not None:
            self.rbm_tokens = RbmTokens(shape.rbm, shape.embedding, vision.width)

    def hear(self, field: HiddenField, count: int, seed: int = 0) -> None:
        """Give the decoder `count` extra tokens of an RBM, unheard as yet: the gate is 0.

        Raises:
            ValueError: the machine reads vectors of another width.
        """
        if len(field.map) != self.shape.embedding:
            raise ValueError(
                f"the RBM reads vectors of {len(field.map)} columns, this model's have "
                f"{self.shape.embedding}; fit one on this model's vectors"
            )
        rbm = RbmShape(hidden=len(field.offset), tokens=count)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            tokens = RbmTokens(rbm, self.shape.embedding, self.shape.vision.width)
            initialise(tokens, self.shape.init_std)
        tokens.take(field)
        self.shape = replace(self.shape, rbm=rbm)
        self.rbm_tokens = tokens.to(self.device)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.temperature.device

    def image_features(self, pixels: Tensor) -> Tensor:
        """Run the backbone: (B, 3, S, S) to what `vision` reads; no gradient when it is frozen."""
        if self.shape.vision.freeze:
            with torch.no_grad():
                return torch.as_tensor(self.backbone(pixels))
        return torch.as_tensor(self.backbone(pixels))

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Map normalised pixels (B, 3, S, S) to tokens (B, T, Wv)."""
        return self.vision(self.image_features(pixels))

    def image_embedding(self, tokens: Tensor) -> Tensor:
        """Map tokens (B, T, Wv) to unit vectors (B, E)."""
        return F.normalize(in_full(self.vision_projection, tokens[:, 0]), dim=-1)

    def encode_text(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Read text alone: ids that begin with [CLS], (N, L), to (N, L, Wt)."""
        return self.text.encode(ids, mask)

    def text_embedding(self, hidden: Tensor) -> Tensor:
        """Map hidden states (N, L, Wt) to unit vectors (N, E)."""
        return F.normalize(in_full(self.text_projection, hidden[:, 0]), dim=-1)

    def embed_text(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return `text_embedding(encode_text(ids, mask))` for less work."""
        return self.text_embedding(self.text.encode(ids, mask, first_only=True))

    def project_image(self, tokens: Tensor) -> ImageKeys:
        """Project image tokens (B, T, Wv) once for every later `match` and `decode`."""
        keys = self.text.project_image(tokens)
        if self.rbm_tokens is None:
            return ImageKeys(keys)
        heard = self.text.project_image(self.rbm_tokens(self.image_embedding(tokens)))
        return ImageKeys(keys, heard, self.rbm_tokens.gate)

    def match(self, ids: Tensor, mask: Tensor, keys: ImageKeys) -> Tensor:
        """Judge texts against images.

        Args:
            ids: int64 (N, L), beginning with [ENC].
            mask: bool (N, L), true on real tokens.
            keys: B images; N = B * G, the texts of one image in a row.

        Returns:
            float (N, 2) logits; index 1 says that they match.
        """
        hidden = self.text.encode(ids, mask, keys, first_only=True)
        return in_full(self.match_head, hidden[:, 0])

    def decode_hidden(
        self,
        ids: Tensor,
        keys: ImageKeys,
        cache: Cache | None = None,
        wanted: Tensor | None = None,
    ) -> Tensor:
        """Read text from left to right with the image: (N, L) to (N, L, Wt).

        `wanted`, bool (N, L), says which places are used: nothing is computed behind the last.
        """
        return self.text.decode(ids, keys, cache, wanted)

    def language_logits(self, hidden: Tensor) -> Tensor:
        """Map hidden states (..., Wt) to next-token logits (..., V)."""
        return torch.as_tensor(self.language(hidden, self.text.words.weight))

    def decode(self, ids: Tensor, mask: Tensor, keys: ImageKeys) -> Tensor:
        """Predict at each place the token after it.

        Args:
            ids: int64 (N, L), beginning with [DEC], padded on the right.
            mask: bool (N, L), true on real tokens.
            keys: B images; N = B * G, the texts of one image in a row.

        Returns:
            float (N, L, V); rows of padding are zero.
        """
        logits = self.language_logits(self.decode_hidden(ids, keys, wanted=mask))
        return logits.masked_fill(~mask[..., None], 0.0)

    @torch.no_grad()
    def clamp_temperature(self) -> None:
        """Keep the temperature where a softmax over it makes sense; called before each step."""
        self.temperature.clamp_(*TEMPERATURE_BOUNDS)


def in_full(linear: nn.Linear, x: Tensor) -> Tensor:
    """Apply a last layer in float32, whatever the weights are kept in.

    In bfloat16 its result would have 8 bits: too few for a probability near 0.5.
    """
    with uncast(x):
        return F.linear(x.float(), linear.weight.float(), linear.bias.float())


def uncast(like: Tensor) -> torch.autocast:
    """Return a context where autocast leaves float32 as it is, for the device of a tensor."""
    return torch.autocast(like.device.type, enabled=False)


def initialise(model: nn.Module, std: float) -> None:
    """Draw BERT's and timm's first weights: normal matrices, zero biases, unit norms."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=std)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
    for name, parameter in model.named_parameters():
        if name.endswith(("class_token", "positions", "positions.weight")):
            nn.init.normal_(parameter, std=std)
