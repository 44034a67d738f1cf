"""What an evaluation leaves in the lake, read again and compared.

evaluations/<run>/captions.parquet   what was written for each picture, and its part of a score;
                                     of another task than captions: rows.parquet
                  results.json       of a benchmark: its captions as COCO's servers take them
                  metrics.json       the report; written last
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from tasks import rows
from tasks.errors import InputError, LakeError
from tasks.metrics.bootstrap import Difference, Estimate, Measure, difference, measure_of
from tasks.storage import Lake


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationReport:
    """What an evaluation found; `evaluations/<run>/metrics.json` holds it.

    Attributes:
        run: the evaluation's name.
        model: the model's address with the first digits of its weights' sha256.
        batch: the pictures.
        images: how many, or how many of what else the scores are means of.
        scores: the model's. Of captions `bleu_4`, `rouge_l`, `cider_d`, `exact_match`, and
            `cider_d_<domain>` of NoCaps; `self_r<k>` (its caption finds its picture);
            `itc_tr_r<k>`, `itm_tr_r<k>` image to text and `..._ir_r<k>` text to image, by
            embedding alone and re-ranked. Other tasks have their own.
        leakage: evaluation pictures among the training pictures.
        settings: those used, such as an `Evaluation`.
        seconds: what it took.
        task: what was asked: captions, zero-shot, answers, video or probe.
        texts: human captions of the pictures.
        baselines: the same scores of `chance`, `nearest` and others, as far as they have them.
        diversity: distinct-1, distinct-2, vocabulary, length and Vendi score of the captions.
    """

    run: str
    model: str
    batch: str
    images: int
    scores: dict[str, Estimate]
    leakage: dict[str, Any]
    settings: dict[str, Any]
    seconds: float
    task: str = "captions"
    texts: int = 0
    baselines: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    diversity: dict[str, float] = field(default_factory=dict)

    def numbers(self) -> dict[str, float]:
        """Return every score by name, for a tracker; a baseline's begin with its name."""
        own = {name: one.value for name, one in self.scores.items()}
        for kind, scores in self.baselines.items():
            own |= {f"{kind}.{name}": one.value for name, one in scores.items()}
        return {**own, "leaked": float(self.leakage.get("leaked", 0))}


CAPTIONS = pa.schema(
    {
        "key": pa.string(),
        "caption": pa.string(),
        "lm_logprob": pa.float32(),
        "references": pa.list_(pa.string()),
        "nearest_key": pa.string(),
        "nearest_caption": pa.string(),
    }.items()
)


def is_evaluated(lake: Lake, run: str) -> bool:
    """True when the evaluation of this name is finished."""
    return lake.exists(_metrics_path(run))


def write_report(
    lake: Lake,
    report: EvaluationReport,
    found: Sequence[Mapping[str, Any]],
    measures: Mapping[str, Measure],
    columns: pa.Schema = CAPTIONS,
) -> None:
    """Publish one row a picture (or what else the scores are means of), then the report.

    Args:
        lake: where to.
        report: what was found.
        found: N rows with a `key`.
        measures: what every row adds to each score, N rows each.
        columns: of the rows; each measure adds a column.
    """
    listed = [
        {**row, **{name: one.rows[at].tolist() for name, one in measures.items()}}
        for at, row in enumerate(found)
    ]
    parts = [pa.field(name, pa.list_(pa.float64())) for name in measures]
    schema = pa.schema([*columns, *parts])
    rows.write_rows(lake, _rows_path(report), rows.table_of(listed, schema))
    lake.publish_json(_metrics_path(report.run), asdict(report))


def write_results(lake: Lake, run: str, numbers: Sequence[str], captions: Sequence[str]) -> None:
    """Publish captions under a benchmark's own ids: [{"image_id", "caption"}]."""
    listed = [
        {"image_id": int(number) if number.isdecimal() else number, "caption": caption}
        for number, caption in zip(numbers, captions, strict=True)
    ]
    lake.publish_json(f"evaluations/{run}/results.json", listed)


def read_report(lake: Lake, run: str) -> EvaluationReport:
    """Read a finished evaluation.

    Raises:
        LakeError: there is none of this name, or it is damaged.
    """
    if not lake.exists(_metrics_path(run)):
        known = ", ".join(lake.folders("evaluations")) or "none"
        raise LakeError(f"there is no evaluation {run!r} in {lake.root} (there: {known})")
    try:
        kept = lake.read_json(_metrics_path(run))
        scores = {name: Estimate(**one) for name, one in kept.pop("scores").items()}
        baselines = {
            kind: {name: Estimate(**one) for name, one in own.items()}
            for kind, own in kept.pop("baselines", {}).items()
        }
        return EvaluationReport(**kept, scores=scores, baselines=baselines)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise LakeError(
            f"{_metrics_path(run)} in {lake.root} is damaged, or of another version of Caplift "
            f"({str(error).splitlines()[0]:.100}); remove its folder and evaluate again"
        ) from error


def compare(lake: Lake, a: EvaluationReport, b: EvaluationReport) -> dict[str, Difference]:
    """Say of every score how much better `b` is than `a`, by paired resampling of the images.

    Raises:
        InputError: they were evaluated on different pictures.
    """
    tables = [rows.read_rows(lake, _rows_path(one)) for one in (a, b)]
    keys = [table.column("key").to_pylist() for table in tables]
    if keys[0] != keys[1]:
        raise InputError(
            f"{a.run} and {b.run} were evaluated on different pictures ({len(keys[0])} and "
            f"{len(keys[1])}); evaluate both on one batch with the same max_images"
        )
    resamples, seed = int(b.settings["bootstrap"]), int(b.settings["seed"])
    found: dict[str, Difference] = {}
    for name in a.scores:
        if name in b.scores:
            one, other = (
                measure_of(np.array(table.column(name).to_pylist(), dtype=np.float64))
                for table in tables
            )
            found[name] = difference(one, other, resamples, seed)
    return found


def _metrics_path(run: str) -> str:
    return f"evaluations/{run}/metrics.json"


def _rows_path(report: EvaluationReport) -> str:
    name = "captions" if report.task == "captions" else "rows"
    return f"evaluations/{report.run}/{name}.parquet"
