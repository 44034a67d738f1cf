"""Text-to-video retrieval by pooling frames: a video is the mean of its frames' vectors.

As BLIP does it without training on video (section 5.4): eight frames, evenly spaced; the unit mean
of their embeddings is compared with texts (ITC), and the matching head reads the tokens of all
frames in a row (ITM) for the best k. The annotations are BLIP's for MSR-VTT: JSON Lines or a list
of {"clip_name" or "video", "caption": text or texts}.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from models.matcher import MAX_LENGTH, score_texts
from models.preprocessing import pixels_for
from tasks.bounds import at_least
from tasks.checkpoints import LoadedModel
from tasks.errors import InputError
from tasks.evaluation.annotations import parsed, read_text
from tasks.evaluation.gallery import Gallery, gallery_of
from tasks.evaluation.leakage import checked_leakage, prints_of
from tasks.evaluation.report import EvaluationReport, read_report, write_report
from tasks.evaluation.retrieval import (
    chance_measures,
    embed_texts,
    recall_measures,
    reranked,
    shortlist,
)
from tasks.inference import inference, shared_model
from tasks.ingestion.pictures.signals import image_signals
from tasks.metrics.bootstrap import Measure, estimates
from tasks.pictures import Picture
from tasks.progress import track
from tasks.rows import key_of
from tasks.storage import Lake

ENDINGS = ("", ".mp4", ".avi", ".mkv", ".webm", ".mov")
ROWS = pa.schema({"key": pa.string(), "references": pa.list_(pa.string())}.items())


@dataclass(frozen=True, kw_only=True, slots=True)
class Videos:
    """Which videos are looked for, and how they are looked at.

    Attributes:
        annotations: the file of captions.
        videos: the folder of video files.
        frames: how many of each are looked at.
        rerank_k: how many of each row and column the matching head reads; 0 leaves it out.
        bootstrap: resamples of the videos behind every interval.
        seed: of the resamples.
        max_length: most tokens of a text.
        batch_size: texts on the device at once.
        max_videos: the first so many; 0 takes all.
    """

    annotations: str
    videos: str
    frames: int = 8
    rerank_k: int = 16
    bootstrap: int = 1000
    seed: int = 0
    max_length: int = MAX_LENGTH
    batch_size: int = 64
    max_videos: int = 0

    def __post_init__(self) -> None:
        at_least(1, self, "frames", "bootstrap", "batch_size")
        at_least(0, self, "rerank_k", "max_videos")


def retrieve_videos(
    lake: Lake, run: str, model_uri: str, how: Videos, device: str = "cpu"
) -> EvaluationReport:
    """Score retrieval between videos and texts, both ways, and publish the report.

    Raises:
        InputError: the annotations cannot be used, or a video is missing or cannot be decoded.
        ModelError: the model is missing or damaged.
    """
    started = time.monotonic()
    loaded = shared_model(lake, model_uri, device)
    captions = read_clips(how.annotations, how.max_videos)
    files = [_file(Path(how.videos), name) for name in captions]
    clips = [
        Picture(key_of(name), str(file), 0, 0) for name, file in zip(captions, files, strict=True)
    ]
    gallery = gallery_of(clips, list(captions.values()))
    measures, looks = _measures(loaded, gallery, files, how)
    stages = ("itc", "itm") if how.rerank_k else ("itc",)
    blind = {k: v for k, v in chance_measures(gallery).items() if k.startswith(stages)}
    report = EvaluationReport(
        run=run,
        model=loaded.name,
        batch=how.annotations.rsplit("/", 1)[-1],
        images=len(files),
        texts=sum(len(own) for own in gallery.captions),
        scores=estimates(measures, how.bootstrap, how.seed),
        baselines={"chance": estimates(blind, how.bootstrap, how.seed)},
        leakage=asdict(checked_leakage(lake, prints_of(looks), loaded.name, loaded.facts)),
        settings=asdict(how),
        seconds=round(time.monotonic() - started, 1),
        task="video",
    )
    listed = [
        {"key": clip.key, "references": [gallery.texts[at] for at in own]}
        for clip, own in zip(clips, gallery.captions, strict=True)
    ]
    write_report(lake, report, listed, measures, ROWS)
    return read_report(lake, run)


def read_clips(path: str, max_videos: int = 0) -> dict[str, list[str]]:
    """Return the captions of each video by its name, in the file's order.

    Raises:
        InputError: it is no such file.
    """
    content = read_text(path)
    try:
        is_list = content.lstrip().startswith("[")
        lines = [line for line in content.split("\n") if line.strip()]
        listed = parsed(content) if is_list else [parsed(line) for line in lines]
        found: dict[str, list[str]] = {}
        for one in listed:
            said = one["caption"]
            texts = [said] if isinstance(said, str) else [str(text) for text in said]
            found.setdefault(_clip(one), []).extend(texts)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f'{path} is no list of {{"clip_name" or "video", "caption"}} ({error!s:.80})'
        ) from error
    if not found:
        raise InputError(f"{path} names no video")
    return dict(list(found.items())[: max_videos or None])


def _clip(one: Mapping[str, Any]) -> str:
    return str(one["clip_name"] if "clip_name" in one else one["video"])


def _file(folder: Path, name: str) -> Path:
    for ending in ENDINGS:
        if (folder / f"{name}{ending}").is_file():
            return folder / f"{name}{ending}"
    raise InputError(f"there is no video {name} in {folder} (tried {', '.join(ENDINGS[1:])})")


def read_frames(file: Path, frames: int, size: int) -> NDArray[np.uint8]:
    """Return evenly spaced frames as uint8 (F, size, size, 3), RGB, each from a part's middle.

    A video of fewer frames repeats some.

    Raises:
        InputError: it cannot be decoded.
    """
    total = sum(1 for _ in _grabbed(file))
    if not total:
        raise InputError(f"{file} cannot be decoded as a video; is it whole?")
    places = [int((at + 0.5) * total / frames) for at in range(frames)]
    wanted = set(places)
    # Counted first and decoded then: a long video would not fit into memory whole.
    found = {at: _square(video, file, size) for at, video in _grabbed(file) if at in wanted}
    return np.stack([found[place] for place in places])


def _grabbed(file: Path) -> Iterator[tuple[int, Any]]:
    """Step through a video's frames without decoding them."""
    video = cv2.VideoCapture(str(file))
    try:
        at = 0
        while video.grab():
            yield at, video
            at += 1
    finally:
        video.release()


