"""Models from elsewhere: BLIP in transformers' format, from a folder or the hub."""

import hashlib
from pathlib import Path
from typing import Any

from transformers.utils import cached_file

from models.blip import Blip
from models.exchange import load_transformers
from models.tokenization import Tokenizer
from tasks.errors import ModelError

VOCABULARY = "vocab.txt"


def load_foreign(where: str) -> tuple[Blip, Tokenizer, dict[str, Any]]:
    """Load a `BlipForConditionalGeneration` or `BlipForImageTextRetrieval` with its vocabulary.

    Args:
        where: a local folder or a hub id such as `Salesforce/blip-image-captioning-base`.

    Returns:
        The model, its tokenizer, and facts: `imported_from` and the `halves` that have weights.

    Raises:
        ModelError: it is not there, is of another architecture, or has no matching vocabulary.
    """
    try:
        imported = load_transformers(where)
        tokenizer = Tokenizer.bert(Path(str(cached_file(where, VOCABULARY))))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"{where} cannot be loaded as a BLIP of transformers ({reason})"
        ) from error
    if tokenizer.vocab_size != imported.model.vocab_size:
        raise ModelError(
            f"{where} has {imported.model.vocab_size} word embeddings, its {VOCABULARY} with [DEC] "
            f"and [ENC] has {tokenizer.vocab_size} pieces; they belong to different models"
        )
    facts = {"imported_from": where, "halves": list(imported.halves)}
    return imported.model, tokenizer, facts


def weights_digest(model: Blip) -> str:
    """Return the sha256 of all tensors in the order of the state."""
    digest = hashlib.sha256()
    for tensor in model.state_dict().values():
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()
