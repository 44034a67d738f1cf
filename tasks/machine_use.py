"""What a process takes of its machine, named as MLflow names system metrics."""

import resource
import shutil
import sys
import time
from pathlib import Path

MEGABYTE = 1 << 20
# Of getrusage's greatest resident size: macOS counts bytes, Linux kilobytes.
UNIT = 1 if sys.platform == "darwin" else 1024


class Meter:
    """Reads what has been used since the last reading."""

    def __init__(self, folder: Path) -> None:
        """Watch this process and the disk that `folder` is on."""
        self._folder = folder
        self._wall_s, self._cpu_s = time.monotonic(), _cpu_s()

    def read(self) -> dict[str, float]:
        """Return a number by name.

        `system/cpu_utilization_percentage` is of one core: two busy ones are 200. Memory and disk
        are in megabytes (2**20 bytes), GPU memory too, where torch uses one.
        """
        wall_s, cpu_s = time.monotonic(), _cpu_s()
        share = (cpu_s - self._cpu_s) / max(wall_s - self._wall_s, 1e-9)
        self._wall_s, self._cpu_s = wall_s, cpu_s
        disk = shutil.disk_usage(self._folder)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT
        return {
            "system/cpu_utilization_percentage": 100 * share,
            "system/peak_memory_usage_megabytes": peak / MEGABYTE,
            "system/disk_available_megabytes": disk.free / MEGABYTE,
            **_gpus(),
        }


def _cpu_s() -> float:
    """Return the seconds of this process and of those it has waited for."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _gpus() -> dict[str, float]:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return {}
    found = {}
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        name = f"system/gpu_{number}_memory_usage_megabytes"
        found[name] = (total - free) / MEGABYTE
    return found
