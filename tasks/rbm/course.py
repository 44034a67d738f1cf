"""How far a fit has come: the learner, the best machine so far, and how both are saved and found.

One file holds all of it, so a state is there whole or not at all. The cursor is the number of the
update: which rows come next is a function of it and the seed.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from models.rbm.machine import RBM
from models.rbm.training import Learner
from tasks.errors import ModelError
from tasks.fitted import fit_path
from tasks.storage import Lake
from tasks.tensors import packed, unpacked

STATE = "training.safetensors"
ON_HOST = ("generator", "counts")  # what torch wants on the CPU, whatever the device


@dataclass(slots=True)
class Course:
    """A fit under way.

    Attributes:
        learner: the machine in training.
        best: parameters of the machine with the best likelihood so far.
        best_value: that likelihood, nats a held-out row.
        best_update: when it was reached.
        waited: likelihoods since then that were not better.
    """

    learner: Learner
    best: dict[str, Tensor] = field(default_factory=dict)
    best_value: float = -torch.inf
    best_update: int = 0
    waited: int = 0

    def judge(self, value: float) -> None:
        """Keep the machine as it is now when `value` is the best so far."""
        if value > self.best_value:
            state = self.learner.machine.state_dict()
            self.best = {name: tensor.detach().clone() for name, tensor in state.items()}
            self.best_value, self.best_update, self.waited = value, self.learner.updates, 0
        else:
            self.waited += 1

    def best_machine(self) -> RBM:
        """Return the best machine so far; what is trained stays as it is."""
        made = RBM.of(self.learner.machine.architecture())
        made.load_state_dict(self.best)
        return made.to(self.learner.chains.device)


def save_course(lake: Lake, run: str, course: Course) -> None:
    """Publish the state whole."""
    card = {
        "learner": course.learner.card(),
        "best_value": course.best_value,
        "best_update": course.best_update,
        "waited": course.waited,
    }
    tensors = {f"learner.{name}": value for name, value in course.learner.state().items()}
    tensors |= {f"best.{name}": value for name, value in course.best.items()}
    tensors["card"] = torch.frombuffer(bytearray(json.dumps(card).encode()), dtype=torch.uint8)
    whole = {name: value.detach().clone() for name, value in tensors.items()}
    lake.publish_bytes(fit_path(run, STATE), packed(whole))


def saved_course(lake: Lake, run: str, device: str) -> Course | None:
    """Return the state that was saved last, on `device`; None where there is none.

    Raises:
        ModelError: the file is damaged.
    """
    path = fit_path(run, STATE)
    if not lake.exists(path):
        return None
    tensors = unpacked(lake.read_bytes(path), path)
    try:
        card: dict[str, Any] = json.loads(bytes(tensors.pop("card").tolist()))
        groups: dict[str, dict[str, Tensor]] = {"learner": {}, "best": {}}
        for name, value in tensors.items():
            kind, rest = name.split(".", 1)
            groups[kind][rest] = value
        begun_on = card["learner"]["device"]
        state = {n: v if n in ON_HOST else v.to(device) for n, v in groups["learner"].items()}
        learner = None
        if begun_on == torch.device(device).type:
            learner = Learner.resume(state, card["learner"], device)
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise ModelError(
            f"{path} in {lake.root} is damaged ({str(error)[:100]}); remove it and fit again"
        ) from error
    if learner is None:
        raise ModelError(
            f"{run} was begun on {begun_on}, whose draws {device} cannot go on with; fit it on "
            f"{begun_on}, or give this one another name"
        )
    facts = {name: card[name] for name in ("best_value", "best_update", "waited")}
    best = {name: value.to(device) for name, value in groups["best"].items()}
    return Course(learner, best, **facts)
