"""Groups of shards as flow runs of their own, for the workers of a pool to share.

The run that spreads only waits: it follows the groups, starts one again whose process was lost, and
takes up those that an earlier try of itself has left running. What a group has committed stays
committed, so a second try of it does only the rest.
"""

import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
    WorkerFilter,
    WorkerFilterStatus,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, StateType
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

from tasks.errors import CapliftError

log = logging.getLogger(__name__)

MAX_TRIES = 3
POLL_S = 3.0
MOST_SHARDS = 64  # of a thousand pictures each: ten minutes at a hundred pictures a second


class GroupError(CapliftError):
    """A group ended in a way that another try would not mend."""


@dataclass(slots=True)
class Group:
    """Shards that one flow run does, and the run that is at it now."""

    shards: tuple[str, ...]
    run: UUID | None = None
    tries: int = 0
    state: str = "waiting"
    ended: str = ""


@dataclass(slots=True)
class Spread:
    """What is spread: a deployment's name, the parameters all groups share, and a tag of theirs.

    Attributes:
        deployment: `<flow>/<deployment>`; it takes `shards` beside the parameters.
        parameters: the same for every group.
        tag: by which groups of such work are found; another lake's may have the same.
        groups: filled by `cut`.
    """

    deployment: str
    parameters: dict[str, Any]
    tag: str
    groups: list[Group] = field(default_factory=list)

    def cut(self, shards: Sequence[str], pool: str) -> None:
        """Make groups of what no run is at: one a worker of the pool, none larger than 64 shards.

        Runs of an earlier try that have not ended are taken up as they are.
        """
        with get_client(sync_client=True) as client, _deployed(self.deployment):
            self.groups = [
                Group(tuple(run.parameters["shards"]), run.id, 1, _name(run))
                for run in _unfinished(client, self.tag)
                if self._is_ours(run)
            ]
            online = WorkerFilter(status=WorkerFilterStatus(any_=["ONLINE"]))
            workers = len(client.read_workers_for_work_pool(pool, online))
        if not workers:
            log.warning(
                "no worker of the pool %s is online, so the groups wait for one: "
                "prefect worker start --pool %s --type process --limit 1",
                pool,
                pool,
            )
        taken = {name for group in self.groups for name in group.shards}
        left = [name for name in shards if name not in taken]
        size = min(MOST_SHARDS, -(-len(left) // max(workers, 1))) or 1
        self.groups += [Group(tuple(left[at : at + size])) for at in range(0, len(left), size)]

    def follow(self, watch: Callable[[Sequence[Group]], None]) -> None:
        """Run every group to its end, telling `watch` every few seconds how they are.

        Raises:
            GroupError: some ended badly; all are waited for first.
        """
        with _deployed(self.deployment):
            for group in self.groups:
                if group.run is None:
                    self._start(group)
        while any(not group.ended for group in self.groups):
            time.sleep(POLL_S)
            try:
                self._look()
            except httpx.HTTPError as error:
                # Workers go on while the server is away; so does this.
                log.warning("the server does not answer (%s); asking again", error)
            watch(self.groups)
        bad = [group for group in self.groups if group.ended != StateType.COMPLETED.value]
        if bad:
            others = f" ({len(bad) - 1} more)" if len(bad) > 1 else ""
            raise GroupError(
                f"{self.deployment} from shard {bad[0].shards[0]} on ended as {bad[0].state}"
                f"{others}; its page says why. What is committed stays: run this again"
            )

    def _is_ours(self, run: FlowRun) -> bool:
        wanted = json.loads(json.dumps(self.parameters))
        return all(run.parameters.get(name) == value for name, value in wanted.items())

    def _look(self) -> None:
        with get_client(sync_client=True) as client:
            for group in self.groups:
                if group.ended or group.run is None:
                    continue
                found = client.read_flow_run(group.run)
                group.state = _name(found)
                if found.state is None or not found.state.is_final():
                    continue
                if found.state.is_crashed() and group.tries < MAX_TRIES:
                    log.warning("%s was lost; another takes its shards", found.name)
                    self._start(group)
                else:
                    group.ended = found.state.type.value

    def _start(self, group: Group) -> None:
        run = run_deployment(
            self.deployment,
            parameters={**self.parameters, "shards": list(group.shards)},
            timeout=0,
            tags=[self.tag],
        )
        assert isinstance(run, FlowRun)
        group.run, group.state = run.id, _name(run)
        group.tries += 1


@contextlib.contextmanager
def _deployed(deployment: str) -> Iterator[None]:
    """Say in a line that the server lacks the deployment or its pool.

    Raises:
        GroupError: it does.
    """
    try:
        yield
    except ObjectNotFound as error:
        raise GroupError(
            f"the server does not know the deployment {deployment} or its pool ({error}); deploy "
            "again: prefect deploy --all --prefect-file infra/prefect.yaml"
        ) from error


def _unfinished(client: SyncPrefectClient, tag: str) -> list[FlowRun]:
    """Return the runs with a tag that have not ended."""
    ended = FlowRunFilterStateType(not_any_=sorted(TERMINAL_STATES, key=str))
    wanted = FlowRunFilter(tags=FlowRunFilterTags(all_=[tag]), state=FlowRunFilterState(type=ended))
    return client.read_flow_runs(flow_run_filter=wanted)


def _name(run: FlowRun) -> str:
    return run.state.name or run.state.type.value if run.state else "unknown"
