"""How a model is finetuned."""

from dataclasses import dataclass, field

from models.decoding import Decoding
from models.objective import Objective, brief
from tasks.bounds import at_least, between, shares
from tasks.regimen import Regimen

MOST_TOKENS = 256  # beside some 200 to 900 of the picture


@dataclass(frozen=True, kw_only=True, slots=True)
class Finetuning(Regimen):
    """How a model is finetuned; what `Regimen` has, and these.

    Rate and steps suit the presets tiny and minilm. BLIP's own finetuning (Li et al. 2022) took
    1e-5, its large captioner 2e-6 and large retrieval 5e-6, VQA 2e-5.

    Attributes:
        image_size: pixels a side, when they are other than the start's; its positions are
            interpolated. BLIP goes from 224 to 384. 0 keeps the start's.
        held_out: share of the pictures that are not trained on, but looked at for a collapse.
        prompt: what every caption is made to begin with, "a picture of" in BLIP; captioner only.
        objective: None takes `models.objective.brief(steps)`.
        alpha_epochs: over how many epochs the teacher's share rises; filter only.
        decoding: how the captions are written that are looked at for a collapse.
        rbm: a fitted RBM whose hidden units become tokens that the decoder may look at: the run of
            one in the lake, or an address such as `models:/caplift-rbm@champion`; it was fitted on
            vectors of the start. Empty for none; captioner only.
        rbm_tokens: how many tokens, `MOST_TOKENS` at most.
    """

    steps: int = 200
    learning_rate: float = 3e-4
    image_size: int = 0
    held_out: float = 0.05
    prompt: str = ""
    objective: Objective | None = None
    alpha_epochs: float = 1.0
    decoding: Decoding = field(default_factory=Decoding)
    rbm: str = ""
    rbm_tokens: int = 4

    def __post_init__(self) -> None:
        Regimen.__post_init__(self)
        at_least(0, self, "alpha_epochs", "image_size")
        between(1, MOST_TOKENS, self, "rbm_tokens")
        shares(self, "held_out")

    @property
    def objective_used(self) -> Objective:
        """The objective given, or the one that suits the number of steps."""
        return self.objective or brief(self.steps)
