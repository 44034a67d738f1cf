"""Selection: what is trained on, decided in SQL over captions and scores that stay where they are.

Every rule of `sql/rules` is evaluated for every caption and each finding is written as a decision;
a policy of `sql/policies` says which of them drop and which only flag. So a threshold changes in
seconds without a GPU, and "dropped for this reason alone" has an answer. A selection's id is made
of policy, rules, thresholds and inputs: the same choice on the same captions is the same selection.

`python -m tasks.selection LAKE --batch web --policy raw` runs it without Prefect.
"""

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sql.statements import names, statement
from tasks import rows
from tasks.commands import run_command
from tasks.errors import InputError
from tasks.selection_files import write_shards
from tasks.selection_inputs import INGESTED, SelectionInputs, find_inputs
from tasks.storage import Lake, open_lake
from tasks.thresholds import Thresholds

__all__ = ["Selection", "SelectionCard", "Thresholds", "policies", "select"]

log = logging.getLogger(__name__)

# They rank what the other rules, and those before them, leave standing. The first is evaluated for
# every selection, the others where the policy names them: they cost more than all rules together.
RANKINGS = ("texts_per_source", "texts_per_picture", "itm_top_k", "concept_cap")


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Which captions of which runs a policy chooses from.

    Attributes:
        policy: a name of `sql/policies`.
        batches: pictures to choose from; a batch may lack a run altogether, not partly.
        caption_runs: captioners' runs; the texts of ingestion are always read.
        score_run: the filter's scores; the policies that judge by a model need it.
        rbm_run: the RBM's scores; `pmi` needs it.
        rerank_run: a re-ranking; of a captioner's texts for a picture its first choice is kept.
        evaluation_batches: pictures that no selection may hold, where the lake has them.
        thresholds: the numbers the rules compare with.
    """

    policy: str = "blip"
    batches: tuple[str, ...] = ()
    caption_runs: tuple[str, ...] = ()
    score_run: str = ""
    rbm_run: str = ""
    rerank_run: str = ""
    evaluation_batches: tuple[str, ...] = ("evaluation",)
    thresholds: Thresholds = field(default_factory=Thresholds)

    def __post_init__(self) -> None:
        if self.policy not in policies():
            raise InputError(f"no policy is called {self.policy!r}; there are {_listed()}")
        if len(set(self.batches)) != len(self.batches):
            raise InputError(f"batches names one twice: {', '.join(self.batches)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectionCard:
    """What a selection is: written last, so a selection with a card is whole.

    Attributes:
        id: names the choice: policy, rules, thresholds, inputs.
        digest: sha256 of the selected rows; two selections with one digest train alike.
        how: the settings.
        counts: captions, selected and dropped.
        sources: the same for web, synthetic and human texts, with the share that is kept.
        reasons: how many captions each reason drops: at all, first, alone.
        inputs: one digest for all files read, and their number.
        seconds: how long it took.
    """

    id: str
    digest: str
    how: dict[str, Any]
    counts: dict[str, int]
    sources: dict[str, dict[str, float]]
    reasons: list[dict[str, Any]]
    inputs: dict[str, Any]
    seconds: float


def policies() -> tuple[str, ...]:
    """Return the names of the policies."""
    return tuple(name.removeprefix("policies/") for name in names("policies"))


def select(lake: Lake, how: Selection) -> SelectionCard:
    """Decide about every caption and publish what is selected; the card comes last.

    Returns:
        The card; the existing one when the same choice was made before on the same inputs.

    Raises:
        InputError: a run the policy needs is not named, or nothing at all is selected.
        LakeError: a batch or run is missing or unfinished.
    """
    started = time.monotonic()
    _check_runs(how)
    inputs = find_inputs(lake, how)
    identity = f"{how.policy}-{rows.fingerprint([asdict(how), _rule_texts(how), inputs.digest])}"
    card = f"selections/{identity}/selection.json"
    if lake.exists(card):
        return SelectionCard(**lake.read_json(card))
    made = _publish(lake, how, inputs, identity, started)
    lake.publish_json(card, asdict(made))
    log.info("%s: %d of %d captions", identity, made.counts["selected"], made.counts["captions"])
    return SelectionCard(**lake.read_json(card))


def _publish(
    lake: Lake, how: Selection, inputs: SelectionInputs, identity: str, started: float
) -> SelectionCard:
    """Decide in memory, write the rows of every shard, and return the card."""
    # Imported here: the settings are read on hosts that have no DuckDB.
    from tasks.database import Database

    with Database() as database:
        _decide(database, lake, how, inputs)
        sources = {
            row.pop("source"): {**row, "keep_rate": round(row["selected"] / row["captions"], 4)}
            for row in database.rows("selection/source_counts")
        }
        reasons = database.rows("selection/reason_counts")
        captions = sum(int(row["captions"]) for row in sources.values())
        selected = sum(int(row["selected"]) for row in sources.values())
        if not selected:
            raise InputError(_nothing_left(how, captions, reasons))
        digest = write_shards(lake, database, inputs.shards, identity, started)
    return SelectionCard(
        id=identity,
        digest=digest,
        how=asdict(how),
        counts={"captions": captions, "selected": selected, "dropped": captions - selected},
        sources=sources,
        reasons=reasons,
        inputs={"digest": inputs.digest, "files": inputs.n_files},
        seconds=round(time.monotonic() - started, 3),
    )


def _decide(database: Any, lake: Lake, how: Selection, inputs: SelectionInputs) -> None:
    """Fill the tables `candidate`, `place`, `finding`, `decision` and `outcome`.

    All captions are decided together, also when one shard is new: how often a text is repeated,
    the best fraction by ITC, an RBM's quantile, copies of a picture and ranks are of all of them.
    """
    database.know("batch", [*how.batches, *how.evaluation_batches])
    database.know("shard", [shard.name for shard in inputs.shards])
    database.know("source", rows.TextSource)
    for table, (files, schema) in inputs.tables.items():
        database.load(table, lake, files, schema)
    numbers = asdict(how.thresholds)
    database.create("cheap_rule", "selection/cheap_rules")
    database.create("policy", f"policies/{how.policy}")
    database.create("rule", "selection/rules")
    database.run("macros/alike_pictures")
    database.create("leakage", "selection/leakage", **numbers)
    database.create("candidate", "selection/candidates", **numbers)
    database.create("place", "selection/places")
    database.create("finding", "selection/findings")
    for name in names("rules"):
        database.append("finding", name, name.removeprefix("rules/"), **numbers)
    policy = statement(f"policies/{how.policy}")
    for name in RANKINGS:
        if name == RANKINGS[0] or f"'{name}'" in policy:
            database.create("standing", "selection/standing")
            database.append("finding", f"rankings/{name}", name, **numbers)
    database.create("decision", "selection/decisions")
    database.create("outcome", "selection/outcomes")


def _check_runs(how: Selection) -> None:
    text = statement(f"policies/{how.policy}")
    if not how.batches:
        raise InputError("a selection needs at least one batch to choose from; name it in batches")
    if "'not_scored'" in text and not how.score_run:
        raise InputError(
            f"policy {how.policy} judges by the filter's scores; name them in score_run"
        )
    if "'itm_top_k'" in text and not how.thresholds.top_k:
        raise InputError(
            f"policy {how.policy} keeps as many texts as thresholds.top_k says; set it above 0"
        )
    if "'rbm_pmi'" in text and not how.rbm_run:
        raise InputError(f"policy {how.policy} judges by an RBM's scores; name them in rbm_run")


def _rule_texts(how: Selection) -> list[str]:
    """The statements a selection's content depends on: another text is another selection."""
    used = [f"policies/{how.policy}", "macros/alike_pictures"]
    used += [*names("rules"), *names("rankings"), *names("selection")]
    return [statement(name) for name in used]


