"""Untrained models as champions of a lake, for what only has to find them."""

from flows.environment import this_machine
from models.blip import Blip
from models.presets import preset
from models.tokenization import Tokenizer
from tasks.checkpoints import save_checkpoint
from tasks.gate import Gate
from tasks.metrics.bootstrap import Estimate
from tasks.promotion import promote
from tasks.registry import Description, register_model
from tasks.storage import Lake

MODELS = ("caplift-captioner", "caplift-filter", "caplift-blip")
TEXTS = ["a picture of a row", "a row of pictures", "a red square", "a blue wall"]


def crown(lake: Lake, seed: int = 0) -> None:
    """Register new models of a seed; the higher the seed, the better their score."""
    tokenizer = Tokenizer.train(TEXTS, 60)
    where = this_machine({}).mlflow_uri(lake)
    for offset, name in enumerate(MODELS):
        model = Blip(preset("test"), tokenizer.vocab_size, 10 * seed + offset)
        saved = save_checkpoint(lake, f"{name}-{seed}", 1, model, tokenizer, {"seed": seed})
        folder = lake.local_path(saved.uri)
        reached = {"score": Estimate(float(seed), float(seed), float(seed))}
        made = register_model(where, name, folder, Description(lineage={}, metrics=reached))
        gate = Gate(floors={"score": -1.0})
        assert promote(where, name, made.version, gate).alias == "champion"
