"""Every capfilt job lets its filter judge the canary too, and keeps what it said.

    canaries/<score run>/<batch>/00000.parquet   a row a pair: truth and scores
    commits/canary/<score run>/<batch>/...       how many pairs, how much noise, how much was found

The catalogue makes precision, recall and AUC of them, gate G13 holds them against the last green
run, and a report shows them by kind of noise.
"""

import logging
import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.matcher import MAX_LENGTH, PairScore, score_texts
from tasks import rows
from tasks.bounds import at_least
from tasks.canary.pairs import Canary, read_canary
from tasks.canary.record import CANARIES, canary_path
from tasks.checkpoints import LoadedModel
from tasks.errors import InputError, LakeError
from tasks.filter_quality import THRESHOLD, FilterQuality, Judged, quality_of
from tasks.inference import over_pictures
from tasks.storage import Commit, Lake, Shard

log = logging.getLogger(__name__)

STAGE = "canary"
ONLY = "00000"
# Below it a filter is of no use, says the gate; a person hears of it before the job's hours.
WORTH_AUC = 0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class CanaryTest:
    """Which canary is judged, and how.

    Attributes:
        table: of pairs; empty means the shipped ones.
        batch_size: pictures on the device at once; has no influence on any score.
        max_length: most tokens of a text.
    """

    table: str = ""
    batch_size: int = 64
    max_length: int = MAX_LENGTH

    def __post_init__(self) -> None:
        at_least(1, self, "batch_size")
        at_least(3, self, "max_length")


def judge_canary(
    lake: Lake, run: str, batch: str, judge: LoadedModel, how: CanaryTest | None = None
) -> Commit:
    """Let a filter judge the canary; nothing happens when it has judged this one in this job.

    Args:
        lake: where the scores go.
        run: the name of the job's scores.
        batch: the job's pictures; they are not looked at.
        judge: the filter.
        how: which canary, and how.

    Raises:
        InputError: the canary cannot be used.
    """
    how = how or CanaryTest()
    canary, shard = read_canary(how.table), Shard(batch, ONLY)
    if (done := _judged_before(lake, run, shard, canary)) is not None:
        return done
    started = time.monotonic()
    found = judged_pairs(canary, judge, how)
    # Other workers on the same job may have been faster; what they committed stays as it is.
    if (done := _judged_before(lake, run, shard, canary)) is not None:
        return done
    quality = canary_quality(found, run, batch)
    listed = [{**row, "batch": batch, "shard": ONLY, "run": run} for row in found]
    path = canary_path(run, shard)
    rows.write_rows(lake, path, rows.table_of(listed, CANARIES))
    commit = lake.commit(
        STAGE,
        run,
        shard,
        files=[path],
        rows={"pairs": quality.pairs, "noise": quality.noise},
        seconds=time.monotonic() - started,
        versions={
            "canary": canary.name,
            "torch": torch.__version__,
            "device": str(judge.model.device),
        },
    )
    say = log.warning if quality.auc["itm_probability"] < WORTH_AUC else log.info
    say("canary %s: %s", canary.name, told(quality))
    return commit


def _judged_before(lake: Lake, run: str, shard: Shard, canary: Canary) -> Commit | None:
    if not lake.is_committed(STAGE, run, shard):
        return None
    done = lake.commit_of(STAGE, run, shard)
    return done if done.versions.get("canary") == canary.name else None


def judged_pairs(canary: Canary, judge: LoadedModel, how: CanaryTest) -> list[dict[str, Any]]:
    """Return a row a pair: canary, key, text, noise, is_noise, model and its two scores.

    Raises:
        InputError: a picture is damaged.
    """
    dtype = next(judge.model.parameters()).dtype

    def scored(pixels: Tensor, texts: list[list[str]]) -> list[list[PairScore]]:
        return score_texts(judge.model, judge.tokenizer, pixels.to(dtype), texts, how.max_length)

    items = [(picture, [pair.text for pair in own]) for picture, own in canary.pairs]
    try:
        judged = over_pictures(canary.place, judge, items, how.batch_size, scored)
    except LakeError as error:  # it speaks of tars and ingestion
        raise InputError(
            f"a picture of the canary in {canary.place.root} cannot be read ({error!s:.100})"
        ) from error
    return [
        {
            "canary": canary.name,
            "key": picture.key,
            "text": pair.text,
            "noise": pair.noise,
            "is_noise": pair.is_noise,
            "model": judge.name,
            "itc_cosine": score.itc_cosine,
            "itm_probability": score.itm_probability,
        }
        for (picture, own), scores in zip(canary.pairs, judged, strict=True)
        for pair, score in zip(own, scores, strict=True)
    ]


def canary_quality(
    found: list[dict[str, Any]], run: str, batch: str, threshold: float = THRESHOLD
) -> FilterQuality:
    """Return precision, recall and AUC of judged pairs, in all and by kind of noise.

    What is no number ranks with the best, as in the catalogue: nothing calls it noise.
    """
    scored = [
        (row, math.inf if math.isnan(row["itm_probability"]) else row["itm_probability"])
        for row in found
    ]
    judged = [
        Judged(row["noise"], row["is_noise"], {"itm_probability": probability})
        for row, probability in scored
    ]
    return quality_of(judged, run, batch, threshold)


def told(quality: FilterQuality) -> str:
    """Return a line with the numbers that matter."""
    shares = {
        "precision": quality.precision,
        "recall": quality.recall,
        "right texts kept": quality.clean_kept,
        "AUC": quality.auc["itm_probability"],
    }
    said = (f"{name} {'-' if share is None else f'{share:.3f}'}" for name, share in shares.items())
    return f"{', '.join(said)} of {quality.pairs} pairs, {quality.noise} of them wrong"
