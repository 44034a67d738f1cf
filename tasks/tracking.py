"""Runs for people to look at: parameters, metrics and inputs in MLflow.

Everything goes through a client of its own rather than through MLflow's global run, because flows
train in several threads of one process. With `tasks.registry` this is the door to MLflow.
"""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param
from mlflow.environment_variables import (
    MLFLOW_DISABLE_TELEMETRY,
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR,
    MLFLOW_HTTP_REQUEST_MAX_RETRIES,
)
from mlflow.exceptions import MlflowException
from mlflow.telemetry import set_telemetry_client
from sqlalchemy.exc import SQLAlchemyError

from tasks.description import flattened
from tasks.errors import InputError, ModelError

EXPERIMENT = "caplift"
RUN_TAG = "caplift.run"
# MLflow's own limits.
PARAMETERS_A_CALL, METRICS_A_CALL, LONGEST_VALUE, LONGEST_DIGEST = 100, 1000, 6000, 36

HELD = ".being-promoted"
LEFT_BEHIND_S, POLL_S = 120, 0.25

# Also for whoever loads a model in a process that flows/environment.py has not prepared.
MLFLOW_DISABLE_TELEMETRY.set(True)
set_telemetry_client()
MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)
# Its own seven keep whoever has mistyped the server's address waiting for four minutes.
RETRIES = 3
if not MLFLOW_HTTP_REQUEST_MAX_RETRIES.is_set():
    MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(RETRIES)


@dataclass(frozen=True, slots=True)
class Registry:
    """Where runs and models are kept.

    Attributes:
        tracking_uri: `sqlite:///<lake>/mlflow.db`, or a server's address.
        artifact_root: a folder or object-store prefix for files; empty means `mlflow` beside a
            SQLite database, and a server's own choice.
    """

    tracking_uri: str
    artifact_root: str = ""

    @property
    def client(self) -> MlflowClient:
        """A client of this registry; MLflow's global address stays as it is.

        Raises:
            InputError: the address cannot be opened.
        """
        try:
            return MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri)
        except (MlflowException, SQLAlchemyError) as error:
            raise self.unusable(error) from error

    @property
    def artifact_location(self) -> str | None:
        """Where a new experiment keeps its files; None leaves it to the server."""
        if self.artifact_root:
            return self.artifact_root
        if self.tracking_uri.startswith("sqlite:///"):
            folder = Path(self.tracking_uri.removeprefix("sqlite:///")).absolute().parent / "mlflow"
            return folder.as_uri()
        return None

    def experiment_id(self) -> str:
        """Return the experiment's id; it is made when it is not there.

        Raises:
            InputError: nothing answers at the address, or it is no MLflow.
        """
        client = self.client
        try:
            found = client.get_experiment_by_name(EXPERIMENT)
            if found is not None:
                return str(found.experiment_id)
            return str(client.create_experiment(EXPERIMENT, self.artifact_location))
        except MlflowException as error:
            if error.error_code == "RESOURCE_ALREADY_EXISTS":  # made between the two calls
                return str(client.get_experiment_by_name(EXPERIMENT).experiment_id)
            raise self.unusable(error) from error

    def unusable(self, error: Exception) -> InputError:
        """Return what says in a line that nothing answers at the address, or something else."""
        reason = str(error).splitlines()[0][:150]
        return InputError(
            f"MLflow at {self.tracking_uri} cannot be used ({reason}); set MLFLOW_TRACKING_URI to "
            "one that can"
        )


