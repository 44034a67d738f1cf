"""Which selections have taught a model: its own, and those of every model it was started from."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

LESSON = pa.schema(
    {
        "model": pa.string(),
        "depth": pa.int32(),
        "taught": pa.string(),
        "selection": pa.string(),
    }.items()
)


def lessons(
    models: Sequence[Mapping[str, Any]], versions: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return a row a model, model it was started from, and selection that one was trained on.

    A checkpoint's card holds the cards of those before it, so removing them loses nothing. An RBM
    was started from the model whose vectors it was fitted on; where nothing in the lake says which
    selection those were of, its registration does.
    """
    registered = {version["checkpoint"]: version["selections"] for version in versions}
    cards = {str(model["uri"]): json.loads(model["facts"]) for model in models}
    found: list[dict[str, Any]] = []
    for model in models:
        uri = str(model["uri"])
        own = model["selections"] or registered.get(uri, [])
        taught = [(uri, own), *_before(model["start"], cards.get(uri, {}), cards)]
        found += [
            {"model": uri, "depth": depth, "taught": by, "selection": selection}
            for depth, (by, selections) in enumerate(taught)
            for selection in selections
        ]
    return found


def _before(
    start: str | None, facts: Mapping[str, Any], cards: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, list[str]]]:
    """Yield each model it was started from with its selections, the nearest first."""
    while start:
        uri = start.partition("#")[0]
        facts = facts.get("start_facts") or cards.get(uri, {})
        yield uri, list(facts.get("selections") or ())
        start = facts.get("started_from")
