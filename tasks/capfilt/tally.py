"""How far a job is: pictures, captions, and what the filter accepts of each source."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from models.captioner import Caption
from models.matcher import PairScore
from tasks.filter_quality import THRESHOLD
from tasks.rows import TextSource


@dataclass(slots=True)
class Tally:
    """What has been done so far.

    Attributes:
        shards: to be done in all.
        opened: of which the pictures are known.
        done: committed.
        spoilt: put into quarantine.
        known: pictures of the opened ones.
        pictures: done.
        captions: written.
        judged: texts by source.
        accepted: of those, with an ITM probability of BLIP's 0.5 or more.
        started: by the monotonic clock.
    """

    shards: int = 0
    opened: int = 0
    done: int = 0
    spoilt: int = 0
    known: int = 0
    pictures: int = 0
    captions: int = 0
    judged: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.started

    @property
    def images_per_s(self) -> float:
        """Pictures a second since the start."""
        return self.pictures / max(self.seconds, 1e-9)

    @property
    def left_s(self) -> float | None:
        """About how many seconds the rest takes; None while nothing can be said."""
        if not self.pictures or not self.opened:
            return None
        expected = self.known / self.opened * self.shards
        return max(expected - self.pictures, 0.0) / self.images_per_s

    def add(
        self, sources: Sequence[str], captions: Sequence[Caption], scores: Sequence[PairScore]
    ) -> None:
        """Count one picture: the sources of the texts it had, what was written, all scores."""
        self.pictures += 1
        self.captions += len(captions)
        judged = [*sources, *([str(TextSource.SYNTHETIC)] * len(captions))]
        for source, score in zip(judged, scores, strict=False):
            self.judged[source] += 1
            self.accepted[source] += score.itm_probability >= THRESHOLD

    def line(self) -> str:
        """Return one line about it."""
        parts = [
            f"{self.pictures:,} pictures, {self.done} of {self.shards} shards",
            f"{self.images_per_s:.1f} images/s",
        ]
        parts += [
            f"{source} {self.accepted[source] / judged:.0%} accepted"
            for source, judged in sorted(self.judged.items())
        ]
        if self.spoilt:
            parts.append(f"{self.spoilt} in quarantine")
        if self.left_s is not None and self.done + self.spoilt < self.shards:
            parts.append(f"about {self.left_s:.0f} s left")
        return ", ".join(parts)
