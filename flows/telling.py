"""A finished run as a person reads it at a terminal: what each stage did, and its worth."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from flows.round_table import round_table
from flows.summary import PipelineResult, StageRow, read_summary
from flows.tables import SCORES, bare_table, difference_told
from tasks.storage import Lake

ONE_ROUND = 2  # that of the raw pairs, and one of CapFilt: the table above has both


def tell(console: Console, lake: Lake, summary: str) -> None:
    """Print the summary that lies at `summary` in the lake."""
    result = read_summary(lake, summary)
    console.print()
    console.print(stage_table(result.stages))
    console.print(keep_table(result))
    if result.filter and result.filter["precision"] is not None:
        console.print(filter_line(result.filter))
    console.print(score_table(result))
    if len(result.rounds) > ONE_ROUND:
        console.print(round_table(result.rounds))
    console.print(rbm_line(result.rbm))
    console.print()
    for line in places(result, lake, summary):
        console.print(line, highlight=False)


def stage_table(stages: tuple[StageRow, ...]) -> Table:
    """One line a stage: rows in, rows out, seconds, and what else there is to say."""
    table = bare_table("stage", "What each stage read and wrote")
    for name in ("rows in", "rows out", "seconds"):
        table.add_column(name, justify="right")
    table.add_column("", overflow="fold")
    for row in stages:
        table.add_row(
            row.stage, _count(row.rows_in), _count(row.rows_out), f"{row.seconds:.1f}", row.note
        )
    return table


def keep_table(result: PipelineResult) -> Table:
    """How much of the web's and of the captioner's texts the selection keeps."""
    table = bare_table("text", "What the selection keeps")
    for name in ("captions", "kept", "share"):
        table.add_column(name, justify="right")
    for source, one in result.selections["kept"]["sources"].items():
        kept, all_of_it = int(one["selected"]), int(one["captions"])
        table.add_row(source, _count(all_of_it), _count(kept), f"{one['keep_rate']:.1%}")
    return table


def filter_line(found: Mapping[str, Any]) -> str:
    """Say how well the filter finds the noise that was planted."""
    return (
        f"The filter against the planted truth: precision {_share(found['precision'])}, recall "
        f"{_share(found['recall'])} of {found['noise']:,} wrong texts; it keeps "
        f"{_share(found['clean_kept'])} of the right ones (AUC of ITM "
        f"{found['auc'].get('itm_probability', float('nan')):.3f})"
    )


def score_table(result: PipelineResult) -> Table:
    """Both models beside their baselines; the difference has the interval of 95 % of resamples."""
    table = bare_table(
        "score", "On pictures never trained on; the difference with its 95 % interval"
    )
    raw, chosen = result.scores["raw"], result.scores["selected"]
    for name in ("chance", "nearest", "raw", "CapFilt", "CapFilt - raw"):
        table.add_column(name, justify="right")
    for name, label in SCORES.items():
        if name not in chosen["scores"]:
            continue
        baselines = (chosen["baselines"].get(kind, {}).get(name) for kind in ("chance", "nearest"))
        cells = (*baselines, raw["scores"].get(name), chosen["scores"][name])
        gain = result.against_raw.get(name, {}).get("difference")
        table.add_row(label, *(_value(cell) for cell in cells), difference_told(gain))
    return table


def rbm_line(found: Mapping[str, Any]) -> str:
    """Say what the RBM is worth beside the full Gaussian."""
    return (
        "RBM over joint embeddings, held-out rows: "
        f"{found['nats_over_full_gaussian']:+.3f} nats a pair over the full Gaussian"
    )


def places(result: PipelineResult, lake: Lake, summary: str) -> list[str]:
    """Return where everything is, each with the command that opens it."""
    database, report = result.places["database"], result.places["report"]
    registry = result.places["registry"]
    python = ".venv/bin/python"
    return [
        f"lake      {lake.root}",
        f"          {summary} is this table's source",
        f"report    {report}",
        f"          {python} -m webbrowser -t {report}",
        f"database  {database}",
        f"          {python} -c \"import duckdb; print(duckdb.connect('{database}', "
        "read_only=True).sql('from v_funnel'))\"",
        f"registry  {registry}  ({', '.join(f'{k} {v}' for k, v in result.registered.items())})",
        f"          .venv/bin/mlflow ui --backend-store-uri {registry} --host 127.0.0.1",
        f"again     CAPLIFT_LAKE={lake.root} make serve   # Prefect, a worker and MLflow over it",
    ]


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.1%}"


def _value(found: Mapping[str, float] | None) -> str:
    return f"{found['value']:.3f}" if found else ""
