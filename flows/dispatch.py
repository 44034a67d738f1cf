"""Where and how a shard runs: on threads of this process or on Ray, and how often it is retried.

A stage flow maps a task over shards and never knows which engine it got. Threads are enough for one
machine: the heavy parts (torch, image decoding, sockets) release the interpreter lock. With
CAPLIFT_ENGINE=ray and RAY_ADDRESS the same map spreads over the cluster; PREFECT_API_URL must then
be set, else each Ray process would start a Prefect server of its own.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ParamSpec, Protocol, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.environment import this_machine
from tasks.errors import CapliftError, InputError
from tasks.progress import track

P = ParamSpec("P")
R = TypeVar("R")


class Stage(Protocol):
    """A decorator that makes a task of a stage's function and keeps its signature."""

    def __call__(self, function: Callable[P, R], /) -> Task[P, R]:
        """Return the task; calling or mapping it takes the function's own arguments."""


def shard_task(label: str, *, retries: int = 2, timeout_s: float = 3600) -> Stage:
    """Return the decorator for a function that does one shard: seconds to minutes of work.

    Nothing is cached or persisted by Prefect: the lake's commit record is what says that a shard is
    done, and a task whose record exists returns at once. A second memory could disagree with it.

    Args:
        label: the run's name, such as "caption {shard}".
        retries: how often a failure that may pass by itself is tried again.
        timeout_s: a shard that takes longer is given up, so one that hangs does not hold its slot.
    """

    def decorate(function: Callable[P, R], /) -> Task[P, R]:
        return task(
            task_run_name=label,
            retries=retries,
            retry_delay_seconds=[10.0, 120.0],  # a lost GPU node takes minutes to be replaced
            retry_condition_fn=_may_pass_by_itself,
            timeout_seconds=timeout_s,
            cache_policy=NO_CACHE,
            persist_result=False,
        )(function)

    return decorate


def job_task(label: str) -> Stage:
    """Return the decorator for a function that is one long job, such as a training run.

    It resumes from its newest checkpoint, so a second try costs only what came after that.
    """
    return shard_task(label, retries=1, timeout_s=14 * 24 * 3600)


def _may_pass_by_itself(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    """Return False for what a person must mend first: a second try would say the same later."""
    error = state.result(raise_on_failure=False)
    return not isinstance(error, CapliftError)


def runner(*, gpu: bool = False) -> TaskRunner[Any]:
    """Return the task runner of a stage on this machine.

    Args:
        gpu: a model fills the device by itself, so on threads one shard runs at a time: a second
            one could only wait, holding memory.

    Raises:
        InputError: Ray is asked for and prefect-ray is not installed.
    """
    machine = this_machine()
    if machine.engine == "threads":
        return ThreadPoolTaskRunner(max_workers=1 if gpu else machine.workers)
    return _ray().RayTaskRunner()  # its address is RAY_ADDRESS


@contextlib.contextmanager
def placed(*, gpu: bool = False) -> Iterator[None]:
    """Ask the engine for a GPU a shard while the body submits its tasks; threads need nothing.

    `max_calls=0` keeps a Ray process and the model in it alive between shards: with a GPU, Ray
    otherwise ends it after one, and every shard loads the model again.
    """
    if not gpu or this_machine().engine == "threads":
        yield
        return
    with _ray().context.remote_options(num_gpus=1, max_calls=0):
        yield


def finished(futures: Iterable[PrefectFuture[R]], label: str) -> list[R]:
    """Wait for every shard while showing how many are done, then return the results in order.

    Raises:
        BaseException: the first shard's error; all are waited for first, so a shard that fails
            does not stop those that can still be done.
    """
    waited = list(futures)
    for future in track(waited, label, len(waited)):
        future.wait()
    return [future.result() for future in waited]


def _ray() -> Any:
    try:
        import prefect_ray
        import prefect_ray.context
    except ImportError as error:
        raise InputError(
            "CAPLIFT_ENGINE is 'ray' but prefect-ray is not installed here; `pip install "
            "prefect-ray` on the driver and on every node, or set CAPLIFT_ENGINE=threads"
        ) from error
    return prefect_ray
