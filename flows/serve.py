"""Prefect's server, one worker a pool and MLflow's pages on this machine, all on loopback.

`python -m flows.serve` (`make serve`) starts them, deploys everything in infra/prefect.yaml and
prints where each is found. One that ends by itself is started again; what it was at goes on, or the
sweep finds it. Ctrl-C stops all of them. For several machines see infra/README.md.
"""

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from flows.environment import PREFECT_DEFAULTS, SPOKEN, child_environment, this_machine
from flows.ports import LOOPBACK, require_free
from flows.services import Service
from tasks.commands import run_command
from tasks.endings import endings_held
from tasks.errors import CapliftError, InputError

ROOT = Path(__file__).resolve().parent.parent
DEPLOYMENTS = ROOT / "infra" / "prefect.yaml"
# How many flow runs a worker of the pool takes at a time. A run of capfilt only waits for its
# groups, and the sweep must find a place beside it and another.
POOLS = {"cpu": 3, "gpu": 1}
START_TIMEOUT_S = 180
# Leases in memory are lost with the server, and a run that cannot renew its lease is then killed.
LEASES = "prefect.server.concurrency.lease_storage.filesystem"


class ServeError(CapliftError):
    """A service did not start; its own words are in the log that the line names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ports:
    """Where the services listen on loopback; an `mlflow` of 0 starts no MLflow pages."""

    prefect: int = 4200
    mlflow: int = 5000

    def __post_init__(self) -> None:
        if self.prefect == self.mlflow:
            raise InputError(
                f"Prefect and MLflow cannot both have port {self.prefect}; choose another for one: "
                f"make serve MLFLOW_PORT={self.mlflow + 1}"
            )

    @property
    def api(self) -> str:
        """The address of Prefect's API."""
        return f"http://{LOOPBACK}:{self.prefect}/api"

    def require_free(self) -> None:
        """Raise InputError when something listens on one of them already."""
        require_free(self.prefect, f"make serve PREFECT_PORT={self.prefect + 1}")
        if self.mlflow:
            require_free(self.mlflow, f"make serve MLFLOW_PORT={self.mlflow + 1}")


@contextlib.contextmanager
def serving(
    ports: Ports, logs: Path, registry: str = "", **environment: str
) -> Iterator[list[Service]]:
    """Start every service, deploy, yield what runs; on leaving stop all of it.

    Args:
        ports: where to listen.
        logs: a folder for the output of each service.
        registry: what MLflow's pages show; not needed where there are none.
        environment: further variables for all of them.

    Raises:
        InputError: a port is taken.
        ServeError: a service did not start.
    """
    ports.require_free()
    settings = _settings(ports, environment)
    logs.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:

        def start(name: str, *command: str, **own: str) -> Service:
            with endings_held():
                service = Service(name, command, ROOT, {**settings, **own}, logs / f"{name}.log")
                stack.callback(service.stop)
            return service

        services = [start("prefect-server", *_server(ports))]
        _wait_until_healthy(services[0], f"{ports.api}/health")
        _deploy(settings)
        devices = this_machine(settings).devices
        # A worker that was killed and started again does not know the run it has left behind; the
        # pool does, and gives out no second one for the same GPU.
        _limit(ports, "gpu", len(devices))
        services.append(start("worker-cpu", *_worker("cpu", "cpu")))
        for device in devices:
            name = "gpu" if len(devices) == 1 else f"gpu-{device.partition(':')[2]}"
            command = _worker("gpu", name)
            services.append(start(f"worker-{name}", *command, CAPLIFT_DEVICE=device))
        if ports.mlflow:
            services.append(start("mlflow", *_mlflow_pages(ports.mlflow, registry)))
            _wait_until_healthy(services[-1], f"http://{LOOPBACK}:{ports.mlflow}/health")
        yield services


