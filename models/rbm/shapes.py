"""What a machine is asked about has the shape and type it can take, or one line says what came."""

import torch
from torch import Tensor


def visibles_of(given: Tensor, like: Tensor) -> Tensor:
    """Return visibles (N, V) in the dtype of W (V, H), `like`.

    Raises:
        ValueError: they are of another shape.
    """
    if given.dim() != 2:
        raise ValueError(f"visible is (N, {len(like)}), not {tuple(given.shape)}")
    if given.shape[-1] != len(like):
        raise ValueError(
            f"visible has {given.shape[-1]} units, this machine has {len(like)}; "
            "were the embeddings exported by another model, or whitened by another run?"
        )
    return given.to(like.dtype)


def hiddens_of(given: Tensor, like: Tensor) -> Tensor:
    """Return hiddens (N, H) in the dtype of W (V, H), `like`.

    Raises:
        ValueError: they are of another shape.
    """
    if given.dim() != 2 or given.shape[-1] != like.shape[1]:
        raise ValueError(f"hidden is (N, {like.shape[1]}), not {tuple(given.shape)}")
    return given.to(like.dtype)


def see_clamped(observed: Tensor, units: int, categories: int) -> None:
    """See that each unit is said to be observed or not.

    Raises:
        ValueError: `observed` is not bool (V,), or a softmax group is observed in part.
    """
    if observed.dtype != torch.bool or tuple(observed.shape) != (units,):
        raise ValueError(
            f"observed is bool ({units},), not {tuple(observed.shape)} of {observed.dtype}"
        )
    if categories:
        groups = observed.view(-1, categories)
        if bool((groups.any(-1) & ~groups.all(-1)).any()):
            raise ValueError("softmax groups are observed whole or not at all")
