"""Models from elsewhere: BLIP in transformers' format, from a folder or the hub, or original files.

A model comes with its vocabulary: `vocab.txt` or `tokenizer.json` beside it. An original `.pth`
file without one reads BERT's, as all released ones do.
"""

import hashlib
import pickle
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers.utils import cached_file

from models.answering import Answerer
from models.blip import Blip
from models.exchange import kind_of_folder, load_answerer, load_transformers
from models.originals import answerer_from_salesforce, from_salesforce, is_vqa
from models.packaged import bert_vocabulary
from models.presets import shape_from
from models.tokenization import Tokenizer
from tasks.errors import ModelError
from tasks.weights import read_original

# What transformers, torch and our own checks raise at files that are not what they seem.
UNREADABLE = (
    *(OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError, ZeroDivisionError),
    *(SafetensorError, StrictDataclassError),
)
VOCABULARIES = ("vocab.txt", "tokenizer.json")


def load_foreign(where: str) -> tuple[Blip | Answerer, Tokenizer, dict[str, Any]]:
    """Load one of transformers' three BLIP classes, or an original file, with its vocabulary.

    Args:
        where: a `.pth` file, a local folder, or a hub id such as
            `Salesforce/blip-image-captioning-base`.

    Returns:
        The model, its tokenizer, and facts: `imported_from` and, of a captioner or filter, the
        `halves` that have weights.

    Raises:
        ModelError: it is not there, is of another architecture, or has no matching vocabulary.
    """
    is_file = Path(where).is_file()
    try:
        model, halves = _original(Path(where)) if is_file else _transformers(where)
        tokenizer = beside(Path(where).parent) if is_file else _hub_vocabulary(where)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{where} is no file of tensors alone, so it is not read: loading it could run code; "
            "write it as safetensors"
        ) from error
    except UNREADABLE as error:
        # torch names the tensors that do not fit from the second line on.
        reason = ": ".join(line.strip() for line in str(error).splitlines()[:2])
        if isinstance(error, KeyError):
            reason = f"it lacks {reason}"
        raise ModelError(f"{where} cannot be loaded as a BLIP ({reason})") from error
    if tokenizer.vocab_size != model.vocab_size:
        raise ModelError(
            f"{where} has {model.vocab_size} word embeddings, its vocabulary with [DEC] and [ENC] "
            f"has {tokenizer.vocab_size} pieces; they belong to different models"
        )
    facts: dict[str, Any] = {"imported_from": where}
    return model, tokenizer, {**facts, "halves": list(halves)} if halves else facts


def _transformers(where: str) -> tuple[Blip | Answerer, tuple[str, ...]]:
    if kind_of_folder(where) == "answerer":
        return load_answerer(where), ()
    imported = load_transformers(where)
    return imported.model, imported.halves


def _original(path: Path) -> tuple[Blip | Answerer, tuple[str, ...]]:
    state, said = read_original(path)
    shape = None if said is None else shape_from(said)
    if is_vqa(state):
        return answerer_from_salesforce(state, shape), ()
    imported = from_salesforce(state, shape)
    return imported.model, imported.halves


def beside(folder: Path) -> Tokenizer:
    """Return the vocabulary in a folder, or BERT's as a package has it.

    Raises:
        OSError: there is none and the package is not installed.
        ValueError: it is no BERT vocabulary.
    """
    for name in VOCABULARIES:
        if (folder / name).is_file():
            return _vocabulary(folder / name)
    return Tokenizer.bert(bert_vocabulary())


def _hub_vocabulary(where: str) -> Tokenizer:
    found = (
        cached_file(where, name, _raise_exceptions_for_missing_entries=False)
        for name in VOCABULARIES
    )
    path = next((str(one) for one in found if one), "")
    if not path:
        raise OSError(f"it comes without {' and '.join(VOCABULARIES)}")
    return _vocabulary(Path(path))


def _vocabulary(path: Path) -> Tokenizer:
    if path.suffix == ".json":
        return Tokenizer.bert_json(path.read_text(encoding="utf-8"))
    return Tokenizer.bert(path)


def weights_digest(model: Blip | Answerer) -> str:
    """Return the sha256 of all tensors in the order of the state."""
    digest = hashlib.sha256()
    for tensor in model.state_dict().values():
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()
