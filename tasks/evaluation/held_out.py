"""What a model is judged on: a batch of the lake, or a benchmark's files as they were published."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from tasks.errors import InputError
from tasks.evaluation.annotations import read_annotations
from tasks.evaluation.files import file_pictures, file_prints, open_folder
from tasks.evaluation.gallery import Gallery, evaluation_gallery, gallery_of
from tasks.evaluation.leakage import Prints, batch_prints
from tasks.evaluation.settings import Benchmark
from tasks.metrics.tokens import words
from tasks.storage import Lake


@dataclass(frozen=True, slots=True)
class HeldOut:
    """N pictures with captions.

    Attributes:
        name: of the batch or benchmark.
        place: where the pictures' bytes lie.
        gallery: the pictures and their captions.
        prints: what tells the pictures apart, N.
        numbers: the benchmark's own ids, N; empty for a batch.
        domains: NoCaps' domain of each, N; empty where there is none.
    """

    name: str
    place: Lake
    gallery: Gallery
    prints: Prints
    numbers: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()


def held_out_batch(lake: Lake, batch: str, max_images: int = 0) -> HeldOut:
    """Return a batch's pictures that have captions.

    Raises:
        LakeError: there are none.
    """
    gallery = evaluation_gallery(lake, batch, max_images)
    keys = [picture.key for picture in gallery.pictures]
    return HeldOut(batch, lake, gallery, batch_prints(lake, batch, keys))


def held_out_benchmark(benchmark: Benchmark, max_images: int = 0) -> HeldOut:
    """Return a benchmark's pictures, by key.

    Raises:
        InputError: the annotations cannot be used, or a picture is not in the folder.
    """
    told = read_annotations(benchmark.annotations, benchmark.split)
    told = [one for one in told if any(words(text) for text in one.texts)]
    folder = open_folder(benchmark.images)
    pictures = file_pictures(folder, [(one.name, one.url) for one in told])
    by_key = {picture.key: (picture, one) for picture, one in zip(pictures, told, strict=True)}
    if len(by_key) < len(told):
        raise InputError(
            f"{len(told) - len(by_key)} pictures of {benchmark.annotations} are there twice under "
            "one URL; is the file damaged?"
        )
    chosen = [by_key[key] for key in sorted(by_key)][: max_images or None]
    found = [picture for picture, _ in chosen]
    texts = [[text for text in one.texts if words(text)] for _, one in chosen]
    has_domains = any(one.domain for _, one in chosen)
    name = f"{PurePosixPath(benchmark.annotations).name} {benchmark.split}"
    return HeldOut(
        name,
        folder,
        gallery_of(found, texts),
        file_prints(folder, found),
        tuple(one.number for _, one in chosen),
        tuple(one.domain for _, one in chosen) if has_domains else (),
    )