def _square(video: Any, file: Path, size: int) -> NDArray[np.uint8]:
    is_there, picture = video.retrieve()
    if not is_there:
        raise InputError(f"a frame of {file} cannot be decoded; is the file whole?")
    small = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def pooled(embeddings: Tensor) -> Tensor:
    """Return a video's unit vector: the mean of its frames' unit vectors, (F, E) to (E,)."""
    return F.normalize(embeddings.mean(dim=0), dim=-1)


def _measures(
    loaded: LoadedModel, gallery: Gallery, files: Sequence[Path], how: Videos
) -> tuple[dict[str, Measure], list[tuple[str, str, int | None]]]:
    """Return the measures by video, and what every frame looks like, for leakage."""
    texts = embed_texts(loaded, gallery.texts, how.batch_size, how.max_length)
    looked = [_looked_at(loaded, file, how) for file in track(files, "watching", len(files))]
    cosines = torch.stack([pooled(one.vectors) for one in looked]) @ texts.T
    measures: dict[str, Measure] = {}
    for direction, axis in (("tr", 1), ("ir", 0)):
        measures |= recall_measures(cosines, gallery, f"itc_{direction}", axis)
    if how.rerank_k:
        marked = shortlist(cosines, how.rerank_k)
        logits = _matched(loaded, gallery, [one.tokens for one in looked], marked.any(dim=0))
        for direction, axis, mine in (("tr", 1, marked[0]), ("ir", 0, marked[1])):
            scores = reranked(cosines, logits, mine)
            measures |= recall_measures(scores, gallery, f"itm_{direction}", axis)
    return measures, [
        (clip.key, "", look)
        for clip, one in zip(gallery.pictures, looked, strict=True)
        for look in one.looks
    ]


@dataclass(frozen=True, slots=True)
class _Looked:
    """F frames: unit vectors (F, E), tokens in a row (1, F * T, W), perceptual hashes."""

    vectors: Tensor
    tokens: Tensor
    looks: list[int]


def _looked_at(loaded: LoadedModel, file: Path, how: Videos) -> _Looked:
    vision = loaded.model.shape.vision
    squares = read_frames(file, how.frames, vision.image_size)
    frames = torch.from_numpy(squares)
    with inference(loaded.model.device.type):
        tokens = loaded.model.encode_image(pixels_for(vision, frames.to(loaded.model.device)))
        vectors = loaded.model.image_embedding(tokens).float().cpu()
    looks = [int(image_signals(square)["phash"]) for square in squares]
    return _Looked(vectors, tokens.flatten(0, 1)[None].cpu(), looks)


def _matched(
    loaded: LoadedModel, gallery: Gallery, tokens: Sequence[Tensor], wanted: Tensor
) -> Tensor:
    """Return the matched logit of the wanted pairs, double (N, U); NaN elsewhere."""
    logits = torch.full(wanted.shape, torch.nan, dtype=torch.float64)
    with inference(loaded.model.device.type):
        for video, own in enumerate(tokens):
            places = wanted[video].nonzero()[:, 0].tolist()
            if not places:
                continue
            texts = [[gallery.texts[place] for place in places]]
            (scores,) = score_texts(
                loaded.model, loaded.tokenizer, own.to(loaded.model.device), texts
            )
            logits[video, places] = torch.tensor([one.itm_logit for one in scores]).double()
    return logits
