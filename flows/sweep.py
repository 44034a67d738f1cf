"""Find runs whose process is gone and start them again; scheduled every five minutes.

When a worker and its flow process die together (a lost node, kill -9 of both), nobody is left to
report it and the run stays Running for ever, holding its concurrency slot. Prefect's automations
miss some of these after a server restart, so this flow looks for itself: a run that is Running or
Pending and has been silent for longer than several heartbeats is marked Crashed, and a run that a
worker can pick up again is rescheduled while it has been tried fewer than three times. What its
shards had committed stays committed, so the retry does only the rest. Each lost run is a line of
the table `lost-runs` on the sweep's page, and an event `caplift.run.lost` that an automation can
act on.
"""

import logging
import time
from datetime import UTC, timedelta
from typing import Any
from uuid import UUID

from prefect import flow, get_client, runtime
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.events import emit_event
from prefect.events.filters import (
    EventAnyResourceFilter,
    EventFilter,
    EventNameFilter,
    EventOccurredFilter,
)
from prefect.states import Crashed, Scheduled
from prefect.types import DateTime

log = logging.getLogger(__name__)

LOST = "no heartbeat: its process was lost; found by the sweep flow"
LOST_EVENT = "caplift.run.lost"
HEARTBEAT = "prefect.flow-run.heartbeat"
MAX_TRIES = 3
PAGE = 200


@flow(name="sweep", log_prints=False)
def sweep(silent_s: int = 120, pending_s: int = 300, patience_s: int = 45) -> dict[str, list[str]]:
    """Crash the silent runs and reschedule those a worker can run again.

    Args:
        silent_s: a Running run without a sign of life for so long has lost its process. At least
            three heartbeats (30 s each): loading a model may delay one.
        pending_s: a Pending run has no heartbeat yet; starting a process takes a minute at most.
        patience_s: a run that is silent is given so long to show that it lives, a heartbeat and a
            half: after the server was away, all runs have been silent.

    Returns:
        The ids of the runs that were `crashed`, and of those that were `rescheduled`.
    """
    with get_client(sync_client=True) as client:
        silent = _silent(client, silent_s, pending_s)
        if silent:
            time.sleep(patience_s)
            still = {run.id for run in _silent(client, max(silent_s, patience_s), pending_s)}
            silent = [run for run in silent if run.id in still]
        crashed = [run for run in silent if _set(client, run, Crashed(message=LOST))]
        retry: State[Any] = Scheduled(name="AwaitingRetry", message=LOST)
        again = [run for run in crashed if _can_run_again(run) and _set(client, run, retry)]
    _report(crashed, again)
    return {"crashed": _ids(crashed), "rescheduled": _ids(again)}


def _silent(client: SyncPrefectClient, silent_s: int, pending_s: int) -> list[FlowRun]:
    return [run for run in _unfinished(client) if _is_silent(client, run, silent_s, pending_s)]


def _report(crashed: list[FlowRun], again: list[FlowRun]) -> None:
    """Say which runs were lost: in the log, on this run's page, and to who listens."""
    log.info("sweep: %d crashed, %d rescheduled", len(crashed), len(again))
    if not crashed:
        return
    told = [
        {
            "run": run.name,
            "id": str(run.id),
            "was": run.state.name if run.state else "",
            "since": run.state.timestamp.isoformat(timespec="seconds") if run.state else "",
            "tries": run.run_count,
            "now": "rescheduled" if run in again else "crashed",
        }
        for run in crashed
    ]
    about = "Runs whose process was lost; they hold no slot any more"
    create_table_artifact(key="lost-runs", table=told, description=about)
    for run, row in zip(crashed, told, strict=True):
        emit_event(LOST_EVENT, resource=_resource(run), payload=row)


def _resource(run: FlowRun) -> dict[str, str]:
    return {"prefect.resource.id": f"caplift.run.{run.id}", "prefect.resource.name": run.name}


def _unfinished(client: SyncPrefectClient) -> list[FlowRun]:
    """Return every Running or Pending run but this one."""
    kinds = FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING])
    wanted = FlowRunFilter(state=FlowRunFilterState(type=kinds))
    found: list[FlowRun] = []
    while len(page := client.read_flow_runs(flow_run_filter=wanted, limit=PAGE, offset=len(found))):
        found.extend(page)
    own = runtime.flow_run.id
    return [run for run in found if str(run.id) != str(own)]


def _is_silent(client: SyncPrefectClient, run: FlowRun, silent_s: int, pending_s: int) -> bool:
    if run.state is None:
        return False
    limit_s = silent_s if run.state.is_running() else pending_s
    since = DateTime.now(UTC) - timedelta(seconds=limit_s)
    return run.state.timestamp < since and not _has_beaten(client, run.id, since)


def _has_beaten(client: SyncPrefectClient, run_id: UUID, since: DateTime) -> bool:
    """Return True when the run has sent a heartbeat after `since`."""
    wanted = EventFilter(
        event=EventNameFilter(name=[HEARTBEAT]),
        any_resource=EventAnyResourceFilter(id=[f"prefect.flow-run.{run_id}"]),
        occurred=EventOccurredFilter(since=since, until=DateTime.now(UTC)),
    )
    return bool(client.read_events(filter=wanted, limit=1).total)


def _set(client: SyncPrefectClient, run: FlowRun, state: State[Any]) -> bool:
    """Propose a state and return whether it was accepted.

    Never by force: a run that ended since it was listed keeps its state, and the server's rules
    give back the concurrency slot it held.
    """
    answer = client.set_flow_run_state(run.id, state)
    log.info("run %s (%s): %s was answered %s", run.name, run.id, state.name, answer.status.value)
    return answer.status is SetStateStatus.ACCEPT


def _can_run_again(run: FlowRun) -> bool:
    """Return True for a run of a deployment's own; what another run started, that one starts again.

    So a group of shards is not done twice at once: by the sweep and by the run that spread it.
    """
    return (
        run.deployment_id is not None
        and run.parent_task_run_id is None
        and run.run_count < MAX_TRIES
    )


def _ids(runs: list[FlowRun]) -> list[str]:
    return [str(run.id) for run in runs]
