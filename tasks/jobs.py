"""A training run's identity: where it writes, where it computes, and what it says of itself."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from tasks import rows
from tasks.checkpoints import Checkpoint, newest
from tasks.errors import InputError, ModelError
from tasks.regimen import COMPUTING
from tasks.samples import selection_digest
from tasks.storage import Lake
from tasks.team import Team, team_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """Which run this is: its lake and name, where it computes, and what it says of itself."""

    lake: Lake
    run: str
    device: str
    facts: dict[str, Any]
    team: Team = field(default_factory=Team)

    def resume(self) -> Checkpoint | None:
        """Return the newest checkpoint of this very run.

        Raises:
            InputError: the run of this name was begun with other settings or selections.
        """
        found = newest(self.lake, self.run)
        if found is not None and found.facts.get("identity") != self.facts["identity"]:
            raise InputError(
                f"run {self.run} was begun with other settings or selections than these; give "
                f"this one another name, or remove {self.lake.root}/checkpoints/{self.run}"
            )
        return found

    def is_done(self, found: Checkpoint | None) -> bool:
        """Say, and log, whether this checkpoint leaves nothing to do."""
        if found is None or not found.is_final:
            return False
        log.info("%s is done: %s", self.run, found.uri)
        return True


def job_of(
    lake: Lake, run: str, selections: tuple[str, ...], device: str, facts: Mapping[str, Any]
) -> Job:
    """Return a job whose identity covers its facts and the digests of its selections.

    The revision, the library's version and how the work is divided are facts too, but a run may be
    resumed under others.

    Raises:
        InputError: a selection is missing or unfinished, or no folder can have the run's name.
        ModelError: the device is not there, or torchrun's ranks do not find each other.
    """
    check_name("run", run)
    team = team_of(device)
    check_device(team.device)
    digests = {name: selection_digest(lake, name) for name in selections}
    lasting = {name: value for name, value in facts.items() if name != "revision"}
    lasting["settings"] = {k: v for k, v in facts["settings"].items() if k not in COMPUTING}
    # By what they hold: an equal selection of another name may go on with the run.
    identity = rows.fingerprint({**lasting, "selections": list(digests.values())})
    whole = {**facts, "selections": digests, "identity": identity, "torch": torch.__version__}
    return Job(lake, run, team.device, whole, team)


def check_name(what: str, name: str) -> None:
    """Refuse a name of a run or a batch that no folder can have.

    Raises:
        InputError: says which.
    """
    if name in ("", ".", "..") or not {"/", "*", "?", "["}.isdisjoint(name):
        raise InputError(f"a {what}'s name names one folder of the lake, which {name!r} cannot")


def check_device(device: str) -> None:
    """Refuse a device that torch cannot compute and draw on here.

    Raises:
        ModelError: says which devices there are.
    """
    try:
        torch.empty(1, device=device)
        torch.Generator(device)
    except (RuntimeError, AssertionError) as error:
        there = "cpu and cuda" if torch.cuda.is_available() else "cpu"
        raise ModelError(
            f"device {device!r} cannot be used here; this machine has {there}"
        ) from error
