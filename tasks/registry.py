"""Models for people to load: versions with their lineage, and the alias `champion`.

Nothing of the project depends on what is kept here: the lake has every number and checkpoint, and
losing this database loses a view of them. With `tasks.tracking` this is the door to MLflow.

    register_model   a checkpoint folder becomes a version of a registered model
    download         models:/<name>@<alias> or models:/<name>/<version> to a checkpoint folder
    lineage          what a registered model came from

Which version is `champion` is decided in `tasks.promotion`.
"""

import logging
import tempfile
import warnings
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import set_model

from tasks.description import MODEL_CARD, Description, Registered
from tasks.disk import folder_digest
from tasks.errors import InputError, ModelError
from tasks.storage import Lake
from tasks.tracking import (
    RUN_TAG,
    Registry,
    Tracker,
    is_absent,
    log_dataset,
    log_numbers,
    registry_at,
    resolved,
    run_named,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # MLflow's import warns of its own type hints
    from mlflow.pyfunc import PythonModel

# PythonModel and set_model are for tasks/serving.py, which MLflow runs by its path.
__all__ = [
    "Description",
    "PythonModel",
    "Registered",
    "Registry",
    "Tracker",
    "download",
    "lineage",
    "register_model",
    "set_model",
]

# It misses a signature at every save; a picture is a path or bytes, which no signature can say.
logging.getLogger("mlflow.pyfunc").setLevel(logging.ERROR)

# What `tasks.serving` does with each.
ROLES = {
    "caplift-captioner": "captioner",
    "caplift-filter": "filter",
    "caplift-blip": "blip",
    "caplift-rbm": "rbm",
    "caplift-vqa": "answerer",
}
SERVING = Path(__file__).with_name("serving.py")
LONGEST_DESCRIPTION = 5000  # MLflow's
PLAIN_FILES = (".safetensors", ".json")


def register_model(
    registry: Registry | str,
    name: str,
    checkpoint: Path,
    said: Description,
    config: Mapping[str, Any] = MappingProxyType({}),
) -> Registered:
    """Make a checkpoint a version of a registered model; the same checkpoint is one version.

    The version belongs to the tracked run that `said.lineage["run"]` names, where there is one.

    Args:
        registry: where.
        name: one of `ROLES`.
        checkpoint: a local folder of safetensors and JSON.
        said: its lineage, metrics and cards.
        config: for serving, such as {"decoding": {...}} of a captioner.

    Raises:
        InputError: the name is none of ours.
        ModelError: the folder is not there, or holds what could be a pickle.
    """
    if name not in ROLES:
        raise InputError(f"a model is registered as one of {', '.join(ROLES)}, not {name!r}")
    _check_folder(checkpoint)
    where = registry_at(registry)
    client, experiment = where.client, where.experiment_id()
    tags = {"digest": folder_digest(checkpoint), **said.tags}
    _ensure_named(client, name)
    same = [
        version
        for version in client.search_model_versions(f"name='{name}'")
        if version.tags.get("digest") == tags["digest"]
    ]
    card = said.cards.get(MODEL_CARD, "")[:LONGEST_DESCRIPTION]
    if same:
        version, run_id = str(same[0].version), str(same[0].run_id)
        changed = {key: value for key, value in tags.items() if same[0].tags.get(key) != value}
        for key, value in changed.items():
            client.set_model_version_tag(name, version, key, value)
        client.update_model_version(name, version, card)
    else:
        run = str(said.lineage.get("run", ""))
        run_id = run_named(client, experiment, run) or _new_run(client, experiment, name, run)
        source = _upload(client, run_id, name, checkpoint, (config, said.cards))
        # With its tags at once: a version without them would be found by nobody.
        made = client.create_model_version(name, source, run_id, tags=tags, description=card)
        version = str(made.version)
    _describe_run(client, run_id, said)
    return Registered(name, version, run_id)


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
    name, version = resolved(where, uri)
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
    name, version = resolved(where, uri)
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


def version_tags(where: Registry, name: str, version: str) -> dict[str, str]:
    """Return what is said of a version.

    Raises:
        ModelError: there is no such version.
    """
    resolved(where, f"models:/{name}/{version}")
    return dict(where.client.get_model_version(name, version).tags)


def alias_of(where: Registry, name: str, alias: str) -> str:
    """Return the version that has an alias; empty when none has.

    Raises:
        ModelError: there is no such model.
        InputError: the registry does not answer.
    """
    try:
        return str(where.client.get_registered_model(name).aliases.get(alias, ""))
    except MlflowException as error:
        if not is_absent(error):
            raise where.unusable(error) from error
        raise ModelError(
            f"no model {name} is registered at {where.tracking_uri} ({error.message:.120})"
        ) from error


def _registry_for(lake: Lake | None) -> Registry:
    if not mlflow.is_tracking_uri_set() and lake is not None and lake.is_local:
        return Registry(f"sqlite:///{lake.local_path('mlflow.db')}")
    return Registry(str(mlflow.get_tracking_uri()))


@lru_cache(maxsize=8)
def _fetched(tracking_uri: str, name: str, version: str) -> Path:
    source = Registry(tracking_uri).client.get_model_version_download_uri(name, version)
    try:
        folder = mlflow.artifacts.download_artifacts(
            artifact_uri=source, tracking_uri=tracking_uri, registry_uri=tracking_uri
        )
    except (MlflowException, OSError) as error:
        raise ModelError(
            f"the files of models:/{name}/{version} cannot be fetched from {source} "
            f"({str(error).splitlines()[0]:.120}); put them back, register the model again, or "
            f"give the alias to another version: python -m flows.registration rollback {name}"
        ) from error
    found = list(Path(folder, "artifacts").glob("*"))
    if len(found) != 1:
        raise ModelError(
            f"models:/{name}/{version} holds no checkpoint of Caplift; was it registered by "
            "another program?"
        )
    return found[0]


def _upload(
    client: MlflowClient,
    run_id: str,
    name: str,
    checkpoint: Path,
    beside: tuple[Mapping[str, Any], Mapping[str, str]],
) -> str:
    """Store the checkpoint with the file that serves it, its configuration and its cards."""
    config, cards = beside
    # A run may register several checkpoints, and none may replace another's files.
    place = f"{name}/{folder_digest(checkpoint)[:12]}"
    with tempfile.TemporaryDirectory() as folder:
        mlflow.pyfunc.save_model(
            f"{folder}/{name}",
            python_model=str(SERVING),
            artifacts={"checkpoint": str(checkpoint)},
            model_config={"role": ROLES[name], **config},
            pip_requirements=["caplift"],
        )
        for file, text in cards.items():
            Path(folder, name, file).write_text(text, encoding="utf-8")
        client.log_artifacts(run_id, f"{folder}/{name}", place)
    return f"{client.get_run(run_id).info.artifact_uri}/{place}"


def _check_folder(checkpoint: Path) -> None:
    if not checkpoint.is_dir():
        raise ModelError(f"there is no checkpoint folder {checkpoint} to register")
    others = sorted(
        path.name
        for path in checkpoint.rglob("*")
        if path.is_file() and path.suffix not in PLAIN_FILES
    )
    if others:
        raise ModelError(
            f"{checkpoint} holds {', '.join(others[:3])}: only safetensors and JSON are "
            "registered, since any other file may run code when it is loaded"
        )


def _describe_run(client: MlflowClient, run_id: str, said: Description) -> None:
    """Give the run that made a version its dataset inputs and what the version reached."""
    log_numbers(client, run_id, said.numbers)
    known = {one.dataset.name for one in client.get_run(run_id).inputs.dataset_inputs}
    for selection, digest in said.lineage.get("selections", {}).items():
        if selection not in known:
            card = f"selections/{selection}/selection.json"
            log_dataset(client, run_id, selection, digest, card)


def _new_run(client: MlflowClient, experiment: str, name: str, run: str) -> str:
    run_id = client.create_run(experiment, tags={RUN_TAG: run}, run_name=run or name).info.run_id
    client.set_terminated(run_id)
    return str(run_id)


def _ensure_named(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException:
        client.get_registered_model(name)  # it is there already; any other trouble shows here
