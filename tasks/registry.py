"""Models for people to load: versions with their lineage, and the alias `champion`.

Nothing of the project depends on what is kept here: the lake has every number and checkpoint, and
losing this database loses a view of them. With `tasks.tracking` this is the door to MLflow.

    register_model   a checkpoint folder becomes a version of a registered model
    promote          the alias `champion` moves when the gate passes; else it is `challenger`
    download         models:/<name>@<alias> or models:/<name>/<version> to a checkpoint folder
    lineage          what a registered model came from
"""

import logging
import math
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import set_model

from tasks.disk import folder_digest
from tasks.errors import InputError, ModelError
from tasks.storage import Lake
from tasks.tracking import (
    LONGEST_VALUE,
    RUN_TAG,
    Registry,
    Tracker,
    flattened,
    registry_at,
    run_named,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # MLflow's import warns of its own type hints
    from mlflow.pyfunc import PythonModel

# PythonModel and set_model are for tasks/serving.py, which MLflow runs by its path.
__all__ = [
    "PythonModel",
    "Registered",
    "Registry",
    "Tracker",
    "download",
    "lineage",
    "promote",
    "register_model",
    "set_model",
]

log = logging.getLogger(__name__)
# It misses a signature at every save; a picture is a path or bytes, which no signature can say.
logging.getLogger("mlflow.pyfunc").setLevel(logging.ERROR)

CHAMPION, CHALLENGER = "champion", "challenger"
# What `tasks.serving` does with each.
ROLES = {
    "caplift-captioner": "captioner",
    "caplift-filter": "filter",
    "caplift-blip": "blip",
    "caplift-rbm": "rbm",
}
SERVING = Path(__file__).with_name("serving.py")
METRIC = "metric."


@dataclass(frozen=True, slots=True)
class Registered:
    """A version of a registered model."""

    name: str
    version: str
    run_id: str

    @property
    def uri(self) -> str:
        """The address that always means this version."""
        return f"models:/{self.name}/{self.version}"


@dataclass(frozen=True, slots=True)
class Promotion:
    """What the gate said: the version's alias now, and why."""

    alias: str
    reason: str


def register_model(
    registry: Registry | str,
    name: str,
    checkpoint: Path,
    lineage: Mapping[str, Any],
    metrics: Mapping[str, float],
    config: Mapping[str, Any] = MappingProxyType({}),
) -> Registered:
    """Make a checkpoint a version of a registered model; the same checkpoint is one version.

    The version belongs to the tracked run that `lineage["run"]` names, where there is one.

    Args:
        registry: where.
        name: one of `ROLES`.
        checkpoint: a local checkpoint folder.
        lineage: what it came from: run, selections, revision, parent, plan; becomes tags.
        metrics: what it reached; `promote` reads them.
        config: for serving, such as {"decoding": {...}} of a captioner.

    Raises:
        InputError: the name is none of ours.
        ModelError: the folder is not there.
    """
    if name not in ROLES:
        raise InputError(f"a model is registered as one of {', '.join(ROLES)}, not {name!r}")
    if not checkpoint.is_dir():
        raise ModelError(f"there is no checkpoint folder {checkpoint} to register")
    where = registry_at(registry)
    client, experiment = where.client, where.experiment_id()
    digest = folder_digest(checkpoint)
    _ensure_named(client, name)
    same = [
        version
        for version in client.search_model_versions(f"name='{name}'")
        if version.tags.get("digest") == digest
    ]
    if same:
        version, run_id = str(same[0].version), str(same[0].run_id)
    else:
        run = str(lineage.get("run", ""))
        run_id = run_named(client, experiment, run) or _new_run(client, experiment, name, run)
        source = _upload(client, run_id, name, checkpoint, config)
        version = str(client.create_model_version(name, source, run_id).version)
    tags = {**flattened(lineage), **{METRIC + key: value for key, value in metrics.items()}}
    for key, value in {"digest": digest, **tags}.items():
        client.set_model_version_tag(name, version, key, str(value)[:LONGEST_VALUE])
    return Registered(name, version, run_id)


def promote(
    registry: Registry | str, name: str, version: str, metric: str, minimum: float = -math.inf
) -> Promotion:
    """Make a version the champion if it passes, else the challenger.

    It passes when its metric (higher is better) is at least `minimum` and at least that of the
    present champion. A champion that does not reach the minimum any more loses the alias.

    Raises:
        ModelError: the version or its metric is not there.
    """
    client = registry_at(registry).client
    mine = _metric(client, name, version, metric)
    champion = _version_with(client, name, CHAMPION)
    theirs = -math.inf
    if champion and champion != version:
        theirs = _metric(client, name, champion, metric)
    passes = mine >= max(minimum, theirs)  # false for NaN
    alias = CHAMPION if passes else CHALLENGER
    if not passes and champion == version:
        client.delete_registered_model_alias(name, CHAMPION)
    client.set_registered_model_alias(name, alias, version)
    reason = f"{metric} {mine:.4g}"
    if math.isfinite(minimum):
        reason += f", at least {minimum:.4g} is wanted"
    if math.isfinite(theirs):
        reason += f", the champion before (version {champion}) has {theirs:.4g}"
    log.info("%s version %s is %s: %s", name, version, alias, reason)
    return Promotion(alias, reason)


def download(uri: str, lake: Lake | None = None) -> Path:
    """Return the local checkpoint folder of a registered model, fetched once a process.

    MLflow's own address is used where one is set, else the database in the lake.

    Args:
        uri: `models:/<name>@<alias>` or `models:/<name>/<version>`.
        lake: where to look when no tracking address is set.

    Raises:
        ModelError: there is no such model, version or alias.
    """
    where = _registry_for(lake)
    name, version = _resolved(where.client, uri, where.tracking_uri)
    return _fetched(where.tracking_uri, name, version)


def lineage(registry: Registry | str, uri: str) -> dict[str, Any]:
    """Return what a registered model came from and reached.

    Returns:
        name, version, aliases, `tags` (lineage and metrics as registered), and of the run that
        made it: run_id, `parameters`, `inputs` (name and digest of each selection).

    Raises:
        ModelError: there is no such model, version or alias.
    """
    where = registry_at(registry)
    client = where.client
    name, version = _resolved(client, uri, where.tracking_uri)
    found = client.get_model_version(name, version)
    run = client.get_run(found.run_id)
    return {
        "name": name,
        "version": version,
        "aliases": sorted(found.aliases),
        "tags": dict(found.tags),
        "run_id": str(found.run_id),
        "parameters": dict(run.data.params),
        "inputs": {one.dataset.name: one.dataset.digest for one in run.inputs.dataset_inputs},
    }


def _registry_for(lake: Lake | None) -> Registry:
    if not mlflow.is_tracking_uri_set() and lake is not None and lake.is_local:
        return Registry(f"sqlite:///{lake.local_path('mlflow.db')}")
    return Registry(str(mlflow.get_tracking_uri()))


def _resolved(client: MlflowClient, uri: str, where: str) -> tuple[str, str]:
    """Return name and version of a `models:/` address."""
    path = uri.removeprefix("models:/").strip("/")
    try:
        if "@" in path:
            name, alias = path.split("@", 1)
            return name, str(client.get_model_version_by_alias(name, alias).version)
        name, _, version = path.partition("/")
        return name, str(client.get_model_version(name, version).version)
    except MlflowException as error:
        raise ModelError(
            f"{uri} is not registered at {where} ({error.message:.120}); an address is "
            "models:/<name>@champion or models:/<name>/<version>"
        ) from error


@lru_cache(maxsize=8)
def _fetched(tracking_uri: str, name: str, version: str) -> Path:
    source = Registry(tracking_uri).client.get_model_version_download_uri(name, version)
    folder = mlflow.artifacts.download_artifacts(
        artifact_uri=source, tracking_uri=tracking_uri, registry_uri=tracking_uri
    )
    (checkpoint,) = (Path(folder) / "artifacts").iterdir()
    return checkpoint


def _upload(
    client: MlflowClient, run_id: str, name: str, checkpoint: Path, config: Mapping[str, Any]
) -> str:
    """Store the checkpoint with the file that serves it; return where."""
    with tempfile.TemporaryDirectory() as folder:
        mlflow.pyfunc.save_model(
            f"{folder}/{name}",
            python_model=str(SERVING),
            artifacts={"checkpoint": str(checkpoint)},
            model_config={"role": ROLES[name], **config},
            pip_requirements=["caplift"],
        )
        client.log_artifacts(run_id, f"{folder}/{name}", name)
    return f"{client.get_run(run_id).info.artifact_uri}/{name}"


def _new_run(client: MlflowClient, experiment: str, name: str, run: str) -> str:
    run_id = client.create_run(experiment, tags={RUN_TAG: run}, run_name=run or name).info.run_id
    client.set_terminated(run_id)
    return str(run_id)


def _ensure_named(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException:
        client.get_registered_model(name)  # it is there already; any other trouble shows here


def _version_with(client: MlflowClient, name: str, alias: str) -> str:
    """Return the version that has an alias; empty when none has."""
    return str(client.get_registered_model(name).aliases.get(alias, ""))


def _metric(client: MlflowClient, name: str, version: str, metric: str) -> float:
    try:
        tags = client.get_model_version(name, version).tags
        return float(tags[METRIC + metric])
    except (MlflowException, KeyError) as error:
        raise ModelError(
            f"{name} version {version} has no metric {metric}; register it with its evaluation"
        ) from error
