"""Files out of Debian packages, without installing anything and without being root.

`apt-get download` fetches a package into a folder; of its tar stream only what is wanted is read.
"""

import logging
import lzma
import os
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from tasks.errors import InputError

log = logging.getLogger(__name__)

TIMEOUT_S = 1200
AR_MAGIC = b"!<arch>\n"
AR_HEADER = 60


def fetched(packages: Sequence[str], cache: Path) -> list[Path]:
    """Return each package's .deb in `cache`, fetching those that are not there.

    Raises:
        InputError: this machine has no apt, or apt cannot fetch them; says what apt said.
    """
    missing = [package for package in packages if not _newest(package, cache)]
    if missing:
        if shutil.which("apt-get") is None:
            raise InputError(
                "SITE=gimp reads Debian packages, and this machine has no apt-get; run it on "
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
    try:
        with deb.open("rb") as file:
            _find_data(file)
            with tarfile.open(fileobj=file, mode="r|*") as archive:
                for member in archive:
                    path = member.name.removeprefix("./")
                    content = archive.extractfile(member) if wanted(path) else None
                    if content is not None:
                        yield path, content.read()
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, ValueError) as error:
        raise InputError(
            f"{deb} cannot be unpacked ({error}); remove it and run the same command again"
        ) from error


def _find_data(file: BinaryIO) -> None:
    """Move to the first byte of the tar with the package's files.

    A package is an ar archive (deb(5), ar(5)): a magic line, then members, each behind a header of
    60 bytes with the name in the first 16 and the size in the ten from 48, on even offsets.
    """
    if file.read(len(AR_MAGIC)) != AR_MAGIC:
        raise ValueError("it is no ar archive")
    while header := file.read(AR_HEADER):
        if header.startswith(b"data.tar"):
            return
        size = int(header[48:58])
        file.seek(size + size % 2, os.SEEK_CUR)
    raise ValueError("it has no data.tar")
