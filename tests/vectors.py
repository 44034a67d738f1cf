"""Shards of correlated image and text vectors, and a machine fitted on them in a second."""

from dataclasses import fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load

from tasks import rows
from tasks.rbm.fitting import fit_rbm
from tasks.rbm.settings import RbmFit
from tasks.settings import settings_from
from tasks.storage import Lake, Shard
from tasks.vectors import vectors_table

WIDTH, PAIRS = 5, 211
QUICK: dict[str, Any] = {
    "hidden": 7,
    "training": {"updates": 100, "chains": 31},
    "batch_size": 64,
    "look_every": 25,
    "save_every": 50,
    "ais_chains": 13,
    "ais_betas": 20,
}
"""A fit of a second, as a plan says it."""


def quick(**changes: Any) -> RbmFit:
    """Return that fit with changes; those of `training` go there."""
    known = {field.name for field in fields(RbmFit)}
    deeper = {name: value for name, value in changes.items() if name not in known}
    own = {name: value for name, value in changes.items() if name in known}
    whole = {**QUICK, **own}
    return settings_from(RbmFit, {**whole, "training": {**whole["training"], **deeper}})


def drawn_vectors(pairs: int, width: int = WIDTH, seed: int = 0) -> list[NDArray[np.float32]]:
    """Image and text vectors (pairs, width) that share three directions."""
    generator = np.random.default_rng(seed + width)
    shared = generator.normal(size=(pairs, 3))
    sides = [shared @ generator.normal(size=(3, width)) for _ in "ab"]
    return [(s + 0.5 * generator.normal(size=s.shape)).astype(np.float32) for s in sides]


def write_sides(
    lake: Lake, images: NDArray[np.float32], texts: NDArray[np.float32], run: str, shard: Shard
) -> None:
    named = [
        {"key": rows.key_of(f"{shard.name} {n}"), "caption_id": f"{shard.name}-{n}"}
        for n in range(len(images))
    ]
    rows.write_rows(lake, lake.rows("vectors", run, shard), vectors_table(named, images, texts))


def write_vectors(
    lake: Lake, run: str = "v", shard: str = "00000", pairs: int = PAIRS, width: int = WIDTH
) -> None:
    images, texts = drawn_vectors(pairs, width, seed=int(shard))
    write_sides(lake, images, texts, run, Shard("web", shard))


def fitted(lake: Lake, run: str, **changes: Any) -> dict[str, torch.Tensor]:
    """Fit on the vectors of run v, and return the tensors of the machine."""
    for _ in fit_rbm(lake, run, "v", ("web",), quick(**changes)):
        pass
    return load(lake.read_bytes(f"rbms/{run}/rbm.safetensors"))
