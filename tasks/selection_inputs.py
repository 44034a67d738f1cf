"""What a selection reads: which files of the lake, and one digest that names their content."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tasks import rows
from tasks.aside import QUARANTINE
from tasks.errors import LakeError
from tasks.storage import Lake, Shard

INGESTED = "ingestion"


def _only(schema: Any, names: str) -> Any:
    """Return the columns that a rule looks at: reading all takes three times as long."""
    for name in set(schema.names) - set(names.split()):
        schema = schema.remove(schema.get_field_index(name))
    return schema


CAPTION = _only(
    rows.CAPTIONS,
    "caption_id key batch shard source text degenerate n_chars n_words lang lang_conf "
    "alpha_ratio digit_ratio special_ratio char_rep has_stop_phrase is_filename url_in_text "
    "pii_flag text_norm_hash",
)
WEB = _only(
    rows.WEB,
    "key batch domain outcome sha256 original_width original_height phash dhash trimmed_phash "
    "trimmed_dhash lap_var entropy flat_frac",
)
SCORE = _only(rows.SCORES, "caption_id batch itc_cosine itm_probability rbm_pmi rerank_score")


class Choice(Protocol):
    """The part of the settings that says where captions and scores come from."""

    @property
    def batches(self) -> tuple[str, ...]:
        """Batches to choose from."""

    @property
    def caption_runs(self) -> tuple[str, ...]:
        """Captioners' runs."""

    @property
    def score_run(self) -> str:
        """The filter's run, or nothing."""

    @property
    def rbm_run(self) -> str:
        """The RBM's run, or nothing."""

    @property
    def rerank_run(self) -> str:
        """The re-ranking's run, or nothing."""

    @property
    def evaluation_batches(self) -> tuple[str, ...]:
        """Batches that must not be trained on."""


@dataclass(frozen=True, slots=True)
class SelectionInputs:
    """Tables to load as name -> (files, schema), every shard in order, and what names it all."""

    shards: tuple[Shard, ...]
    tables: dict[str, tuple[list[str], Any]] = field(default_factory=dict)
    digest: str = ""

    @property
    def n_files(self) -> int:
        """How many files are read."""
        return sum(len(files) for files, _ in self.tables.values())


def find_inputs(lake: Lake, how: Choice) -> SelectionInputs:
    """Find every file the selection reads.

    Raises:
        LakeError: a batch is not planned or not wholly ingested; a run is missing from all
            batches, or is there for some shards of a batch only.
    """
    shards = tuple(shard for batch in how.batches for shard in _sound(lake, batch))
    captioners = [run for run in how.caption_runs if run != INGESTED]
    captions = _required(lake, "captions", INGESTED, shards)
    for run in captioners:
        captions += _of_run(lake, "captions", run, shards)
    judged = [batch for batch in how.evaluation_batches if batch in lake.batches()]
    evaluation = [shard for batch in judged for shard in _ingested(lake, batch)]
    tables = {
        "caption": (captions, CAPTION),
        "web": (_required(lake, "web", "", shards), WEB),
        "evaluation_web": (_required(lake, "web", "", evaluation), WEB),
        "duplicate": (_duplicates(lake, how.batches), rows.DUPLICATES),
        "score": (_of_run(lake, "scores", how.score_run, shards), SCORE),
        "rbm_score": (_of_run(lake, "scores", how.rbm_run, shards), SCORE),
        "rerank": (_of_run(lake, "scores", how.rerank_run, shards), SCORE),
    }
    files = [file for found, _ in tables.values() for file in found]
    runs = {INGESTED, *captioners, how.score_run, how.rbm_run, how.rerank_run} - {""}
    return SelectionInputs(tuple(sorted(shards)), tables, _digest(lake, files, runs))


def _ingested(lake: Lake, batch: str) -> list[Shard]:
    planned = lake.planned(batch)
    done = set(lake.committed(INGESTED, INGESTED, batch))
    missing = [shard for shard in planned if shard not in done]
    if missing:
        raise LakeError(
            f"batch {batch} has {len(missing)} of {len(planned)} shards not yet ingested, the "
            f"first is {missing[0].name}; finish its ingestion, then select"
        )
    return planned


def _sound(lake: Lake, batch: str) -> list[Shard]:
    """Return the shards of a batch but those that gate G2 has put aside."""
    aside = set(lake.committed(QUARANTINE, INGESTED, batch))
    return [shard for shard in _ingested(lake, batch) if shard not in aside]


def _required(lake: Lake, table: str, run: str, shards: Iterable[Shard]) -> list[str]:
    return [lake.rows(table, run, shard) for shard in shards]


def _of_run(lake: Lake, table: str, run: str, shards: Iterable[Shard]) -> list[str]:
    """Return a run's files; a batch may lack the run altogether, as human captions lack scores.

    A shard that the run has put into quarantine has none: its texts count as not scored.
    """
    if not run:
        return []
    wanted: dict[str, list[Shard]] = {}
    for shard in shards:
        wanted.setdefault(shard.batch, []).append(shard)
    found: list[str] = []
    for batch, planned in wanted.items():
        there = set(lake.names(f"{table}/{run}/{batch}", ".parquet"))
        aside = {shard.name for shard in lake.committed(QUARANTINE, run, batch)} - there
        missing = [shard for shard in planned if shard.name not in there | aside]
        if there and missing:
            raise LakeError(
                f"{table} of run {run} lack {len(missing)} of {len(planned)} shards of batch "
                f"{batch}, the first is {missing[0].name}; finish that run, then select"
            )
        found += [lake.rows(table, run, shard) for shard in planned if shard.name in there]
    if not found:
        known = ", ".join(lake.folders(table)) or "none"
        raise LakeError(
            f"there are no {table} of run {run} for batches {', '.join(wanted)} in {lake.root} "
            f"(runs there: {known})"
        )
    return found


def _duplicates(lake: Lake, batches: Iterable[str]) -> list[str]:
    return [
        file for batch in batches for file in lake.glob(f"duplicates/{INGESTED}/{batch}/*.parquet")
    ]


def _digest(lake: Lake, files: list[str], runs: Iterable[str]) -> str:
    """Name the content of the files: hashes as committed, computed where no record has one."""
    known: dict[str, str] = {}
    for run in sorted(runs):
        for record in lake.glob(f"commits/*/{run}/*/*.json"):
            known |= {file["path"]: file["sha256"] for file in lake.read_json(record)["files"]}
    named = [(file, known.get(file) or _sha256(lake, file)) for file in sorted(files)]
    return rows.fingerprint(named)


def _sha256(lake: Lake, file: str) -> str:
    try:
        return hashlib.sha256(lake.read_bytes(file)).hexdigest()
    except FileNotFoundError as error:
        raise LakeError(
            f"{file} is missing in {lake.root}; run the stage that writes it first"
        ) from error