class Tracker:
    """One run in MLflow, under its name in the lake; a resumed run goes on in the same place.

    `with Tracker(uri, run, stage="pretraining", parameters=asdict(settings)) as tracker:` and then
    `tracker.log({"loss": 1.5}, step=10)`. An exception inside marks the run as failed.
    """

    def __init__(
        self,
        registry: Registry | str,
        run: str,
        *,
        stage: str = "",
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        self.registry = registry_at(registry)
        self.run, self.stage = run, stage
        self.parameters = dict(parameters or {})
        self.client = self.registry.client
        self.run_id = ""

    def __enter__(self) -> Self:
        experiment = self.registry.experiment_id()
        known = run_named(self.client, experiment, self.run)
        if not known:
            tags = {RUN_TAG: self.run, "caplift.stage": self.stage}
            created = self.client.create_run(experiment, tags=tags, run_name=self.run)
            self.run_id = str(created.info.run_id)
        else:
            self.run_id = known
            self.client.update_run(self.run_id, status="RUNNING")
        self.log_parameters(self.parameters)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.client.set_terminated(self.run_id, "FAILED" if kind else "FINISHED")

    def log(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Record numbers at a step."""
        log_numbers(self.client, self.run_id, metrics, step)

    def log_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Record settings, nested ones with dotted names; what is recorded already stays."""
        known = self.client.get_run(self.run_id).data.params
        new = [
            Param(name, str(value)[:LONGEST_VALUE])
            for name, value in flattened(parameters).items()
            if name not in known
        ]
        for at in range(0, len(new), PARAMETERS_A_CALL):
            self.client.log_batch(self.run_id, params=new[at : at + PARAMETERS_A_CALL])

    def log_selection(self, name: str, digest: str, uri: str, context: str = "training") -> None:
        """Record a selection as an input of the run, by its digest.

        Args:
            name: the selection's id.
            digest: of its rows.
            uri: where its card lies.
            context: what it was used for.
        """
        log_dataset(self.client, self.run_id, name, digest, uri, context)

    def log_texts(self, texts: Mapping[str, str]) -> None:
        """Keep texts, such as drawings, as the run's artifacts under these names."""
        for name, text in texts.items():
            self.client.log_text(self.run_id, text, name)

    def tag(self, tags: Mapping[str, str]) -> None:
        """Attach words to the run."""
        for name, value in tags.items():
            self.client.set_tag(self.run_id, name, value)


def log_numbers(
    client: MlflowClient, run_id: str, metrics: Mapping[str, float], step: int = 0
) -> None:
    """Record numbers of a run at a step."""
    now = int(time.time() * 1000)
    listed = [Metric(name, float(value), now, step) for name, value in metrics.items()]
    for at in range(0, len(listed), METRICS_A_CALL):
        client.log_batch(run_id, metrics=listed[at : at + METRICS_A_CALL])


def log_dataset(
    client: MlflowClient,
    run_id: str,
    name: str,
    digest: str,
    uri: str,
    context: str = "training",
) -> None:
    """Record a selection as an input of a run; arguments as `Tracker.log_selection`."""
    source = json.dumps({"uri": uri, "digest": digest})
    # MLflow keeps 36 characters of a digest; the whole one is in the source.
    dataset = Dataset(name, digest[:LONGEST_DIGEST], source_type="webdataset", source=source)
    tags = [InputTag("mlflow.data.context", context)]
    client.log_inputs(run_id, [DatasetInput(dataset, tags)])


def is_absent(error: MlflowException) -> bool:
    """True when a registry answered that it has no such thing, and not that it could not answer."""
    return error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND")


def registry_at(where: Registry | str) -> Registry:
    """Return the registry of a tracking address."""
    return where if isinstance(where, Registry) else Registry(where)


def run_named(client: MlflowClient, experiment: str, run: str) -> str:
    """Return the id of the MLflow run that tracks a run of the lake; empty when there is none."""
    if not run:
        return ""
    wanted = f"tags.`{RUN_TAG}` = '{run}'"
    found = client.search_runs([experiment], wanted, max_results=1)
    return str(found[0].info.run_id) if found else ""


def resolved(where: Registry, uri: str) -> tuple[str, str]:
    """Return name and version of a `models:/` address.

    Raises:
        ModelError: there is no such model, version or alias.
        InputError: the registry does not answer.
    """
    path, client = uri.removeprefix("models:/").strip("/"), where.client
    try:
        if "@" in path:
            name, alias = path.split("@", 1)
            return name, str(client.get_model_version_by_alias(name, alias).version)
        name, _, version = path.partition("/")
        return name, str(client.get_model_version(name, version).version)
    except MlflowException as error:
        if not is_absent(error):
            raise where.unusable(error) from error
        raise ModelError(
            f"{uri} is not registered at {where.tracking_uri} ({error.message:.120}); an "
            "address is models:/<name>@champion or models:/<name>/<version>"
        ) from error


@contextlib.contextmanager
def alone(where: Registry, name: str) -> Iterator[None]:
    """Keep everybody else from changing a model's aliases meanwhile; wait for whoever does.

    A registered model of a name that only one can make says who may: databases and servers alike
    know no other lock. One that a killed process left behind is removed after two minutes.

    Raises:
        InputError: the registry does not answer.
    """
    held = f"{name}{HELD}"
    while not _taken(where, held):
        time.sleep(POLL_S)
    try:
        yield
    finally:
        with contextlib.suppress(MlflowException):
            where.client.delete_registered_model(held)


def _taken(where: Registry, held: str) -> bool:
    client = where.client
    try:
        client.create_registered_model(held, description="somebody is choosing the champion")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise where.unusable(error) from error
    else:
        return True
    with contextlib.suppress(MlflowException):  # it was given back meanwhile
        since_s = time.time() - client.get_registered_model(held).creation_timestamp / 1000
        if since_s > LEFT_BEHIND_S:
            client.delete_registered_model(held)
    return False
