"""What a model can be asked besides captions of the held-out batch, each with its settings."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from tasks.errors import InputError
from tasks.evaluation.answers import Answers, answer_questions
from tasks.evaluation.probe import Probe, probe
from tasks.evaluation.report import EvaluationReport
from tasks.evaluation.video import Videos, retrieve_videos
from tasks.evaluation.zero_shot import ZeroShot, classify
from tasks.storage import Lake

Work = Callable[[Lake, str, str, Any, str], EvaluationReport]

TASKS: dict[str, tuple[type[Any], Work]] = {
    "zero-shot": (ZeroShot, classify),
    "probe": (Probe, probe),
    "answers": (Answers, answer_questions),
    "video": (Videos, retrieve_videos),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Exam:
    """One task, by its settings; exactly one is given.

    Attributes:
        zero_shot: classes of pictures by prompts.
        probe: classes of pictures by a linear function of their vectors.
        answers: questions about pictures.
        video: texts and videos that find each other.
    """

    zero_shot: ZeroShot | None = None
    probe: Probe | None = None
    answers: Answers | None = None
    video: Videos | None = None

    def __post_init__(self) -> None:
        given = [one.name for one in fields(self) if getattr(self, one.name) is not None]
        if len(given) != 1:
            raise InputError(
                f"an exam is one of {', '.join(one.name for one in fields(self))}, not "
                f"{' and '.join(given) or 'none of them'}; evaluate once for each"
            )

    @property
    def task(self) -> str:
        """The one that is given, as `TASKS` and reports call it."""
        given = next(one.name for one in fields(self) if getattr(self, one.name) is not None)
        return given.replace("_", "-")

    @property
    def settings(self) -> Any:
        """Its settings."""
        return getattr(self, self.task.replace("-", "_"))


def examine(
    lake: Lake, run: str, model_uri: str, exam: Exam, device: str = "cpu"
) -> EvaluationReport:
    """Take an exam and publish its report.

    Raises:
        InputError: what the settings name cannot be used.
        ModelError: the model is missing or damaged.
    """
    _, work = TASKS[exam.task]
    return work(lake, run, model_uri, exam.settings, device)
