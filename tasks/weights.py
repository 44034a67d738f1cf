"""Weights that others wrote, as named tensors: safetensors, whole or in parts, or torch's files.

torch's files are pickles; they are read as tensors only (`weights_only`), so one that would run
code is refused.
"""

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tasks.errors import ModelError
from tasks.tensors import unpacked

WHOLE = ("model.safetensors", "pytorch_model.bin")
WRAPPERS = ("model", "state_dict", "module")  # under which training code keeps the tensors
SHAPE = "caplift_shape"  # beside them, in what we write: heads and epsilons are in no tensor


def read_state(where: Path) -> dict[str, Tensor]:
    """Return the tensors of a file, or of the file or files in a folder.

    Args:
        where: a `.safetensors`, `.pth`, `.pt` or `.bin` file; or a folder with one of
            `model.safetensors`, `pytorch_model.bin`, or their index and parts.

    Raises:
        ModelError: there is none, it is damaged, or it holds more than tensors.
    """
    if where.is_file():
        return _read(where)
    for name in WHOLE:
        index = where / f"{name}.index.json"
        if (where / name).is_file():
            return _read(where / name)
        if index.is_file():
            parts = sorted(
                set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            )
            return {n: tensor for part in parts for n, tensor in _read(where / part).items()}
    raise ModelError(
        f"{where} holds no weights; expected a .safetensors or .pth file, or a folder with "
        f"{' or '.join(WHOLE)}"
    )


def read_original(path: Path) -> tuple[dict[str, Tensor], Any]:
    """Return the tensors of one of torch's files, and the model's shape if we wrote it; or None.

    Raises:
        ModelError: it is damaged, or holds more than tensors.
    """
    found = _loaded(path)
    return _tensors(found, path), found.get(SHAPE)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ModelError(f"{path} is missing although its index names it; fetch the folder again")
    if path.suffix == ".safetensors":
        return unpacked(path.read_bytes(), str(path))
    return _tensors(_loaded(path), path)


def _loaded(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} is no file of tensors alone, so it is not read: loading it could run code; "
            "save its state_dict, or write it as safetensors"
        ) from error
    except (RuntimeError, EOFError, ValueError, LookupError, zipfile.BadZipFile) as error:
        reason = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        raise ModelError(f"{path} is damaged or no file of torch ({reason})") from error


def _tensors(found: Any, path: Path) -> dict[str, Tensor]:
    for name in WRAPPERS:
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
            break
    if not isinstance(found, dict):
        raise ModelError(f"{path} holds a {type(found).__name__}, not a dictionary of tensors")
    return {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
