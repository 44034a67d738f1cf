"""Our models as others read them: a folder for transformers, or a file for the original code.

`python -m tasks.exporting LAKE MODEL FOLDER --as captioner` writes a folder that
`BlipForConditionalGeneration.from_pretrained` and `BlipProcessor.from_pretrained` take; `filter`
and `answerer` are for `BlipForImageTextRetrieval` and `BlipForQuestionAnswering`; `original` writes
`model.pth`. The vocabulary lies beside the weights in each.
"""

import argparse
import logging
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import BertTokenizer, BlipImageProcessorPil, BlipProcessor

from models.exchange import to_answerer, to_captioner, to_filter
from models.originals import to_salesforce
from models.tokenization import ROLE_TOKENS
from tasks.checkpoints import Loaded, load_answerer, load_model
from tasks.commands import run_command
from tasks.errors import InputError, ModelError
from tasks.storage import Lake, open_lake
from tasks.weights import SHAPE

log = logging.getLogger(__name__)

FORMS = ("captioner", "filter", "answerer", "original")
FINETUNED_APART = ("captioner", "filter")
PTH = "model.pth"
CAREFUL = {
    "filter": "transformers' own processor and BlipForImageTextRetrieval read a text behind [CLS], "
    "this model was trained to match behind [ENC]: replace the first id of every text by %d before "
    "you ask for itm_score, or its scores mean little",
    "answerer": "transformers' own processor reads a question behind [CLS], this model was trained "
    "behind [ENC]: replace the first id of every question by %d; and its answers there hear a "
    "question's padding, so ask one question at a time",
}


def export(lake: Lake, uri: str, folder: Path, form: str) -> Path:
    """Write a model for others and return the folder, which appears whole or not at all.

    Args:
        lake: where `checkpoints/...` addresses are looked up.
        uri: any address that `load_model` takes.
        folder: must not be there yet.
        form: one of `FORMS`.

    Raises:
        InputError: the form is unknown, or the folder is there or cannot be written.
        ModelError: the model is missing, lacks what the form needs, or has no counterpart there.
    """
    if form not in FORMS:
        raise InputError(f"a model is written as {', '.join(FORMS)}, not {form!r}")
    if folder.exists():
        raise InputError(f"{folder} is there already; name a folder that is not")
    loaded = _loaded(lake, uri, form)
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        _write(loaded, part, form)
        part.rename(folder)
    except ValueError as error:
        raise ModelError(f"{uri} cannot be written as {form}: {error}") from error
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    log.info("%s lies in %s", uri, folder)
    if form in CAREFUL:
        log.warning(CAREFUL[form], loaded.tokenizer.enc)
    learned = loaded.facts.get("half", form)
    if form in FINETUNED_APART and learned != form:
        log.warning(
            "%s was finetuned as a %s, which moved weights that a %s reads too; finetune its start "
            "as a %s for a good one",
            uri,
            learned,
            form,
            form,
        )
    return folder


def _loaded(lake: Lake, uri: str, form: str) -> Loaded[Any]:
    if form == "answerer":
        return load_answerer(lake, uri)
    try:
        loaded = load_model(lake, uri)
    except ModelError:
        if form != "original":
            raise
        return load_answerer(lake, uri)
    halves = loaded.facts.get("halves", FORMS)
    wanted = ("captioner", "filter") if form == "original" else (form,)
    absent = [half for half in wanted if half not in halves]
    if absent:
        raise ModelError(
            f"{uri} came with weights for a {' and a '.join(halves)} only and cannot be written as "
            f"{form}; finetune it first"
        )
    return loaded


def _write(loaded: Loaded[Any], folder: Path, form: str) -> None:
    tokenizer = loaded.tokenizer
    vocabulary = {str(piece): int(n) for piece, n in tokenizer.pieces.get_vocab().items()}
    pieces = sorted(vocabulary, key=vocabulary.__getitem__)
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    if form == "original":
        content = {"model": to_salesforce(loaded.model), SHAPE: loaded.model.shape.to_dict()}
        torch.save(content, folder / PTH)
        return
    forms: dict[str, Callable[..., Any]] = {
        "captioner": to_captioner,
        "filter": to_filter,
        "answerer": to_answerer,
    }
    forms[form](loaded.model, tokenizer).save_pretrained(folder)
    side = loaded.model.shape.vision.image_size
    # By keyword `vocab`: `vocab_file` is taken without a word and gives a tokenizer of five pieces.
    theirs = BertTokenizer(vocab=vocabulary, additional_special_tokens=list(ROLE_TOKENS))
    images = BlipImageProcessorPil(size={"height": side, "width": side})
    BlipProcessor(images, theirs).save_pretrained(folder)


def main(arguments: Sequence[str]) -> None:
    """Read the command line and export."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.exporting",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("lake", help="the lake's root: a folder or an fsspec URL")
    parser.add_argument("model", help="checkpoints/RUN, models:/NAME@ALIAS, a folder or a .pth")
    parser.add_argument("folder", type=Path, help="what to write; must not be there yet")
    parser.add_argument("--as", dest="form", choices=FORMS, required=True)
    given = parser.parse_args(arguments)
    export(open_lake(given.lake), given.model, given.folder, given.form)


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
