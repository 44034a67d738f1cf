"""The names of runs: equal choices on equal inputs have an equal name."""

from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from flows.environment import this_machine
from tasks.regimen import COMPUTING, Regimen
from tasks.rows import fingerprint
from tasks.samples import selection_digest
from tasks.storage import Lake


def run_name(stage: str, *facts: Any) -> str:
    """Return `<stage>-<12 hex digits>` of the settings and inputs of a run.

    The same choice on the same input has the same name, so doing it again finds what is committed
    and goes on from there; any other choice writes beside it. Threads and ranks are no choice.
    """
    return f"{stage}-{fingerprint([_plain(fact) for fact in facts])}"


def contents(lake: Lake, selections: Sequence[str]) -> list[str]:
    """Return what selections hold, to name a run after: their digests, whatever they are called.

    A selection's own name covers the crawl's rows, fetch times too; the same pages crawled again
    give other names and equal contents, and a run on them is the same run.

    Raises:
        InputError: a selection is missing or unfinished.
    """
    return [selection_digest(lake, name) for name in selections]


def exact(lake: Lake, address: str) -> str:
    """Return an address that always means one model: an alias becomes the version it points to.

    A run that was named after `models:/caplift-captioner@champion` would be taken for done when
    another version is the champion.

    Raises:
        ModelError: there is no such model or alias.
    """
    if not address.startswith("models:/") or "@" not in address:
        return address
    from tasks.registry import lineage  # MLflow takes seconds to import

    found = lineage(this_machine().mlflow_uri(lake), address)
    return f"models:/{found['name']}/{found['version']}"


def _plain(fact: Any) -> Any:
    if not is_dataclass(fact) or isinstance(fact, type):
        return fact
    unnamed = COMPUTING if isinstance(fact, Regimen) else ()
    return {name: value for name, value in asdict(fact).items() if name not in unnamed}
