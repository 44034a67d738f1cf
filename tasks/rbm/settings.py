"""How a machine over embeddings is fitted: its size, how it learns, and when it is looked at."""

from dataclasses import dataclass, field

import torch

from models.rbm.settings import Training
from tasks.bounds import above_zero, at_least
from tasks.errors import InputError
from tasks.rbm.preparing import TEST_SHARE

MOST_SEEDS = 2**32
PRECISIONS = {"float32": torch.float32, "float64": torch.float64}


def _of_embeddings() -> Training:
    return Training.of("gaussian", updates=1500, learning_rate=0.01)


@dataclass(frozen=True, kw_only=True, slots=True)
class RbmFit:
    """How a machine is fitted.

    Attributes:
        hidden: hidden units.
        training: method, rates, chains, and how many updates are taken at most.
        batch_size: rows an update.
        window: rows held in memory at a time and shuffled among themselves.
        validation_share: of the pictures, kept to say when to stop.
        measured_rows: most rows of each kind that a look reads.
        patience: looks without a better likelihood after which the fit stops; the best state is
            the result.
        look_every: updates between two looks.
        save_every: updates between two likelihoods, which is when the state is saved too.
        ais_chains: of the log Z estimate.
        ais_betas: steps of its annealing at the end; the looks take a quarter of them.
        precision: float32 or float64, of the machine.
        seed: of everything random; below 2 ** 32, since looks draw by a million times it.
    """

    hidden: int = 64
    training: Training = field(default_factory=_of_embeddings)
    batch_size: int = 256
    window: int = 32_768
    validation_share: float = 0.1
    measured_rows: int = 10_000
    patience: int = 4
    look_every: int = 50
    save_every: int = 100
    ais_chains: int = 128
    ais_betas: int = 1000
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        above_zero(self, "hidden", "batch_size", "window", "patience", "look_every", "save_every")
        at_least(2, self, "measured_rows", "ais_chains", "ais_betas")
        at_least(0, self, "seed")
        if self.seed >= MOST_SEEDS:
            raise InputError(f"seed is below 2 ** 32, not {self.seed}")
        if not 0 < self.validation_share < 1 - TEST_SHARE:
            raise InputError(
                f"validation_share lies between 0 and {1 - TEST_SHARE:g}, since {TEST_SHARE:g} is "
                f"the test's; it is {self.validation_share}"
            )
        if self.precision not in PRECISIONS:
            raise InputError(f"precision is {' or '.join(PRECISIONS)}, not {self.precision!r}")

    @property
    def looks(self) -> int:
        """How many looks there are at most."""
        last = self.training.updates
        every = (*range(self.look_every, last, self.look_every),)
        saves = (*range(self.save_every, last, self.save_every),)
        return len({*every, *saves, last})

    @property
    def dtype(self) -> torch.dtype:
        """The precision as torch has it."""
        return PRECISIONS[self.precision]
