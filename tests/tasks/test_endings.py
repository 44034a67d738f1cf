"""An ending that comes while a program is being started waits until it is known whom to stop."""

import os
import signal

import pytest

from tasks.endings import endings_held


def interrupted(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_ending_waits_until_the_block_has_noted_what_it_started(ending: signal.Signals) -> None:
    noted = []

    def start() -> None:
        with endings_held():
            os.kill(os.getpid(), ending)
            with endings_held():
                os.kill(os.getpid(), ending)
            noted.append("both came and nothing was lost")

    before = signal.signal(ending, interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            start()
        assert noted
        assert signal.getsignal(ending) is interrupted
    finally:
        signal.signal(ending, before)
