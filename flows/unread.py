"""A run's output when its reader is gone: it is dropped, and the run goes on.

A worker reads what its runs print through a pipe. When the worker is killed, the next line that a
run logs meets a broken pipe; rich, by which Prefect prints, then ends the process, and hours of
work with it. In the process of a flow run this hook, which Prefect calls at import before it sets
up logging (entry point `prefect.plugins`), puts streams in place that outlive their reader. Log
lines still reach Prefect's server. It imports nothing of ours, as it runs in every such process.
"""

import os
import sys
from typing import Any, TextIO

from prefect.plugins import register_hook


class Outliving:
    """A text stream over another: from the first broken pipe on, what is written goes nowhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or drop the text when nobody reads any more; return its length."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._drop_from_now_on()
            return len(text)

    def flush(self) -> None:
        """Flush, or drop what is held when nobody reads any more."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._drop_from_now_on()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _drop_from_now_on(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


@register_hook
def setup_environment(*, ctx: object) -> None:  # noqa: ARG001  # Prefect names the hook's argument
    """Put the streams in place in the process of a flow run; called by Prefect at import."""
    from prefect.runtime import flow_run  # not while prefect itself is being imported

    if flow_run.id:
        sys.stdout = Outliving(sys.stdout)
        sys.stderr = Outliving(sys.stderr)
