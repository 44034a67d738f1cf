"""Ctrl-C at the worst moment: a program has been forked off, and nobody has noted it yet."""

import os
import signal
import subprocess

import pytest


def interrupted_forks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Send this process Ctrl-C inside each `subprocess.Popen`; return the growing list of ids."""
    fork_exec, seen = vars(subprocess)["_fork_exec"], list[int]()

    def forked(*given: object) -> int:
        seen.append(int(fork_exec(*given)))
        os.kill(os.getpid(), signal.SIGINT)
        return seen[-1]

    monkeypatch.setattr("subprocess._fork_exec", forked)
    return seen
