"""What is said of every candidate, as (N, C) tables beside those that the lake holds.

N pictures, C candidates, the beam's first. Everything that is fitted here is fitted on the demo's
training pairs, by the scorer's vectors; no picture of the experiment is in them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.energy import EnergyFit, fit_pair_energy
from models.likelihood import text_log_probabilities
from models.preprocessing import pixels_for
from models.rbm.whitening import fit_whitener
from tasks import rows
from tasks.inference import shared_model
from tasks.pictures import Picture, read_pictures, shard_pictures
from tasks.reranking.candidates import TERMS, Candidates, read_candidates
from tasks.samples import key_number
from tasks.vectors import held_out, pairs_of, read_vectors
from tests.experiments.rbm.cached import Cached

TEXTS_AT_ONCE = 256
AVERAGED = 256  # pictures of the mean picture
NOISE = 2
CHECKED_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Terms:
    """Every score of every candidate, double (N, C), or (S, N, C) where it depends on a seed.

    Attributes:
        candidates: texts and what the lake says of them.
        lm_sum: log p(text | picture).
        lm_blank: log p(text), of pictures without content.
        gaussian: PMI under the full Gaussian.
        minus_energy: -F of the joint RBM, by seed.
        rbm: PMI under the RBM, by seed.
        nce: the energy trained to tell pairs apart, by seed.
    """

    candidates: Candidates
    lm_sum: Tensor
    lm_blank: Tensor
    gaussian: Tensor
    minus_energy: Tensor
    rbm: Tensor
    nce: Tensor

    def of(self, name: str) -> Tensor:
        """Return lm, itm, itc: a term of the lake."""
        return self.candidates.terms[TERMS.index(name)]


def read_terms(cached: Cached, machines: Sequence[str], seeds: Sequence[int]) -> Terms:
    """Read and compute every score of the candidates."""
    lake, shards = cached.lake, cached.shards
    found = read_candidates(lake, shards, cached.captions, cached.scores)
    told = [
        {name: _column(cached, run, name, found) for name in ("rbm_pmi", "free_energy")}
        for run in machines
    ]
    return Terms(
        candidates=found,
        lm_sum=torch.tensor([[row["lm_logprob"] for row in own] for own in found.rows]).double(),
        lm_blank=_blank(cached, found),
        gaussian=_column(cached, machines[0], "gaussian_pmi", found),
        minus_energy=-torch.stack([one["free_energy"] for one in told]),
        rbm=torch.stack([one["rbm_pmi"] for one in told]),
        nce=torch.stack([_told_apart(cached, seed, found) for seed in seeds]),
    )


def pictures_of(cached: Cached, keys: Sequence[str]) -> list[Picture]:
    """Return where each picture's bytes lie."""
    stored = {p.key: p for shard in cached.shards for p in shard_pictures(cached.lake, shard)}
    return [stored[key] for key in keys]


def _column(cached: Cached, run: str, name: str, found: Candidates) -> Tensor:
    values = {
        row["caption_id"]: row[name]
        for shard in cached.shards
        for row in rows.read_rows(
            cached.lake, cached.lake.rows("scores", run, shard), ["caption_id", name]
        ).to_pylist()
    }
    return torch.tensor([[values[row["caption_id"]] for row in own] for own in found.rows]).double()


def _blank(cached: Cached, found: Candidates) -> Tensor:
    """Return log p(text) as the mean over a mean picture and pictures of noise."""
    loaded = shared_model(cached.lake, cached.models.writer, "cpu", "captioner")
    vision = loaded.model.shape.vision
    own = pictures_of(cached, found.keys[:AVERAGED])
    squares = read_pictures(cached.lake, own, vision.image_size)
    mean = squares.float().mean(0, keepdim=True).round().to(torch.uint8)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(256, (NOISE, *mean.shape[1:]), generator=generator, dtype=torch.uint8)
    blanks = pixels_for(vision, torch.cat([mean, noise]))
    texts = sorted({row["text"] for own in found.rows for row in own})
    parts = [texts[at : at + TEXTS_AT_ONCE] for at in range(0, len(texts), TEXTS_AT_ONCE)]
    per_blank = [
        torch.cat(
            [
                text_log_probabilities(loaded.model, loaded.tokenizer, blank[None], part)
                for part in parts
            ]
        )
        for blank in blanks
    ]
    told = torch.logsumexp(torch.stack(per_blank), 0) - torch.tensor(float(len(blanks))).log()
    places = {text: place for place, text in enumerate(texts)}
    return told[torch.tensor([[places[row["text"]] for row in own] for own in found.rows])]


def _told_apart(cached: Cached, seed: int, found: Candidates) -> Tensor:
    """Train the energy on the same pairs as the RBM and score the candidates."""
    pairs, keys, _ = read_vectors(cached.lake, cached.training, cached.batches)
    outside = held_out(keys, CHECKED_SHARE)
    whitener = fit_whitener([pairs[~outside]], pairs.shape[1] // 2)
    scale = whitener.project(pairs[~outside]).std(0).mean()
    cut = whitener.project(pairs) / scale
    numbers = torch.tensor([key_number(key) for key in keys])
    split = whitener.split
    how = EnergyFit(seed=seed)
    energy = fit_pair_energy(cut[:, :split], cut[:, split:], numbers, outside, how)
    scored: dict[str, float] = {}
    for shard in cached.shards:
        table = rows.read_rows(cached.lake, cached.lake.rows("vectors", cached.vectors, shard))
        own = (whitener.project(pairs_of(table)) / scale).float()
        told = energy(own[:, :split], own[:, split:]).tolist()
        scored |= dict(zip(table["caption_id"].to_pylist(), told, strict=True))
    return torch.tensor([[scored[row["caption_id"]] for row in own] for own in found.rows]).double()
