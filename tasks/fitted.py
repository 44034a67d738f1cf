"""A fitted RBM as it lies in the lake, with the whitener and the log Z it is used with."""

from dataclasses import dataclass
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load

from models.rbm.machine import RBM
from models.rbm.whitening import Whitener, whitener_from
from tasks.errors import ModelError
from tasks.storage import Lake


def rbm_path(run: str, name: str) -> str:
    """Return where a file of a machine lies."""
    return f"rbms/{run}/{name}"


@dataclass(frozen=True, slots=True)
class FittedRbm:
    """A machine with its whitener, its log Z over white columns, and what was measured."""

    run: str
    machine: RBM
    whitener: Whitener
    metrics: dict[str, Any]


def load_rbm(lake: Lake, run: str) -> FittedRbm:
    """Read a fitted machine.

    Raises:
        ModelError: it is missing, unfinished or damaged.
    """
    return rbm_at(lake, f"rbms/{run}")


def rbm_at(lake: Lake, folder: str) -> FittedRbm:
    """Read the fitted machine in a folder, such as one that was registered and fetched.

    Raises:
        ModelError: it is missing, unfinished or damaged.
    """
    run = folder.rsplit("/", 1)[-1]
    try:
        record = lake.read_json(f"{folder}/rbm.json")
        tensors = load(lake.read_bytes(f"{folder}/rbm.safetensors"))
        state = {n.removeprefix("machine."): t for n, t in tensors.items() if "machine." in n}
        white = {n.removeprefix("whitener."): t for n, t in tensors.items() if "whitener." in n}
        machine = RBM(*state["weight"].shape)
        machine.load_state_dict(state)
        return FittedRbm(run, machine, whitener_from(white), record["metrics"])
    except FileNotFoundError as error:
        raise ModelError(f"there is no fitted RBM {run} in {lake.root}; fit it first") from error
    except (KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"the RBM {run} in {lake.root} is damaged ({str(error)[:100]}); remove {folder} and "
            "fit it again"
        ) from error
