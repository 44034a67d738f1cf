"""A finished model becomes a version in the registry, with its cards, and meets the gate.

registrations/<name>/<version>.json holds what was registered, what the gate said and the alias that
the version has now, for the catalogue.

The champion is compared on the same pictures: where its own evaluation was of others, it is
evaluated again on those of the new version. One that cannot be loaded any more is compared by the
numbers it was registered with.
"""

import contextlib
import json
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasks.cards import data_card, data_card_text, model_card
from tasks.contenders import RBM_METRIC, Candidate
from tasks.description import MODEL_CARD
from tasks.errors import InputError, ModelError
from tasks.evaluation.exams import TASKS
from tasks.evaluation.report import EvaluationReport, compare, is_evaluated, read_report
from tasks.evaluation.settings import Evaluation
from tasks.evaluation.stage import evaluate
from tasks.metrics.bootstrap import Difference
from tasks.promotion import CHALLENGER, CHAMPION, Decision, promote
from tasks.rbm.contest import against
from tasks.registry import Description, Registered, Registry, alias_of, register_model, version_tags
from tasks.rows import fingerprint
from tasks.settings import settings_from
from tasks.storage import Lake
from tasks.tracking import registry_at

log = logging.getLogger(__name__)

ABOUT = {
    "caplift-captioner": "Writes a caption for a picture: `predict([picture, ...])`.",
    "caplift-filter": "Says whether a text fits a picture: "
    '`predict([{"image": picture, "text": text}, ...])`.',
    "caplift-blip": "Embeds pictures as unit vectors: `predict([picture, ...])`.",
    "caplift-rbm": "Gives the pointwise mutual information of a picture's and a text's vector: "
    '`predict([{"image_embedding": vector, "text_embedding": vector}, ...])`.',
    "caplift-vqa": "Answers questions about pictures: "
    '`predict([{"image": picture, "question": text}, ...])`.',
}


def register_candidate(
    lake: Lake, registry: Registry | str, candidate: Candidate, device: str = "cpu"
) -> tuple[Registered, Decision]:
    """Register a model, let the gate decide, and write both down in the lake.

    Raises:
        ModelError: its folder is missing or holds what is not registered, or it lacks a gate
            metric.
    """
    where = registry_at(registry)
    said = _described(lake, candidate)
    with _local_copy(lake, candidate.folder) as folder:
        made = register_model(where, candidate.name, folder, said, candidate.config)
    before = alias_of(where, made.name, CHAMPION)
    paired = {}
    if before not in ("", made.version):
        paired = _against_champion(lake, where, candidate, f"models:/{made.name}/{before}", device)
    decision = promote(where, made.name, made.version, candidate.gate, paired, before)
    _record(lake, where, candidate, made, decision)
    record_aliases(lake, where, made.name)
    return made, decision


def _record(
    lake: Lake, where: Registry, candidate: Candidate, made: Registered, decision: Decision
) -> None:
    record = {
        **_lineage(candidate),
        "name": made.name,
        "version": made.version,
        "registry": where.tracking_uri,
        "run_id": made.run_id,
        "uri": made.uri,
        "digest": version_tags(where, made.name, made.version)["digest"],
        "metrics": {name: asdict(one) for name, one in candidate.metrics.items()},
        "decision": asdict(decision),
    }
    lake.publish_json(_record_path(made.name, made.version), record)


def register_unjudged(lake: Lake, registry: Registry | str, candidate: Candidate) -> Registered:
    """Register a model without an evaluation: no alias names it until one has passed the gate.

    Raises:
        ModelError: its folder is missing or holds what is not registered.
    """
    where = registry_at(registry)
    said = _described(lake, candidate)
    with _local_copy(lake, candidate.folder) as folder:
        made = register_model(where, candidate.name, folder, said, candidate.config)
    # What was judged before stays judged.
    if not lake.exists(_record_path(made.name, made.version)):
        _record(lake, where, candidate, made, Decision(alias="", reason="it was not evaluated"))
    return made


def record_aliases(lake: Lake, registry: Registry | str, name: str) -> None:
    """Write into the lake which versions have which alias now.

    Raises:
        ModelError: there is no such model.
    """
    where = registry_at(registry)
    now = {alias_of(where, name, alias): alias for alias in (CHALLENGER, CHAMPION)}
    for version in lake.names(f"registrations/{name}", ".json"):
        record = lake.read_json(_record_path(name, version))
        alias = now.get(version, "")
        if record.get("alias") != alias:
            lake.publish_json(_record_path(name, version), {**record, "alias": alias})


def _record_path(name: str, version: str) -> str:
    return f"registrations/{name}/{version}.json"


def _lineage(candidate: Candidate) -> dict[str, Any]:
    """Return what a model came from and was judged by."""
    return {
        **candidate.lineage,
        "checkpoint": candidate.folder,
        "evaluation": candidate.evaluation,
    }


def _described(lake: Lake, candidate: Candidate) -> Description:
    lineage = _lineage(candidate)
    report = asdict(read_report(lake, candidate.evaluation)) if candidate.evaluation else {}
    taught = data_card(lake, lineage.get("selections", {}))
    about = ABOUT.get(candidate.name, "")
    cards = {
        MODEL_CARD: model_card(candidate.name, about, lineage, candidate.metrics, report),
        "data_card.md": data_card_text(taught),
        "data_card.json": json.dumps(taught, indent=2, sort_keys=True, default=str) + "\n",
    }
    plan = str(lineage.get("plan", ""))
    if plan and lake.exists(plan):
        cards["plan.json"] = lake.read_bytes(plan).decode()
    return Description(lineage=lineage, metrics=candidate.metrics, cards=cards)


def _against_champion(
    lake: Lake, where: Registry, candidate: Candidate, champion: str, device: str
) -> dict[str, Difference]:
    """Compare with the champion on the same pictures; empty where that does not work."""
    if candidate.name == "caplift-rbm":
        run = candidate.folder.rsplit("/", 1)[-1]
        found = against(lake, run, champion)
        return {RBM_METRIC: found} if found is not None else {}
    if not candidate.evaluation:
        return {}
    mine = read_report(lake, candidate.evaluation)
    known = version_tags(where, candidate.name, champion.rsplit("/", 1)[-1]).get("evaluation", "")
    if known and is_evaluated(lake, known):
        with contextlib.suppress(InputError):  # other pictures: it is evaluated again, on these
            return compare(lake, read_report(lake, known), mine)
    try:
        theirs = _evaluated_again(lake, champion, mine, device)
    except ModelError as error:  # an old champion must not keep every new one out
        log.warning("the champion is compared by the numbers it was registered with: %s", error)
        return {}
    return compare(lake, theirs, mine)


def _evaluated_again(
    lake: Lake, address: str, like: EvaluationReport, device: str
) -> EvaluationReport:
    run = f"evaluation-{fingerprint([like.settings, address, like.batch])}"
    if like.task in TASKS:
        settings, work = TASKS[like.task]
        return work(lake, run, address, settings_from(settings, like.settings), device)
    how = settings_from(Evaluation, like.settings)
    return evaluate(lake, run, address, like.batch, how, device)


@contextlib.contextmanager
def _local_copy(lake: Lake, folder: str) -> Iterator[Path]:
    """Give the folder as it lies on this disk, or a copy of it from the object store."""
    if lake.is_local:
        yield lake.local_path(folder)
        return
    with tempfile.TemporaryDirectory() as copy:
        target = Path(copy) / Path(folder).name
        lake.fs.get(lake.path(folder), str(target), recursive=True)
        yield target
