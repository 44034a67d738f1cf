"""A fitted RBM as it lies in the lake, with the whitener and the log Z it is used with."""

from dataclasses import dataclass
from typing import Any

import torch

from models.rbm.machine import RBM
from models.rbm.whitening import Whitener, whitener_from
from tasks.errors import ModelError
from tasks.storage import Lake
from tasks.tensors import packed, unpacked
from tasks.vectors import weights_of

RECORD, TENSORS = "rbm.json", "rbm.safetensors"


def rbm_path(run: str, name: str) -> str:
    """Return where a file of a machine lies."""
    return f"rbms/{run}/{name}"


def fit_path(run: str, name: str) -> str:
    """Return where a file lies that a fit goes on from, or that was drawn of it."""
    return f"fits/{run}/{name}"


@dataclass(frozen=True, slots=True)
class FittedRbm:
    """A machine with its whitener, its log Z over white columns, and what was measured.

    `embedded_by` are the names of the models that made its vectors; empty where none is known.
    """

    run: str
    machine: RBM
    whitener: Whitener
    metrics: dict[str, Any]
    embedded_by: tuple[str, ...] = ()

    def is_strange_to(self, model: str) -> bool:
        """True when its vectors are known to be another model's than the named one's.

        Another model's are numbers too, and as many, but mean other things. Names end in the
        digits of the weights, as `LoadedModel.name` has them.
        """
        named = weights_of([model])
        return bool(model and self.embedded_by) and named.isdisjoint(weights_of(self.embedded_by))

    def to(self, device: str) -> "FittedRbm":
        """Return the same on a device."""
        state = {name: value.to(device) for name, value in self.whitener.state().items()}
        moved = self.machine.to(device), whitener_from(state)
        return FittedRbm(self.run, *moved, self.metrics, self.embedded_by)


def publish_rbm(
    lake: Lake, run: str, machine: RBM, whitener: Whitener, record: dict[str, Any]
) -> None:
    """Write a machine, and last the record that makes it whole."""
    tensors = {f"machine.{name}": value for name, value in machine.state_dict().items()}
    tensors |= {f"whitener.{name}": value for name, value in whitener.state().items()}
    lake.publish_bytes(rbm_path(run, TENSORS), packed({n: t.clone() for n, t in tensors.items()}))
    lake.publish_json(rbm_path(run, RECORD), {**record, "architecture": machine.architecture()})


def load_rbm(lake: Lake, run: str) -> FittedRbm:
    """Read a fitted machine.

    Raises:
        ModelError: it is missing, unfinished or damaged.
    """
    return rbm_at(lake, f"rbms/{run}")


def rbm_of(lake: Lake, address: str) -> FittedRbm:
    """Read the machine of a run of this lake, or a registered one (`models:/…`).

    Raises:
        ModelError: it is missing, unfinished or damaged.
    """
    if not address.startswith("models:/"):
        return load_rbm(lake, address.removeprefix("rbms/"))
    # Only here: a GPU host without MLflow reads every other kind of address.
    from tasks.registry import download

    folder = download(address, lake)
    return rbm_at(Lake(str(folder.parent)), folder.name)


def rbm_at(lake: Lake, folder: str) -> FittedRbm:
    """Read the fitted machine in a folder, such as one that was registered and fetched.

    Raises:
        ModelError: it is missing, unfinished or damaged.
    """
    run = folder.rsplit("/", 1)[-1]
    try:
        record = lake.read_json(f"{folder}/{RECORD}")
        tensors = unpacked(lake.read_bytes(f"{folder}/{TENSORS}"), f"{folder}/{TENSORS}")
        groups: dict[str, dict[str, torch.Tensor]] = {"machine": {}, "whitener": {}}
        for name, value in tensors.items():
            kind, rest = name.split(".", 1)
            groups[kind][rest] = value
        machine = RBM.of(record["architecture"])
        machine.load_state_dict(groups["machine"])
        embedded_by = tuple(record.get("embedded_by", ()))  # older records do not say it
        whitener = whitener_from(groups["whitener"])
        return FittedRbm(run, machine, whitener, record["metrics"], embedded_by)
    except FileNotFoundError as error:
        raise ModelError(f"there is no fitted RBM {run} in {lake.root}; fit it first") from error
    except (KeyError, ValueError, RuntimeError, TypeError, ModelError) as error:
        raise ModelError(
            f"the RBM {run} in {lake.root} is damaged or of another version ({str(error)[:100]}); "
            f"remove {folder} and fit it again"
        ) from error
