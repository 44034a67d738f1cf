"""Named tensors as bytes and back: the door to safetensors."""

import hashlib
from collections.abc import Mapping
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from tasks.errors import ModelError


def packed(tensors: Mapping[str, Tensor]) -> bytes:
    """Return the tensors as the bytes of a safetensors file, at their own precision."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return bytes(safetensors.torch.save(plain))


def unpacked(content: bytes, where: str) -> dict[str, Tensor]:
    """Return what `packed` took.

    Raises:
        ModelError: the bytes are no safetensors file; names `where` they came from.
    """
    try:
        return dict(safetensors.torch.load(content))
    except safetensors.SafetensorError as error:
        raise ModelError(f"{where} is not a safetensors file ({error})") from error


def described(content: bytes) -> dict[str, Any]:
    """Return what a card says of a file: `bytes` and `sha256`."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
