"""Zero-shot classification: which class's prompts is a picture nearest to?

Every class is said in several templates; the mean of their vectors stands for it. Top-1 and top-5
stand beside chance and beside the commonest class.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa
import torch
from torch import Tensor

from models.matcher import MAX_LENGTH
from models.ranking import recall_at, standing
from models.zero_shot import class_scores, class_vectors
from tasks.bounds import at_least
from tasks.errors import InputError
from tasks.evaluation.labels import Labelled, Labels, labelled
from tasks.evaluation.leakage import checked_leakage
from tasks.evaluation.report import EvaluationReport, read_report, write_report
from tasks.evaluation.retrieval import check_numbers, embed_pictures, embed_texts
from tasks.inference import shared_model
from tasks.metrics.bootstrap import Measure, estimates, mean_of
from tasks.storage import Lake

# Of OpenAI's 80 for ImageNet, the seven that its notebook found to be nearly as good.
TEMPLATES = (
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)
KS = (1, 5)
ROWS = pa.schema({"key": pa.string(), "label": pa.string(), "predicted": pa.string()}.items())


@dataclass(frozen=True, kw_only=True, slots=True)
class ZeroShot:
    """What is classified, and how classes are said.

    Attributes:
        labels: the pictures and their classes.
        templates: how a class is said; `{}` is its name.
        names: "class=name" of classes that are said otherwise than they are called in the labels.
        max_images: the first so many by key; 0 takes all.
        bootstrap: resamples of the images behind every interval.
        seed: of the resamples.
        batch_size: pictures on the device at once.
        max_length: most tokens of a prompt.
    """

    labels: Labels
    templates: tuple[str, ...] = TEMPLATES
    names: tuple[str, ...] = ()
    max_images: int = 0
    bootstrap: int = 1000
    seed: int = 0
    batch_size: int = 64
    max_length: int = MAX_LENGTH

    def __post_init__(self) -> None:
        at_least(1, self, "bootstrap", "batch_size")
        at_least(0, self, "max_images")
        if not self.templates or any(one.count("{}") != 1 for one in self.templates):
            raise InputError("templates are texts with one {} each, where the class is said")
        if any("=" not in one for one in self.names):
            raise InputError('names are given as "class=name"')

    @property
    def spoken(self) -> Mapping[str, str]:
        """Return what classes are called where the labels are not words."""
        return dict(one.split("=", 1) for one in self.names)


def classify(
    lake: Lake, run: str, model_uri: str, how: ZeroShot, device: str = "cpu"
) -> EvaluationReport:
    """Classify labelled pictures by their nearest class and publish the report.

    Raises:
        InputError: the labels cannot be used, or there is one class only.
        ModelError: the model is missing or damaged.
    """
    started = time.monotonic()
    loaded = shared_model(lake, model_uri, device)
    exam = labelled(lake, how.labels, how.max_images)
    classes = exam.classes
    if len(classes) < 2:
        raise InputError(
            f"all pictures are of class {classes[0]!r}: there is nothing to tell apart"
        )
    spoken = [how.spoken.get(one, one.replace("_", " ")) for one in classes]
    prompts = [template.format(name) for name in spoken for template in how.templates]
    embedded = embed_texts(loaded, prompts, how.batch_size, how.max_length)
    images = embed_pictures(exam.place, loaded, exam.pictures, how.batch_size)
    vectors = class_vectors(embedded.reshape(len(classes), len(how.templates), -1))
    scores = class_scores(images, vectors)
    report = EvaluationReport(
        run=run,
        model=loaded.name,
        batch=exam.name,
        images=len(exam.pictures),
        scores=estimates(top_measures(scores, exam), how.bootstrap, how.seed),
        baselines={
            kind: estimates(top_measures(blind, exam), how.bootstrap, how.seed)
            for kind, blind in _blind(exam).items()
        },
        leakage=asdict(checked_leakage(lake, exam.prints, loaded.name, loaded.facts)),
        settings=asdict(how),
        seconds=round(time.monotonic() - started, 1),
        task="zero-shot",
    )
    predicted = [classes[at] for at in scores.argmax(dim=1).tolist()]
    write_report(lake, report, listed(exam, predicted), top_measures(scores, exam), ROWS)
    return read_report(lake, run)


def top_measures(scores: Tensor, exam: Labelled) -> dict[str, Measure]:
    """Return `top_1` and `top_5` of scores (N, C), the columns being the sorted classes.

    Classes with equal scores are in no order, as in `models.ranking`.

    Raises:
        ModelError: a score is no number.
    """
    check_numbers(scores)
    places = {name: at for at, name in enumerate(exam.classes)}
    is_right = torch.zeros(scores.shape, dtype=torch.bool)
    is_right[range(len(scores)), [places[label] for label in exam.labels]] = True
    found = standing(scores, is_right)
    return {f"top_{k}": mean_of(recall_at(found, k).numpy()) for k in KS}


def _blind(exam: Labelled) -> dict[str, Tensor]:
    """Return scores that do not look at the picture: all alike, and by how common a class is."""
    counts = Counter(exam.labels)
    common = torch.tensor([float(counts[name]) for name in exam.classes])
    n = len(exam.labels)
    return {"chance": torch.zeros(n, len(common)), "commonest": common.expand(n, -1)}


def listed(exam: Labelled, predicted: Sequence[str]) -> list[dict[str, str]]:
    """Return one row a picture: key, label, predicted."""
    told = zip(exam.pictures, exam.labels, predicted, strict=True)
    return [{"key": one.key, "label": label, "predicted": said} for one, label, said in told]
