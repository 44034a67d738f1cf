"""The sizes a model comes in: what is built, never what is learned.

`base` and `large` are BLIP's (Li et al. 2022, arXiv 2201.12086, section 4.1); `tiny` learns from
scratch on one CPU core in minutes; `minilm` starts from weights that pip can install.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

EMBEDDING_WIDTH = 256  # of the two unit vectors that are compared, in every paper size


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is one of {', '.join(allowed)}, not {value!r}")


def _divides(name: str, divisor: int, of: str, number: int) -> None:
    if divisor < 1 or number % divisor:
        raise ValueError(f"{name} ({divisor}) must divide {of} ({number})")


@dataclass(frozen=True, kw_only=True, slots=True)
class VisionShape:
    """The image encoder.

    Attributes:
        kind: "vit", or "efficientnet" (EfficientNet-Lite0's last feature map as tokens).
        image_size: pixels a side; pictures are resized to a square.
        patch: pixels a side of one token; for efficientnet always 32.
        stem: "patch" (one linear patch embedding) or "conv" (three strided convolutions).
        width: of a token.
        normalisation: "clip" or "efficientnet", see `models.preprocessing.NORMALISATIONS`.
        drop_path: share of residual branches dropped in the last block, rising linearly to it.
        freeze: the efficientnet backbone keeps its weights.
    """

    kind: str = "vit"
    image_size: int = 224
    patch: int = 16
    stem: str = "patch"
    width: int = 768
    depth: int = 12
    heads: int = 12
    mlp: int = 3072
    norm_eps: float = 1e-6
    drop_path: float = 0.0
    normalisation: str = "clip"
    freeze: bool = False

    def __post_init__(self) -> None:
        _one_of("vision.kind", self.kind, ("vit", "efficientnet"))
        _one_of("vision.stem", self.stem, ("patch", "conv"))
        _one_of("vision.normalisation", self.normalisation, ("clip", "efficientnet"))
        _divides("vision.heads", self.heads, "vision.width", self.width)
        _divides("vision.patch", self.patch, "vision.image_size", self.image_size)
        if self.kind == "efficientnet" and self.patch != 32:
            raise ValueError(
                f"EfficientNet-Lite0 has tokens of 32 pixels, vision.patch is {self.patch}"
            )

    @property
    def grid(self) -> int:
        """Tokens a side, without the class token."""
        return self.image_size // self.patch


@dataclass(frozen=True, kw_only=True, slots=True)
class TextShape:
    """The text stack, encoder and decoder in one; BERT's layout."""

    width: int = 768
    depth: int = 12
    heads: int = 12
    mlp: int = 3072
    positions: int = 512
    norm_eps: float = 1e-12
    dropout: float = 0.1

    def __post_init__(self) -> None:
        _divides("text.heads", self.heads, "text.width", self.width)
        if not 0 <= self.dropout < 1:
            raise ValueError(f"text.dropout is a share from 0 to below 1, not {self.dropout}")


@dataclass(frozen=True, kw_only=True, slots=True)
class RbmShape:
    """Extra tokens of the decoder, made of an RBM's hidden units; see `models.rbm_tokens`."""

    hidden: int
    tokens: int = 4

    def __post_init__(self) -> None:
        if min(self.hidden, self.tokens) < 1:
            raise ValueError(
                f"rbm.hidden and rbm.tokens are 1 or more, not {self.hidden} and {self.tokens}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """Everything that fixes the tensors of a `Blip`, but for the vocabulary's size."""

    vision: VisionShape = field(default_factory=VisionShape)
    text: TextShape = field(default_factory=TextShape)
    embedding: int = EMBEDDING_WIDTH
    init_std: float = 0.02  # BERT's; near 1 / sqrt(width) a narrow model learns faster
    rbm: RbmShape | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `shape_from` reads them back."""
        return asdict(self)


def shape_from(values: Mapping[str, Any]) -> Shape:
    """Rebuild a shape from `Shape.to_dict()`."""
    parts = ("vision", "text", "rbm")
    plain = {name: value for name, value in values.items() if name not in parts}
    vision, text = VisionShape(**values["vision"]), TextShape(**values["text"])
    rbm = RbmShape(**values["rbm"]) if values.get("rbm") else None
    return Shape(vision=vision, text=text, rbm=rbm, **plain)


PRESETS: dict[str, Shape] = {
    # Five image tokens, one layer each: for tests only.
    "test": Shape(
        vision=VisionShape(image_size=16, patch=8, width=24, depth=1, heads=2, mlp=40),
        text=TextShape(width=30, depth=2, heads=3, mlp=44, positions=32, dropout=0.0),
        embedding=14,
        init_std=0.08,
    ),
    # Learns composed scenes of 64 pixels in four minutes on one CPU core.
    "tiny": Shape(
        vision=VisionShape(
            image_size=64, patch=16, stem="conv", width=160, depth=2, heads=5, mlp=640
        ),
        text=TextShape(width=160, depth=2, heads=5, mlp=640, positions=64, dropout=0.0),
        embedding=128,
        init_std=0.08,
    ),
    # Starts from packaged EfficientNet-Lite0 (ImageNet) and all-MiniLM-L6-v2 weights.
    "minilm": Shape(
        vision=VisionShape(
            kind="efficientnet",
            image_size=160,
            patch=32,
            width=384,
            depth=0,
            heads=12,
            mlp=1536,
            normalisation="efficientnet",
            freeze=True,
        ),
        text=TextShape(width=384, depth=6, heads=12, mlp=1536),
    ),
    "small": Shape(
        vision=VisionShape(width=384, depth=12, heads=6, mlp=1536),
        text=TextShape(width=384, depth=6, heads=12, mlp=1536),
    ),
    "base": Shape(),
    "large": Shape(vision=VisionShape(width=1024, depth=24, heads=16, mlp=4096, drop_path=0.1)),
}


def preset(name: str) -> Shape:
    """Return the shape of a named size.

    Raises:
        ValueError: there is no such preset; the message lists those there are.
    """
    if name not in PRESETS:
        raise ValueError(f"there is no preset {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def usual_drop_path(depth: int, width: int) -> float:
    """Return what BLIP trains an image encoder of this size with, which no file of one says.

    Its code gives ViT-L 0.1 whatever it is trained for, and ViT-B none.
    """
    large = PRESETS["large"].vision
    return large.drop_path if (depth, width) == (large.depth, large.width) else 0.0
