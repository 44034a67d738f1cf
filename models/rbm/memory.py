"""Everything that training goes on from, as tensors: taken from a learner, and given back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from models.rbm.gradient import Offsets

if TYPE_CHECKING:
    from models.rbm.training import Learner

NAMES = ("weight", "vbias", "hbias", "log_var")
ON_CPU = ("generator", "exchanges", "counts")
ALWAYS = ("chains", "base", "still", *ON_CPU)


@dataclass(slots=True)
class Seen:
    """How many rows were offered and left out so far."""

    rows: int = 0
    dropped: int = 0


def state_of(learner: "Learner") -> dict[str, Tensor]:
    """Return copies of every tensor that training goes on from."""
    walkers, steps = learner.walkers, learner.steps
    state = {f"machine.{name}": getattr(learner.machine, name).detach() for name in NAMES}
    state |= {f"first.{name}": value for name, value in steps.first.items()}
    state |= {f"second.{name}": value for name, value in steps.second.items()}
    state["chains"] = walkers.visible
    state["still"] = learner.still
    state["base"] = walkers.base
    state["exchanges"] = walkers.exchanges
    state["generator"] = learner.generator.get_state()
    state["counts"] = torch.tensor(
        [learner.updates, learner.seen.rows, learner.seen.dropped, walkers.rounds]
    )
    known = {
        "hidden": walkers.hidden,
        "offset_v": learner.offsets.visible,
        "offset_h": learner.offsets.hidden,
        "activity": learner.activity,
    }
    state |= {name: value for name, value in known.items() if value is not None}
    return {name: value.clone().contiguous() for name, value in state.items()}


@torch.no_grad()
def restore(learner: "Learner", state: dict[str, Tensor]) -> None:
    """Take back what `state_of` returned, see `Learner.restore`."""
    own = {f"machine.{name}": getattr(learner.machine, name) for name in NAMES}
    _refuse_others(own, state)
    for name, value in own.items():
        value.copy_(state[name])
    device = learner.machine.weight.device
    copies = {
        name: value.clone() if name in ON_CPU else value.to(device, copy=True)
        for name, value in state.items()
    }
    learner.steps.first = {n: copies[f"first.{n}"] for n in NAMES if f"first.{n}" in state}
    learner.steps.second = {n: copies[f"second.{n}"] for n in NAMES if f"second.{n}" in state}
    walkers = learner.walkers
    walkers.visible, walkers.hidden = copies["chains"], copies.get("hidden")
    walkers.base, walkers.exchanges = copies["base"], copies["exchanges"]
    learner.still = copies["still"]
    learner.generator.set_state(copies["generator"])
    learner.updates, rows, dropped, walkers.rounds = copies["counts"].tolist()
    learner.seen = Seen(rows, dropped)
    learner.offsets = Offsets(copies.get("offset_v"), copies.get("offset_h"))
    learner.activity = copies.get("activity")


def _refuse_others(own: dict[str, Tensor], state: dict[str, Tensor]) -> None:
    lacking = [name for name in (*own, *ALWAYS) if name not in state]
    if lacking:
        raise ValueError(f"the saved state lacks {', '.join(lacking)}: it is no learner's")
    for name, value in own.items():
        saved = state[name]
        if (value.shape, value.dtype) != (saved.shape, saved.dtype):
            raise ValueError(
                f"the saved {name} is {tuple(saved.shape)} of {saved.dtype}, this machine's "
                f"{tuple(value.shape)} of {value.dtype}: the state is of another machine"
            )
