"""Files out of Debian packages, without installing anything and without being root.

`apt-get download` fetches a package into a folder; `dpkg-deb` unpacks it as a tar stream, of which
only what is wanted is read.
"""

import logging
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tasks.errors import InputError

log = logging.getLogger(__name__)

TIMEOUT_S = 1200


def fetched(packages: Sequence[str], cache: Path) -> list[Path]:
    """Return each package's .deb in `cache`, fetching those that are not there.

    Raises:
        InputError: this machine has no apt, or apt cannot fetch them; says what apt said.
    """
    missing = [package for package in packages if not _newest(package, cache)]
    if missing:
        for tool in ("apt-get", "dpkg-deb"):
            if shutil.which(tool) is None:
                raise InputError(
                    f"SITE=gimp reads Debian packages, and this machine has no {tool}; run it on "
                    "Debian or Ubuntu, or use the default site with `make demo`"
                )
        log.info("fetching %s with apt-get download", ", ".join(missing))
        _fetch(missing, cache)
    return [found for package in packages if (found := _newest(package, cache))]


def _newest(package: str, cache: Path) -> Path | None:
    found = sorted(cache.glob(f"{package}_*.deb"))
    return found[-1] if found else None


def _fetch(packages: Sequence[str], cache: Path) -> None:
    # Into a folder of its own: a download cut short must not pass for a package.
    part = cache / "part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        command = ["apt-get", "download", *packages]
        done = subprocess.run(
            command, cwd=part, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        if done.returncode != 0 or len(list(part.glob("*.deb"))) < len(packages):
            raise InputError(
                f"apt-get could not fetch {', '.join(packages)} ({_first_error(done.stderr)}); "
                "run `apt-get update` (as root) and the same command again"
            )
        for deb in part.glob("*.deb"):
            deb.replace(cache / deb.name)
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"apt-get fetched nothing for {TIMEOUT_S // 60} minutes; check the network and run "
            "the same command again"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _first_error(stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if line.startswith("E:")]
    return lines[0].removeprefix("E: ") if lines else "it gave no reason"


def unpacked(deb: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Yield (path without a leading slash, bytes) of the package's regular files that are wanted.

    Raises:
        InputError: the package is damaged.
    """
    command = ["dpkg-deb", "--fsys-tarfile", str(deb)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as unpacking:
        assert unpacking.stdout is not None
        try:
            with tarfile.open(fileobj=unpacking.stdout, mode="r|") as archive:
                for member in archive:
                    path = member.name.removeprefix("./")
                    content = archive.extractfile(member) if wanted(path) else None
                    if content is not None:
                        yield path, content.read()
        except tarfile.TarError as error:
            raise InputError(
                f"{deb} cannot be unpacked ({error}); remove it and run the same command again"
            ) from error