def _settings(ports: Ports, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the children; what the user has set wins over our defaults."""
    ours = {
        **PREFECT_DEFAULTS,
        **SPOKEN,
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES,
        "PREFECT_WORKER_QUERY_SECONDS": "3",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "CAPLIFT_LAKE": this_machine().lake,
    }
    return {**ours, **child_environment(), "PREFECT_API_URL": ports.api, **environment}


def _program(name: str) -> str:
    # Beside our interpreter: the environment need not be activated.
    return str(Path(sys.executable).with_name(name))


def _server(ports: Ports) -> list[str]:
    where = ["--host", LOOPBACK, "--port", str(ports.prefect)]
    return [_program("prefect"), "server", "start", *where, "--analytics-off"]


def _worker(pool: str, name: str) -> list[str]:
    named = ["--pool", pool, "--name", name, "--type", "process", "--limit", str(POOLS[pool])]
    return [_program("prefect"), "worker", "start", *named]


def _mlflow_pages(port: int, store: str) -> list[str]:
    where = ["--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    return [_program("mlflow"), "ui", "--backend-store-uri", store, *where]


def _wait_until_healthy(service: Service, url: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if service.has_ended:
            break
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError),
            urllib.request.urlopen(url, timeout=2) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(0.3)
    raise ServeError(
        f"{service.name} did not answer at {url} within {START_TIMEOUT_S} s; its last words: "
        f"{service.last_words!r}, the rest is in {service.log}"
    )


def _deploy(environment: Mapping[str, str]) -> None:
    """Make the pools and deploy all of infra/prefect.yaml; both may exist already."""
    for pool in POOLS:
        _prefect(environment, "work-pool", "create", pool, "--type", "process", "--overwrite")
    _prefect(environment, "deploy", "--all", "--prefect-file", str(DEPLOYMENTS))


def _limit(ports: Ports, pool: str, runs: int) -> None:
    """Let a pool have so many runs at once, whichever workers it has."""
    request = urllib.request.Request(  # our own server on loopback
        f"{ports.api}/work_pools/{pool}",
        data=json.dumps({"concurrency_limit": runs}).encode(),
        headers={"Content-Type": "application/json"},
        method="PATCH",
    )
    with urllib.request.urlopen(request, timeout=START_TIMEOUT_S):
        pass


def _prefect(environment: Mapping[str, str], *arguments: str) -> None:
    command = [_program("prefect"), "--no-prompt", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=dict(environment), capture_output=True, text=True, check=False
    )
    if done.returncode:
        words = (done.stdout + done.stderr).strip() or "nothing"
        raise ServeError(f"`prefect {' '.join(arguments)}` failed and said: {words}")


def _watch(services: list[Service], console: Console) -> None:
    """Wait for Ctrl-C; a service that ends by itself is started again.

    Raises:
        ServeError: one ends again and again.
    """
    while True:
        for service in services:
            if service.has_ended:
                _start_again(service, console)
        time.sleep(1)


def _start_again(service: Service, console: Console) -> None:
    if service.ends_too_often:
        raise ServeError(
            f"{service.name} stops by itself again and again; its last words: "
            f"{service.last_words!r}, the rest is in {service.log}"
        )
    console.print(f"{service.name} has ended ({service.last_words!r}); starting it again")
    service.start()


def main(arguments: Sequence[str]) -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m flows.serve", description=main.__doc__)
    parser.add_argument("--prefect-port", type=int, default=Ports().prefect)
    parser.add_argument("--mlflow-port", type=int, default=Ports().mlflow)
    given = parser.parse_args(arguments)
    # A closed terminal is a Ctrl-C too; what a shell starts with & ignores Ctrl-C until it is told.
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    ports = Ports(prefect=given.prefect_port, mlflow=given.mlflow_port)
    ports.require_free()
    lake, registry = _lake_and_registry()
    logs = Path(lake) / "logs" if "://" not in lake else ROOT / "lake" / "logs"
    console = Console(soft_wrap=True)
    console.print("starting Prefect's server, its workers and MLflow (about a minute) …")
    with serving(ports, logs, registry) as services:
        _say_where(console, ports, lake, logs)
        with contextlib.suppress(KeyboardInterrupt):
            _watch(services, console)
        console.print("stopping …")


def _lake_and_registry() -> tuple[str, str]:
    """Return this machine's lake, made where there is none, and its registry."""
    machine = this_machine()
    return machine.lake, machine.mlflow_uri(machine.open_lake(create=True))


def _say_where(console: Console, ports: Ports, lake: str, logs: Path) -> None:
    console.print(f"  Prefect   http://{LOOPBACK}:{ports.prefect}")
    console.print(f"  MLflow    http://{LOOPBACK}:{ports.mlflow}")
    console.print(f"  lake      {lake}")
    console.print(f"  logs      {logs}")
    console.print("  run one   in another terminal:")
    console.print(f"            export PREFECT_API_URL={ports.api}")
    console.print("            .venv/bin/prefect deployment run quality")
    console.print("Ctrl-C stops everything.")


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
