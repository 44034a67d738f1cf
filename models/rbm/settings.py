"""How a machine learns, with the defaults that were found best for each kind of visible units."""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from models.rbm.rows import OnBad
from models.rbm.units import Visible

Method = Literal["cd", "pcd", "pt"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """How a machine learns; `Training.of(visible)` gives the defaults of a kind.

    Attributes:
        method: "cd" starts the model's chains at each batch's rows, "pcd" lets them run on, "pt"
            runs them at several temperatures that exchange their states.
        k: Gibbs sweeps an update.
        chains: rows that sample the model; "cd" takes as many as the batch has.
        temperatures: of "pt", from no weights to all of them.
        optimiser: "adam", or "sgd" for plain ascent, which Bernoulli machines need: Adam's equal
            steps drive persistent chains apart (Bars-and-Stripes: -4 nats instead of -2.7).
        learning_rate: at the first update.
        final_share: of the rate, at the last update; persistent chains get worse with more
            training when it does not fall.
        updates: over which the rate falls, linearly.
        momentum: of "sgd".
        weight_decay: on W only.
        sparsity_target: mean activity that hidden biases are pulled to.
        sparsity_cost: how hard; 0 leaves them alone.
        centring: learn in coordinates about the data's means (Melchior, Fischer and Wiskott 2016).
        learn_variance: of Gaussian visibles; false keeps them at their start.
        on_bad: what to do with rows that hold NaN or infinite values.
    """

    method: Method = "pcd"
    k: int = 5
    chains: int = 256
    temperatures: int = 10
    optimiser: Literal["adam", "sgd"] = "adam"
    learning_rate: float = 0.02
    final_share: float = 0.02
    updates: int = 4000
    momentum: float = 0.0
    weight_decay: float = 1e-4
    sparsity_target: float = 0.1
    sparsity_cost: float = 0.0
    centring: bool = False
    learn_variance: bool = True
    on_bad: OnBad = "raise"

    def __post_init__(self) -> None:
        self._refuse_impossible_sizes()
        self._refuse_unknown_words()
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum lies from 0 up to 1, not {self.momentum}")
        if self.momentum and self.optimiser == "adam":
            raise ValueError("momentum is of optimiser sgd; adam keeps its own")
        if self.method == "pt" and self.temperatures < 2:
            raise ValueError(f"pt needs 2 temperatures or more, not {self.temperatures}")
        if not (0 < self.final_share <= 1 and 0 < self.sparsity_target < 1):
            raise ValueError(
                f"final_share lies above 0 up to 1 and sparsity_target between 0 and 1, not "
                f"{self.final_share} and {self.sparsity_target}"
            )

    def _refuse_impossible_sizes(self) -> None:
        for name in ("k", "chains", "updates", "temperatures"):
            count = getattr(self, name)
            if not (0 < count < math.inf and count == int(count)):
                raise ValueError(f"{name} is above 0 and whole, not {count}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate is above 0 and finite, not {self.learning_rate}")
        for name in ("weight_decay", "sparsity_cost"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is 0 or more and finite, not {getattr(self, name)}")

    def _refuse_unknown_words(self) -> None:
        for name, allowed in (
            ("method", ("cd", "pcd", "pt")),
            ("optimiser", ("adam", "sgd")),
            ("on_bad", ("raise", "drop")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is one of {allowed}, not {getattr(self, name)!r}")

    @classmethod
    def of(cls, visible: Visible, **changes: Any) -> Self:
        """Return the defaults for machines with these visible units, with these changes."""
        if visible == "gaussian":
            return cls(**changes)
        discrete = cls(
            chains=500,
            optimiser="sgd",
            learning_rate=0.05,
            final_share=0.01,
            # Of 0, 0.5 and 0.8 the one that serves both: on 3,000 updates of MNIST with 16 hidden
            # units 6 nats better than none on digits held out, where 0.8 makes Bars-and-Stripes
            # lose up to 0.9 nats on the way.
            momentum=0.0 if changes.get("optimiser") == "adam" else 0.5,
            weight_decay=2e-4,
            centring=True,
        )
        return replace(discrete, **changes)

    def rate_at(self, update: int) -> float:
        """The learning rate of update 0, 1, ...; after the last it stays where it ended."""
        share = min(update / self.updates, 1.0)
        return self.learning_rate * (1 - (1 - self.final_share) * share)
