"""A model that was trained at one resolution, made ready for another."""

from dataclasses import replace
from typing import TypeVar

from models.answering import Answerer
from models.blip import Blip

Model = TypeVar("Model", Blip, Answerer)


def at_resolution(model: Model, side: int) -> Model:
    """Return the model for pictures of `side` pixels a side; its positions are interpolated.

    Raises:
        ValueError: the model's patches do not divide `side`.
    """
    if side == model.shape.vision.image_size:
        return model
    shape = replace(model.shape, vision=replace(model.shape.vision, image_size=side))
    fitted = type(model)(shape, model.vocab_size)
    fitted.load_state_dict(model.state_dict())
    return fitted.to(model.device).train(model.training)
