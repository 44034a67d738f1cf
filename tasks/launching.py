"""A training run in this process, or as ranks that torchrun starts, one a device.

Either way its steps come back as they are taken. `python -m tasks.launching JOB.json` is what each
rank runs: the first says every step on stdout, a line of JSON each, and whatever stops it.
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from tasks.commands import run_command
from tasks.endings import endings_held
from tasks.errors import CapliftError, InputError, LakeError, ModelError
from tasks.finetuning.settings import Finetuning
from tasks.finetuning.stage import FINETUNE
from tasks.pretraining import Pretraining, pretrain
from tasks.settings import settings_from
from tasks.storage import open_lake
from tasks.team import team_of
from tasks.training import StepMetrics

log = logging.getLogger(__name__)

PRETRAINING = "pretraining"
SECONDS_TO_END = 30
MENDABLE = {kind.__name__: kind for kind in (InputError, LakeError, ModelError)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """A run to be trained, in words and numbers alone.

    Attributes:
        kind: "pretraining", or one of `tasks.finetuning.stage.FINETUNE`.
        lake: its root.
        run: the run's name.
        selections: ids.
        settings: of `Pretraining` or `Finetuning`.
        start: address of what finetuning begins with.
        device: "cpu" or "cuda".
        revision: git revision, for the checkpoint's facts.
    """

    kind: str
    lake: str
    run: str
    selections: tuple[str, ...]
    settings: dict[str, Any]
    start: str = ""
    device: str = "cpu"
    revision: str = ""

    def steps(self) -> Iterator[StepMetrics]:
        """Take the steps that are left, in this process."""
        lake = open_lake(self.lake)
        if self.kind == PRETRAINING:
            how = settings_from(Pretraining, self.settings)
            return pretrain(lake, self.run, self.selections, how, self.device, self.revision)
        finetune, chosen = FINETUNE[self.kind], settings_from(Finetuning, self.settings)
        return finetune(lake, self.run, self.start, self.selections, chosen, self.device)


def steps_of(job: Training, ranks: int = 1) -> Iterator[StepMetrics]:
    """Yield the steps that are left of a run, taken here or by as many ranks of this machine.

    Raises:
        CapliftError: as the run itself raises it.
        RuntimeError: a rank was killed, or ended without a word; run again to go on.
    """
    return job.steps() if ranks == 1 else _launched(job, ranks)


def _launched(job: Training, ranks: int) -> Iterator[StepMetrics]:
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as plan:
        json.dump(asdict(job), plan)
        plan.flush()
        torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
        command = [sys.executable, "-m", *torchrun, "-m", "tasks.launching", plan.name]
        log.info("%s trains on %d ranks", job.run, ranks)
        with contextlib.ExitStack() as running:
            with endings_held():
                process = subprocess.Popen(
                    command, stdout=subprocess.PIPE, text=True, start_new_session=True
                )
                running.enter_context(process)
                running.callback(_end, process)
            assert process.stdout is not None
            yield from _told(process.stdout)
            code = process.wait()
    if code:
        raise RuntimeError(
            f"the ranks of {job.run} ended with {code}; what they said is above. What is "
            "committed stays, run it again to go on"
        )


def _told(lines: IO[str]) -> Iterator[StepMetrics]:
    """Yield the steps that the first rank says; raise what stopped a rank."""
    for line in lines:
        try:
            said = json.loads(line)
        except ValueError:
            said = None
        if not isinstance(said, dict):  # some library's line
            sys.stderr.write(line)
        elif "stopped" in said:
            raise MENDABLE.get(said["stopped"], CapliftError)(said["line"])
        else:
            yield StepMetrics(**said)


def _end(running: "subprocess.Popen[str]") -> None:
    """End torchrun and its ranks, if they have not ended."""
    if running.poll() is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(SECONDS_TO_END)
            return


def main(arguments: Sequence[str]) -> None:
    """Be one rank of a run."""
    (path,) = arguments
    said = json.loads(Path(path).read_text(encoding="utf-8"))
    job = Training(**{**said, "selections": tuple(said["selections"])})
    leads = team_of(job.device).leads
    try:
        for metrics in job.steps():
            if leads:
                _say(asdict(metrics))
    except CapliftError as error:
        _say({"stopped": type(error).__name__, "line": str(error)})
        raise


def _say(what: Mapping[str, Any]) -> None:
    # At once and whole: ranks share the pipe. A listener that is gone ends the run here.
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
