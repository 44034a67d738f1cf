"""Captions that somebody else wrote, scored as ours are: a file of results beside annotations.

[{"image_id": 391895, "caption": "a man riding a motorcycle"}]     as COCO's servers take them
"""

import time
from dataclasses import asdict, dataclass

from tasks.bounds import at_least
from tasks.errors import InputError
from tasks.evaluation.annotations import parsed, read_annotations, read_text
from tasks.evaluation.report import EvaluationReport, read_report, write_report
from tasks.metrics.bootstrap import estimates
from tasks.metrics.captions import caption_measures
from tasks.metrics.diversity import diversity
from tasks.metrics.java import java_measures
from tasks.metrics.tokens import words, words_of_all
from tasks.rows import key_of
from tasks.storage import Lake


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """Captions and what they are compared with.

    Attributes:
        results: the file of captions; one for every picture of the split.
        annotations: a file of COCO, Karpathy, NoCaps, BLIP or Flickr30k, as it was published.
        split: which part of a file that has several.
        java: scores that a Java program gives: meteor, spice.
        bootstrap: resamples of the images behind every interval.
        seed: of the resamples.
    """

    results: str
    annotations: str
    split: str = "test"
    java: tuple[str, ...] = ()
    bootstrap: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(1, self, "bootstrap")


def score_given(lake: Lake, run: str, name: str, how: Given) -> EvaluationReport:
    """Score given captions and publish the report, in which they are called `name`.

    Raises:
        InputError: a file cannot be used, or a picture has no caption.
    """
    started = time.monotonic()
    told = read_annotations(how.annotations, how.split)
    captions = _read(how.results)
    lost = [one.number for one in told if one.number not in captions]
    if lost:
        raise InputError(
            f"{how.results} has captions for {len(told) - len(lost)} of {len(told)} pictures; "
            f"{lost[0]}, for one, has none"
        )
    said = [words(captions[one.number]) for one in told]
    references = [words_of_all(one.texts) for one in told]
    domains = [one.domain for one in told]
    measures = caption_measures(said, references, domains)
    measures |= java_measures(how.java, said, references)
    report = EvaluationReport(
        run=run,
        model=name,
        batch=f"{how.annotations.rsplit('/', 1)[-1]} {how.split}",
        images=len(told),
        texts=sum(len(own) for own in references),
        scores=estimates(measures, how.bootstrap, how.seed),
        diversity=asdict(diversity(said)),
        leakage={},
        settings=asdict(how),
        seconds=round(time.monotonic() - started, 1),
    )
    listed = [
        {
            "key": key_of(one.number),
            "caption": captions[one.number],
            "references": list(one.texts),
        }
        for one in told
    ]
    write_report(lake, report, listed, measures)
    return read_report(lake, run)


def _read(path: str) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        for one in parsed(read_text(path)):
            number = str(one["image_id"])
            if number in found:
                raise InputError(f"{path} has two captions for picture {number}")
            found[number] = str(one["caption"])
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f'{path} is no list of {{"image_id", "caption"}}') from error
    return found
