"""Shapes check themselves, travel as JSON, and the paper's sizes have the paper's parameters."""

import json

import pytest
import torch

from models.blip import Blip
from models.presets import PRESETS, Shape, TextShape, VisionShape, preset, shape_from


def parameters(model: torch.nn.Module) -> float:
    return sum(p.numel() for p in model.parameters()) / 1e6


def test_a_shape_survives_json() -> None:
    for shape in PRESETS.values():
        assert shape_from(json.loads(json.dumps(shape.to_dict()))) == shape


def test_base_has_the_papers_parameters() -> None:
    # 252 M with everything shared but self-attention (table 3), which counts the ViT's 85.8 M
    # and not the language head's 0.6 M of its own, the projections' or the matching head's.
    with torch.device("meta"):
        model = Blip(preset("base"), 30524)
    assert parameters(model.vision) == pytest.approx(85.8, abs=0.05)
    assert parameters(model) == pytest.approx(252, abs=1.5)


def test_the_vision_encoder_of_large_has_303_million_parameters() -> None:
    with torch.device("meta"):
        model = Blip(preset("large"), 30524)
    assert parameters(model.vision) == pytest.approx(303, abs=0.5)


def test_an_unknown_preset_is_answered_with_the_list() -> None:
    with pytest.raises(ValueError, match="tiny, minilm, small, base, large"):
        preset("huge")


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: VisionShape(width=10, heads=3), r"vision.heads \(3\) must divide"),
        (lambda: VisionShape(image_size=50), r"vision.patch \(16\) must divide"),
        (lambda: VisionShape(kind="resnet"), "vit, efficientnet"),
        (lambda: VisionShape(kind="efficientnet"), "tokens of 32 pixels"),
        (lambda: TextShape(dropout=1.0), "below 1"),
    ],
)
def test_an_impossible_shape_is_refused(build: type[Shape], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        build()
