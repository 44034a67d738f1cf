"""What one URL gave."""

from dataclasses import dataclass

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
        attempts: tries made.
        seconds: from the first try to the last answer.
        retry_after_s: what a server asked for, in seconds.
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
    retry_after_s: float | None = None


def storable(text: str, most: int = 200) -> str:
    """Return the start of a text that came from outside, as one line that every table can hold.

    Header bytes that are no UTF-8 arrive as lone surrogates, which no encoder takes.
    """
    return " ".join(text.split())[:most].encode("utf-8", "replace").decode()
