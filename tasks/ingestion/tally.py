"""What an ingestion has done so far, as sums that add up over processes."""

from collections import Counter
from dataclasses import dataclass, field

from tasks.rows import Outcome

# Where a candidate can be between its turn and its row.
PHASES = ("politeness", "network", "decoding")


@dataclass(slots=True)
class Tally:
    """Counts of one process, or of several added up.

    Attributes:
        planned: candidates of the shards opened so far.
        outcomes: candidates that are done, by outcome.
        bytes_fetched: of bodies.
        bytes_stored: of pictures.
        shards: committed.
        cpu_s: CPU seconds by stage: `fetch` is the event loop's thread, `decode` the decoder's,
            `write` the writer's, `start` what went before the first candidate.
        waiting: candidates in each of `PHASES` now.
    """

    planned: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    bytes_fetched: int = 0
    bytes_stored: int = 0
    shards: int = 0
    cpu_s: dict[str, float] = field(default_factory=dict)
    waiting: Counter[str] = field(default_factory=Counter)

    @property
    def done(self) -> int:
        """Candidates that have an outcome."""
        return self.outcomes.total()

    @property
    def kept(self) -> int:
        """Candidates whose picture is stored."""
        return self.outcomes[Outcome.KEPT]

    def add(self, other: "Tally") -> None:
        """Add what another process has done."""
        self.planned += other.planned
        self.outcomes.update(other.outcomes)
        self.bytes_fetched += other.bytes_fetched
        self.bytes_stored += other.bytes_stored
        self.shards += other.shards
        for stage, seconds in other.cpu_s.items():
            self.spend(stage, seconds)
        self.waiting.update(other.waiting)

    def spend(self, stage: str, seconds: float) -> None:
        """Count CPU seconds to a stage."""
        self.cpu_s[stage] = self.cpu_s.get(stage, 0.0) + seconds
