"""Run a program and say what it cost: wall, CPU and memory of all its processes, and the noise."""

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

PR_SET_CHILD_SUBREAPER = 36
SECONDS_BETWEEN_SAMPLES = 0.2
SAMPLES_PER_PSS = 5  # reading it makes the kernel walk the page tables


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a run took.

    Attributes:
        status: exit status; negative when a signal ended it.
        cpu_s: user and system seconds of the program and all that it started.
        peak_rss: bytes, summed over its processes; shared pages count in each.
        peak_pss: bytes, shared pages divided among those that share them.
        processes: most at a time.
        others: cores that everything else took, the servers and this bench left out.
        steal: cores that the hypervisor gave to other machines.
        said: last line of its stdout.
    """

    status: int
    wall_s: float
    cpu_s: float
    peak_rss: int
    peak_pss: int
    processes: int
    others: float
    steal: float
    said: str


def measure(
    command: Sequence[str],
    *,
    environment: dict[str, str],
    folder: Path,
    log: Path,
    servers: Sequence[int],
    limit_s: float,
) -> Cost:
    """Run a command in a folder; its output goes to `log`, .out and .err.

    All processes below it are reaped here, also those whose parent did not wait for them, so that
    none of their CPU is lost.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    (busy_s, stolen_s), bystanders_s = _machine(), _bystanders(servers)
    started = time.perf_counter()
    with log.with_suffix(".out").open("wb") as out, log.with_suffix(".err").open("wb") as err:
        program = subprocess.Popen(
            list(command), stdout=out, stderr=err, env=environment, cwd=folder,
            start_new_session=True,
        )  # fmt: skip
        memory = _Memory(program.pid)
        with memory, _limited(program.pid, limit_s):
            _, state, usage = os.wait4(program.pid, 0)
            wall_s = time.perf_counter() - started
            cpu_s = usage.ru_utime + usage.ru_stime + _reap(program.pid)
    status = program.returncode = os.waitstatus_to_exitcode(state)
    busy_s, stolen_s = _machine()[0] - busy_s, _machine()[1] - stolen_s
    others_s = busy_s - cpu_s - (_bystanders(servers) - bystanders_s)
    return Cost(
        status=status,
        wall_s=wall_s,
        cpu_s=cpu_s,
        peak_rss=memory.rss,
        peak_pss=memory.pss,
        processes=memory.processes,
        others=max(0.0, others_s) / wall_s,
        steal=stolen_s / wall_s,
        said=(log.with_suffix(".out").read_text(errors="replace").splitlines() or [""])[-1],
    )


class _Memory(threading.Thread):
    """Watches the memory of a process and its descendants; a context."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.rss = self.pss = self.processes = 0
        self._pid = pid
        self._done = threading.Event()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join()

    def run(self) -> None:
        samples = 0
        while not self._done.wait(SECONDS_BETWEEN_SAMPLES):
            with contextlib.suppress(psutil.Error):
                root = psutil.Process(self._pid)
                pids = [root.pid, *(child.pid for child in root.children(recursive=True))]
                self.processes = max(self.processes, len(pids))
                self.rss = max(self.rss, sum(_kilobytes(pid, "status", "VmRSS") for pid in pids))
                if samples % SAMPLES_PER_PSS == 0:
                    pss = sum(_kilobytes(pid, "smaps_rollup", "Pss") for pid in pids)
                    self.pss = max(self.pss, pss)
            samples += 1


def _kilobytes(pid: int, file: str, name: str) -> int:
    """Return a field of a file of /proc as bytes; 0 for a process that has just ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return 0


@contextlib.contextmanager
def _limited(group: int, limit_s: float) -> Iterator[None]:
    timer = threading.Timer(limit_s, os.killpg, [group, signal.SIGKILL])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _reap(group: int) -> float:
    """Wait for those whom the program left behind; return their CPU seconds."""
    cpu_s = 0.0
    while True:
        try:
            _, _, usage = os.wait4(-group, 0)
        except ChildProcessError:
            return cpu_s
        cpu_s += usage.ru_utime + usage.ru_stime


def _bystanders(servers: Sequence[int]) -> float:
    """Return the CPU seconds so far of the servers and of this process."""
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in (os.getpid(), *servers))


def _machine() -> tuple[float, float]:
    """Return the CPU seconds so far in which the machine worked, and those stolen from it."""
    spent = psutil.cpu_times()
    return spent.user + spent.nice + spent.system + spent.irq + spent.softirq, spent.steal
