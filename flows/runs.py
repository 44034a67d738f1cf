"""The names of runs: equal choices on equal inputs have an equal name."""

from dataclasses import asdict, is_dataclass
from typing import Any

from tasks.rows import fingerprint


def run_name(stage: str, *facts: Any) -> str:
    """Return `<stage>-<12 hex digits>` of the settings and inputs of a run.

    The same choice on the same input has the same name, so doing it again finds what is committed
    and goes on from there; any other choice writes beside it.
    """
    return f"{stage}-{fingerprint([_plain(fact) for fact in facts])}"


def _plain(fact: Any) -> Any:
    return asdict(fact) if is_dataclass(fact) and not isinstance(fact, type) else fact
