"""A registered model at work: the file that MLflow keeps beside the weights and runs on loading.

    import mlflow
    mlflow.set_tracking_uri("sqlite:///lake/mlflow.db")
    captioner = mlflow.pyfunc.load_model("models:/caplift-captioner@champion")
    captioner.predict(["photo.jpg"])

Pictures come as the bytes of a JPEG, PNG or WebP file, or as a path. What `predict` gives depends
on the role that the model was registered in:

    captioner   pictures                                 a caption each
    filter      rows {"image": picture, "text": str}     itm_probability, itc_cosine of each
    blip        pictures                                 a unit vector each
    answerer    rows {"image": picture, "question": str} an answer each
    rbm         rows {"image_embedding": unit vector,    rbm_pmi, gaussian_pmi and free_energy
                      "text_embedding": unit vector}     of each, in nats
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from models.answering import answer
from models.captioner import generate
from models.decoding import Decoding
from models.matcher import score_texts
from models.preprocessing import pixels_for
from tasks.checkpoints import LoadedAnswerer, LoadedModel, load_answerer, load_model
from tasks.errors import InputError
from tasks.fitted import FittedRbm, rbm_at
from tasks.inference import inference
from tasks.pair_scores import scored_pairs
from tasks.pictures import square_of
from tasks.registry import PythonModel, set_model
from tasks.storage import Lake

BATCH = 32

Given = bytes | str | Path


def captions(loaded: LoadedModel, pictures: Sequence[Given], decoding: Decoding) -> list[str]:
    """Return a caption for each picture."""
    seeds = torch.zeros(len(pictures), dtype=torch.int64)
    pixels = _pixels(loaded, pictures)
    written = generate(loaded.model, loaded.tokenizer, pixels, decoding, seeds)
    return [caption.text for caption in written]


def scores(loaded: LoadedModel, pairs: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Return `itm_probability` and `itc_cosine` of each {"image": ..., "text": ...}.

    Raises:
        InputError: a row lacks one of the two.
    """
    if any({"image", "text"} - pair.keys() for pair in pairs):
        raise InputError('a filter reads rows such as {"image": "photo.jpg", "text": "a red cat"}')
    pixels = _pixels(loaded, [pair["image"] for pair in pairs])
    texts = [[str(pair["text"])] for pair in pairs]
    judged = score_texts(loaded.model, loaded.tokenizer, pixels, texts)
    return [
        {"itm_probability": one.itm_probability, "itc_cosine": one.itc_cosine} for (one,) in judged
    ]


def answers(loaded: LoadedAnswerer, asked: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return an answer to each {"image": ..., "question": ...}.

    Raises:
        InputError: a row lacks one of the two.
    """
    if any({"image", "question"} - one.keys() for one in asked):
        raise InputError(
            'a model of questions reads rows such as {"image": "photo.jpg", "question": "how many"}'
        )
    pixels = _pixels(loaded, [one["image"] for one in asked])
    questions = [str(one["question"]) for one in asked]
    return [one.text for one in answer(loaded.model, loaded.tokenizer, pixels, questions)]


def vectors(loaded: LoadedModel, pictures: Sequence[Given]) -> list[list[float]]:
    """Return a unit vector for each picture."""
    tokens = loaded.model.encode_image(_pixels(loaded, pictures))
    return [[float(x) for x in row] for row in loaded.model.image_embedding(tokens).tolist()]


def pair_scores(fitted: FittedRbm, pairs: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Return what an RBM says of each {"image_embedding": ..., "text_embedding": ...}.

    Raises:
        InputError: a row lacks one of the two.
        ModelError: the vectors are of another model.
    """
    if any({"image_embedding", "text_embedding"} - pair.keys() for pair in pairs):
        raise InputError("an RBM reads rows with image_embedding and text_embedding")
    rows = [[*pair["image_embedding"], *pair["text_embedding"]] for pair in pairs]
    return list(scored_pairs(fitted, torch.tensor(rows, dtype=torch.float64)))


def _pixels(loaded: LoadedModel | LoadedAnswerer, pictures: Sequence[Given]) -> Tensor:
    size = loaded.model.shape.vision.image_size
    squares = torch.stack([_square(one, size) for one in pictures])
    return pixels_for(loaded.model.shape.vision, squares.to(loaded.model.device))


def _square(given: Given, image_size: int) -> Tensor:
    try:
        content = given if isinstance(given, bytes) else Path(given).read_bytes()
    except (OSError, TypeError) as error:
        raise InputError(f"a picture is a path or the bytes of a file ({error})") from error
    square = square_of(content, image_size)
    if square is None:
        shown = f"{len(content)} bytes" if isinstance(given, bytes) else str(given)
        raise InputError(f"{shown}: no JPEG, PNG or WebP picture")
    return torch.from_numpy(square)


class Served(PythonModel):
    """One model in the role it was registered in."""

    def load_context(self, context: Any) -> None:
        """Load the weights that lie beside this file."""
        folder = Path(context.artifacts["checkpoint"])
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        place, config = Lake(str(folder.parent)), dict(context.model_config)
        if config["role"] == "rbm":
            fitted = rbm_at(place, folder.name)
            self.work: Callable[[list[Any]], list[Any]] = lambda given: pair_scores(fitted, given)
            return
        if config["role"] == "answerer":
            answerer = load_answerer(place, str(folder), self.device)
            self.work = lambda given: answers(answerer, given)
            return
        loaded = load_model(place, str(folder), self.device)
        decoding = Decoding(**config.get("decoding", {}))
        work: dict[str, Callable[[list[Any]], list[Any]]] = {
            "captioner": lambda given: captions(loaded, given, decoding),
            "filter": lambda given: scores(loaded, given),
            "blip": lambda given: vectors(loaded, given),
        }
        self.work = work[config["role"]]

    def predict(self, context: Any, model_input: pd.DataFrame) -> list[Any]:  # noqa: ARG002
        """Do the role's work on a list or on the rows of a table, in order.

        MLflow's server gives a table, a caller in Python usually a list; the annotation names the
        one that MLflow knows.
        """
        given = rows_of(model_input)
        found: list[Any] = []
        with inference(self.device):
            for at in range(0, len(given), BATCH):
                found += self.work(given[at : at + BATCH])
        return found


def rows_of(given: Any) -> list[Any]:
    """Return a list as it is, and a table's rows: values of the one column, or dictionaries."""
    if not isinstance(given, pd.DataFrame):
        return list(given)
    if given.shape[1] == 1:
        return list(given.iloc[:, 0])
    return list(given.to_dict("records"))


set_model(Served())
