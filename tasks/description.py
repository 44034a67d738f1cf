"""What is said of a registered version: where it comes from, what it reached, its cards."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.metrics.bootstrap import Estimate

METRIC, LOW, HIGH = "metric.", ".low", ".high"
MODEL_CARD = "model_card.md"
LONGEST_TAG = 5000  # a column of MLflow's; SQLite takes more, PostgreSQL does not


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """What is said of a version.

    Attributes:
        lineage: what it came from: run, selections (id: digest), revision, parents, plan; tags.
        metrics: what it reached, each with its interval; tags and metrics of its run.
        cards: files for people by name, such as `model_card.md`; they lie beside the weights, and
            the model card is the version's description.
    """

    lineage: Mapping[str, Any]
    metrics: Mapping[str, Estimate]
    cards: Mapping[str, str] = field(default_factory=dict)

    @property
    def tags(self) -> dict[str, str]:
        """Lineage and metrics as MLflow keeps words of a version."""
        told = {**flattened(self.lineage), **self.numbers}
        return {key: str(value)[:LONGEST_TAG] for key, value in told.items()}

    @property
    def numbers(self) -> dict[str, float]:
        """Each metric under three names: `metric.<name>`, `....low` and `....high`."""
        found: dict[str, float] = {}
        for name, one in self.metrics.items():
            found[METRIC + name] = one.value
            found[f"{METRIC}{name}{LOW}"], found[f"{METRIC}{name}{HIGH}"] = one.low, one.high
        return found


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings with dotted names: {"a": {"b": 1}} is {"a.b": 1}."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flattened(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def estimates_in(tags: Mapping[str, str]) -> dict[str, Estimate]:
    """Return the metrics that `Description.tags` has written; one without an interval is exact."""
    known = {
        key.removeprefix(METRIC): float(value)
        for key, value in tags.items()
        if key.startswith(METRIC)
    }
    return {
        name: Estimate(value, known.get(name + LOW, value), known.get(name + HIGH, value))
        for name, value in known.items()
        if not name.endswith((LOW, HIGH))
    }
