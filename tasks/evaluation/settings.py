"""What is measured of a model, and how surely."""

from dataclasses import dataclass, field

from models.decoding import Decoding
from models.matcher import MAX_LENGTH
from tasks.bounds import at_least
from tasks.errors import InputError
from tasks.metrics.java import PROGRAMS


@dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark:
    """Pictures in a folder with a published annotation file, instead of a batch of the lake.

    Attributes:
        annotations: a file of COCO, Karpathy, NoCaps, BLIP or Flickr30k, as it was published.
        images: the folder that its file names are in, also an fsspec URL.
        split: which part of a file that has several, such as Karpathy's.
    """

    annotations: str
    images: str
    split: str = "test"


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """What is measured, and how surely.

    Attributes:
        decoding: how captions are written; BLIP's evaluation takes three beams.
        rerank_k: how many of each row the matching head reads; BLIP takes 256 of COCO's 5,000.
        bootstrap: resamples of the images behind every interval.
        seed: of the resamples and of the captions drawn by chance.
        max_images: the first so many by key, which is random; 0 takes all.
        batch_size: pictures on the device at once; has no influence on any score.
        max_length: most tokens of a text in retrieval.
        neighbours: selections whose pictures the nearest-neighbour captions come from; empty takes
            those the model was trained on.
        benchmark: evaluate on these pictures, not on a batch.
        java: scores that a Java program gives: meteor, spice.
    """

    decoding: Decoding = field(
        default_factory=lambda: Decoding(method="beam", beams=3, repetition_penalty=1.0)
    )
    rerank_k: int = 16
    bootstrap: int = 1000
    seed: int = 0
    max_images: int = 0
    batch_size: int = 64
    max_length: int = MAX_LENGTH
    neighbours: tuple[str, ...] = ()
    benchmark: Benchmark | None = None
    java: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        at_least(1, self, "rerank_k", "bootstrap", "batch_size")
        at_least(0, self, "max_images")
        at_least(3, self, "max_length")
        unknown = [name for name in self.java if name not in PROGRAMS]
        if unknown:
            raise InputError(f"java is of {', '.join(PROGRAMS)}, not {', '.join(unknown)}")
