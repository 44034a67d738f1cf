"""What one URL gave."""

from dataclasses import dataclass, field

from tasks.ingestion.fetching.budget import Hold
from tasks.rows import Outcome


@dataclass(frozen=True, slots=True)
class Fetched:
    """An outcome (KEPT when the body is there), and how it went.

    Attributes:
        url: as it was asked for.
        outcome: KEPT or why there is no body.
        body: as sent, decompressed.
        message: one line for people.
        http_status: of the last answer; None when there was none.
        final_url: the address that gave the last answer.
        content_type: the header, as sent.
        attempts: tries made; 0 when the URL was not asked at all.
        seconds: from the first try to the last answer, `waited_s` included.
        waited_s: of them and before, in the queue of its hosts, in pauses and for memory.
        retry_after_s: what a server asked for, in seconds.
        may_pass: whether another try may end otherwise.
        hold: the memory its body takes of a budget.
    """

    url: str
    outcome: Outcome
    body: bytes = b""
    message: str = ""
    http_status: int | None = None
    final_url: str = ""
    content_type: str = ""
    attempts: int = 1
    seconds: float = 0.0
    waited_s: float = 0.0
    retry_after_s: float | None = None
    may_pass: bool = False
    hold: Hold | None = field(default=None, repr=False, compare=False)

    def release(self) -> None:
        """Give the memory of the body back to its budget; harmless without one, and twice."""
        if self.hold is not None:
            self.hold.release()


def storable(text: str, most: int = 200) -> str:
    """Return the start of a text that came from outside, as one line that every table can hold.

    Header bytes that are no UTF-8 arrive as lone surrogates, which no encoder takes.
    """
    if len(text) <= most and text.isascii() and text.isprintable():
        return text.strip()
    return " ".join(text.split())[:most].encode("utf-8", "replace").decode()