def _nothing_left(how: Selection, captions: int, reasons: Sequence[dict[str, Any]]) -> str:
    if not captions:
        return f"batches {', '.join(how.batches)} have no captions, so there is nothing to select"
    top = reasons[0]
    return (
        f"policy {how.policy} keeps none of {captions} captions; most are dropped as "
        f"{top['reason']} ({top['n_first']}): loosen that threshold, or choose another policy "
        f"({_listed()})"
    )


def _listed() -> str:
    return ", ".join(policies())


def main(arguments: Sequence[str]) -> None:
    """Read the command line and select; the card is printed as the log's last line."""
    parser = argparse.ArgumentParser(prog="python -m tasks.selection", description=__doc__)
    parser.add_argument("lake", help="the lake's root: a folder or an fsspec URL")
    parser.add_argument("--batch", action="append", required=True, help="may be repeated")
    parser.add_argument("--policy", default="blip", help=_listed())
    parser.add_argument("--caption-run", action="append", default=[], help="may be repeated")
    parser.add_argument("--score-run", default="")
    parser.add_argument("--rbm-run", default="")
    parser.add_argument("--rerank-run", default="", help="keep the first choice of this re-ranking")
    parser.add_argument("--itm-probability", type=float, default=Thresholds().itm_probability)
    parser.add_argument("--top-k", type=int, default=0, help="texts that policy top_k keeps")
    given = parser.parse_args(arguments)
    how = Selection(
        policy=given.policy,
        batches=tuple(given.batch),
        caption_runs=tuple(run for run in given.caption_run if run != INGESTED),
        score_run=given.score_run,
        rbm_run=given.rbm_run,
        rerank_run=given.rerank_run,
        thresholds=Thresholds(itm_probability=given.itm_probability, top_k=given.top_k),
    )
    card = select(open_lake(given.lake), how)
    log.info("selections/%s/selection.json is its card", card.id)


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
