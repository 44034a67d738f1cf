"""Everything that is made once and then only read: candidates, their scores, their vectors."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from flows.summary import finished_summary
from models.decoding import Decoding
from tasks import rows
from tasks.capfilt.settings import CapFilt
from tasks.capfilt.stage import caption_shard, score_shard
from tasks.embedding import Embedding, embed_shard
from tasks.errors import InputError
from tasks.pair_scores import score_pairs
from tasks.progress import track
from tasks.rbm.fitting import fit_rbm
from tasks.rbm.settings import RbmFit
from tasks.storage import Lake, Shard, open_lake
from tests.experiments.rbm.pictures import drawn_pictures
from tests.experiments.rbm.retriever import OWN, trained_retriever

log = logging.getLogger("tasks.experiment")

BEAM = CapFilt(decoding=Decoding(method="beam", beams=3, repetition_penalty=1.0))
DRAWN = CapFilt(captions_per_image=8)


@dataclass(frozen=True, slots=True)
class Models:
    """Addresses of the models by the part they take."""

    writer: str
    scorer: str
    judge: str


@dataclass(frozen=True, slots=True)
class Cached:
    """Where everything lies.

    Attributes:
        lake: the experiment's own, below the demo's; the demo's catalogue does not see it.
        shards: of the pictures.
        models: who wrote, scored and judges.
        captions: the runs of the candidates, the beam's first.
        scores: the filter's run.
        vectors: of the candidates, by the scorer.
        training: of the pairs that machines are fitted on, by the scorer.
        batches: whose pairs these are.
    """

    lake: Lake
    shards: tuple[Shard, ...]
    models: Models
    captions: tuple[str, str]
    scores: str
    vectors: str
    training: str
    batches: tuple[str, ...]


def cache(demo: Lake, count: int, scorer: str, judge: str) -> Cached:
    """Draw the pictures, write the candidates, score and embed them; what is there is kept.

    Args:
        demo: the lake of a finished demo.
        count: pictures.
        scorer: which of its models gives ITM, ITC and the vectors.
        judge: "own" for one that is trained here, or which of the demo's models retrieves.

    Raises:
        InputError: the models are not different ones of the demo.
    """
    summary = demo.read_json(finished_summary(demo))
    named_models = _named(summary["models"], scorer, judge)
    lake = open_lake(demo.path("experiments/rbm"), create=True)
    models = _models(demo, lake, named_models)
    shards = tuple(drawn_pictures(lake, count))
    named = {
        name: f"{name}-{rows.fingerprint(facts)}"
        for name, facts in {
            "beam": [models.writer, asdict(BEAM), count],
            "drawn": [models.writer, asdict(DRAWN), count],
            "scores": [models.writer, models.scorer, count],
            "vectors": [models.writer, models.scorer, count],
            "training": [models.scorer, summary["selections"]],
        }.items()
    }
    captions = (named["beam"], named["drawn"])
    for shard in track(shards, "captioning, scoring and embedding", len(shards)):
        for run, how in zip(captions, (BEAM, DRAWN), strict=True):
            caption_shard(lake, run, shard, models.writer, how)
        score_shard(lake, named["scores"], shard, captions, models.scorer, CapFilt())
        embed_shard(lake, named["vectors"], shard, captions, models.scorer, Embedding())
    batches = _training_vectors(demo, lake, named["training"], models.scorer, summary)
    runs = (captions, named["scores"], named["vectors"], named["training"])
    return Cached(lake, shards, models, *runs, batches)


def fitted_machines(cached: Cached, seeds: Sequence[int]) -> list[str]:
    """Fit an RBM from each seed on the demo's training pairs and score every candidate."""
    runs = []
    for seed in seeds:
        how = RbmFit(seed=seed)
        run = f"rbm-{rows.fingerprint([cached.training, asdict(how)])}"
        looks = fit_rbm(cached.lake, run, cached.training, cached.batches, how)
        for _ in track(looks, run, how.looks):
            pass
        for shard in cached.shards:
            score_pairs(cached.lake, run, cached.vectors, shard)
        runs.append(run)
    return runs


def _named(there: dict[str, str], scorer: str, judge: str) -> list[str]:
    """Return the addresses of the writer, the scorer and, if it is one of the demo's, the judge."""
    known = {name: uri for name, uri in there.items() if uri.startswith("checkpoints/")}
    roles = [name for name in ("captioner", scorer, judge) if name != OWN]
    if scorer == OWN or not set(roles) <= set(known) or len(set(roles)) != len(roles):
        raise InputError(
            f"scorer is one of {', '.join(sorted(known))} other than captioner, and judge a third "
            f"one or {OWN}, not {scorer} and {judge}"
        )
    return [known[name] for name in roles]


def _models(demo: Lake, lake: Lake, named: Sequence[str]) -> Models:
    writer, scores, *judges = (demo.path(uri) for uri in named)
    retriever = judges[0] if judges else lake.path(trained_retriever(demo, lake))
    return Models(writer, scores, retriever)


def _training_vectors(
    demo: Lake, lake: Lake, run: str, scorer: str, summary: dict[str, dict[str, dict[str, object]]]
) -> tuple[str, ...]:
    """Embed what CapFilt kept and what people wrote, in the demo's lake, and copy the vectors."""
    batches = []
    for name in ("kept", "human"):
        card = summary["selections"][name]
        how = dict(card["how"])  # type: ignore[call-overload]  # JSON
        for batch in how["batches"]:
            batches.append(batch)
            for shard in demo.planned(batch):
                embed_shard(demo, run, shard, str(card["id"]), scorer, Embedding())
                path = lake.rows("vectors", run, shard)
                if not lake.exists(path):
                    lake.publish_bytes(path, demo.read_bytes(path))
    return tuple(batches)
