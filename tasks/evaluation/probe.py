"""Linear probe: classes read off a frozen model's embeddings by a linear function.

The weight of the penalty is the one that does best on a fifth of the training pictures, held out by
their keys; the probe is then fitted on all of them.
"""

import time
from collections import Counter
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from models.linear_probe import fit_linear_probe
from tasks.bounds import at_least
from tasks.checkpoints import LoadedModel
from tasks.errors import InputError
from tasks.evaluation.labels import Labelled, Labels, labelled
from tasks.evaluation.leakage import checked_leakage
from tasks.evaluation.report import EvaluationReport, read_report, write_report
from tasks.evaluation.retrieval import embed_pictures
from tasks.evaluation.zero_shot import ROWS, listed, top_measures
from tasks.inference import over_pictures, shared_model
from tasks.metrics.bootstrap import estimates
from tasks.storage import Lake
from tasks.vectors import held_out

PENALTIES = tuple(10.0**power for power in range(-6, 1))
VALIDATION_SHARE = 0.2
FEATURES = ("embedding", "token")


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """What is learned from, and what it is tried on.

    Attributes:
        train: labelled pictures to fit on.
        test: labelled pictures to try it on, all of classes that `train` has.
        features: "embedding", what retrieval compares, or "token", the vision encoder's first
            output before it is projected.
        bootstrap: resamples of the images behind every interval.
        seed: of the resamples.
        batch_size: pictures on the device at once.
        max_images: of each set the first so many by key; 0 takes all.
    """

    train: Labels
    test: Labels
    features: str = "embedding"
    bootstrap: int = 1000
    seed: int = 0
    batch_size: int = 64
    max_images: int = 0

    def __post_init__(self) -> None:
        at_least(1, self, "bootstrap", "batch_size")
        at_least(0, self, "max_images")
        if self.features not in FEATURES:
            raise InputError(f"features are {' or '.join(FEATURES)}, not {self.features!r}")


def probe(
    lake: Lake, run: str, model_uri: str, how: Probe, device: str = "cpu"
) -> EvaluationReport:
    """Fit a linear probe, try it, and publish the report.

    Raises:
        InputError: the labels cannot be used, or a test picture's class is not in training.
        ModelError: the model is missing or damaged.
    """
    started = time.monotonic()
    loaded = shared_model(lake, model_uri, device)
    train, exam = (labelled(lake, one, how.max_images) for one in (how.train, how.test))
    _check(train, exam)
    classes = {name: at for at, name in enumerate(train.classes)}
    targets = torch.tensor([classes[label] for label in train.labels])
    features = _features(loaded, train, how)
    keys = [picture.key for picture in train.pictures]
    l2 = best_penalty(features, targets, held_out(keys, VALIDATION_SHARE))
    scores = fit_linear_probe(features, targets, len(classes), l2).scores(
        _features(loaded, exam, how)
    )
    # Classes that no test picture has can be predicted too: the measures rank all of training's.
    wide = replace(exam, classes=train.classes)
    common = Counter(train.labels)
    blind = torch.tensor([float(common[name]) for name in classes]).expand(len(exam.labels), -1)
    measures = top_measures(scores, wide)
    report = EvaluationReport(
        run=run,
        model=loaded.name,
        batch=exam.name,
        images=len(exam.pictures),
        scores=estimates(measures, how.bootstrap, how.seed),
        baselines={"commonest": estimates(top_measures(blind, wide), how.bootstrap, how.seed)},
        leakage=asdict(checked_leakage(lake, exam.prints, loaded.name, loaded.facts)),
        settings={**asdict(how), "l2": l2},
        seconds=round(time.monotonic() - started, 1),
        task="probe",
    )
    predicted = [list(classes)[at] for at in scores.argmax(dim=1).tolist()]
    write_report(lake, report, listed(exam, predicted), measures, ROWS)
    return read_report(lake, run)


def best_penalty(features: Tensor, classes: Tensor, is_held_out: Tensor) -> float:
    """Return the penalty whose probe is right most often on the held-out rows.

    The strongest of several equally good ones; of too few rows to hold any out, the middle one.

    Args:
        features: float (N, D).
        classes: int64 (N,).
        is_held_out: bool (N,).
    """
    fitted = ~is_held_out
    if not bool(is_held_out.any()) or not bool(fitted.any()):
        return PENALTIES[len(PENALTIES) // 2]
    n = int(classes.max()) + 1
    found = {
        l2: (
            fit_linear_probe(features[fitted], classes[fitted], n, l2)
            .scores(features[is_held_out])
            .argmax(dim=1)
            .eq(classes[is_held_out])
            .sum()
            .item()
        )
        for l2 in PENALTIES
    }
    return max(found, key=lambda l2: (found[l2], l2))


def _features(loaded: LoadedModel, exam: Labelled, how: Probe) -> Tensor:
    if how.features == "embedding":
        return embed_pictures(exam.place, loaded, exam.pictures, how.batch_size)

    def first_tokens(pixels: Tensor, _: list[None]) -> list[Tensor]:
        return list(loaded.model.encode_image(pixels)[:, 0].float().cpu())

    items = [(picture, None) for picture in exam.pictures]
    return torch.stack(over_pictures(exam.place, loaded, items, how.batch_size, first_tokens))


def _check(train: Labelled, exam: Labelled) -> None:
    if len(train.classes) < 2:
        raise InputError(f"{train.name} has one class only: there is nothing to tell apart")
    unknown = sorted(set(exam.classes) - set(train.classes))
    if unknown:
        raise InputError(
            f"{exam.name} has classes that {train.name} has not, such as {unknown[0]!r}; a probe "
            "knows what it was fitted on"
        )
    both = {one.key for one in train.pictures} & {one.key for one in exam.pictures}
    if both:
        raise InputError(
            f"{len(both)} pictures are in {train.name} and in {exam.name}; a probe is tried on "
            "pictures it was not fitted on"
        )
