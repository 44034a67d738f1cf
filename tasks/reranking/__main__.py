"""Rank the cached candidates of a batch: `python -m tasks.reranking LAKE --batch web ...`.

With `--judge` the weights are chosen on half of the pictures by a model that took no part; with
`--weights` they are given.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from tasks import rows
from tasks.commands import run_command
from tasks.errors import InputError
from tasks.reranking.candidates import TERMS
from tasks.reranking.stage import Reranking, Weights, rerank
from tasks.reranking.validation import validate_weights
from tasks.storage import open_lake


def main(arguments: Sequence[str]) -> None:
    """Read the command line, choose weights where a judge is named, and rank a batch."""
    parser = argparse.ArgumentParser(prog="python -m tasks.reranking", description=__doc__)
    parser.add_argument("lake", help="the lake's root: a folder or an fsspec URL")
    parser.add_argument("--batch", required=True, help="a batch that was captioned and scored")
    parser.add_argument("--captions", action="append", required=True, help="may be repeated")
    parser.add_argument("--scores", required=True, help="the filter's run")
    parser.add_argument("--rbm", default="", help="the RBM's run")
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--weights", type=weights_from, help="such as itm=0.5,pmi=0.5")
    chosen.add_argument("--judge", help="address of a model that took no part: it finds weights")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args(arguments)
    lake = open_lake(given.lake)
    weights = given.weights or Weights()
    how = Reranking(
        caption_runs=tuple(given.captions),
        score_run=given.scores,
        rbm_run=given.rbm,
        weights=weights,
    )
    facts: dict[str, Any] = {}
    if given.judge:
        facts = validate_weights(lake, given.batch, how, given.judge, given.device)
        how = replace(how, weights=Weights(**facts["weights"]))
    run = f"reranking-{rows.fingerprint(asdict(how))}"
    rerank(lake, run, given.batch, how, facts)


def weights_from(text: str) -> Weights:
    """Read weights such as "itm=0.5,pmi=0.5"; a term that is not named counts nothing.

    Raises:
        InputError: a name is unknown or there twice, or a value is no share.
    """
    given: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        if name.strip() in given:
            raise InputError(f"the weight of {name.strip()} is given twice in {text!r}")
        try:
            given[name.strip()] = float(value)
        except ValueError as error:
            raise InputError(f"{part!r} is no weight; write such as itm=0.5,pmi=0.5") from error
    unknown = sorted(set(given) - set(TERMS))
    if unknown:
        raise InputError(f"no term is called {unknown[0]!r}; there are {', '.join(TERMS)}")
    return Weights(**dict.fromkeys(TERMS, 0.0) | given)


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
