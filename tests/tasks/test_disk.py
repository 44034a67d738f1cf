"""What a killed process left is told from what a living one writes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from tasks.disk import part_name, remove_orphans


def part_of_the_dead() -> str:
    """A part's name as a process made it that has ended since."""
    program = "from tasks.disk import part_name; print(part_name('a.tar'))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_only_the_parts_of_processes_that_are_no_more_are_removed(tmp_path: Path) -> None:
    dead = part_of_the_dead()
    mine = part_name("a.tar")
    init = mine.replace(f".{os.getpid()}.", ".1.")
    elsewhere = dead.replace(f".{socket.gethostname()}.", ".another-host.")
    foreign = ".a.tar.somebody.part"
    for name in (dead, mine, init, elsewhere, foreign, "a.tar"):
        (tmp_path / name).write_bytes(b"x")
    remove_orphans(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {mine, init, elsewhere, foreign, "a.tar"}
    remove_orphans(tmp_path / "no such folder")


def test_a_part_is_hidden_and_no_two_are_alike() -> None:
    assert part_name("a.tar").startswith(".a.tar.")
    assert part_name("a.tar") != part_name("a.tar")
