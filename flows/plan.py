"""The plan: every choice of a run in one value, written into the lake before anything runs."""

from dataclasses import dataclass, field

from tasks.capfilt.settings import CapFilt
from tasks.catalogue.verdicts import Override
from tasks.errors import InputError
from tasks.evaluation.settings import Evaluation
from tasks.finetuning.settings import Finetuning
from tasks.ingestion.settings import Ingestion, Source
from tasks.pretraining import Pretraining
from tasks.rbm.settings import RbmFit
from tasks.selection import Selection

MAX_ROUNDS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a pipeline run does, and with which settings.

    Attributes:
        web: the noisy pages or tables.
        seed: pictures with human-written captions; the captioner and the filter learn from them.
        held_out: pictures with human-written captions that are never trained on.
        ingestion: limits, politeness and picture size.
        pretraining: both the model of the raw pairs and that of the selected ones.
        captioner: finetuning of the captioner.
        filter: finetuning of the filter.
        capfilt: how captions are sampled.
        selection: thresholds; the pipeline fills in batches and runs.
        rbm: the machine over the embeddings.
        evaluation: what is measured, and with how many resamples.
        rounds: how often CapFilt is bootstrapped from the model it helped to train.
        override: gates that may fail without stopping the run, each with who takes it on and why;
            they are kept with the verdict.
        budget_s: seconds of work that a thousand selected texts may cost; 0 for no budget.
    """

    web: Source
    seed: Source
    held_out: Source
    ingestion: Ingestion = field(default_factory=Ingestion)
    pretraining: Pretraining = field(default_factory=Pretraining)
    captioner: Finetuning = field(default_factory=Finetuning)
    filter: Finetuning = field(default_factory=Finetuning)
    capfilt: CapFilt = field(default_factory=CapFilt)
    selection: Selection = field(default_factory=Selection)
    rbm: RbmFit = field(default_factory=RbmFit)
    evaluation: Evaluation = field(default_factory=Evaluation)
    rounds: int = 1
    override: tuple[Override, ...] = ()
    budget_s: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.rounds <= MAX_ROUNDS:
            raise InputError(f"rounds is {self.rounds}; it can be 1 to {MAX_ROUNDS}")
        names = [self.web.batch, self.seed.batch, self.held_out.batch]
        if len(set(names)) != len(names):
            raise InputError(
                f"web, seed and held_out need three batches of their own, not {', '.join(names)}: "
                "what is held out must never be trained on"
            )
