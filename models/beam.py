"""Beam search over captions; the beams of an image share its keys.

B images, K beams, t tokens so far, P prompt tokens, V vocabulary. A finished text's score is its
summed log-probability (after the repetition penalty) over its generated tokens, as transformers
has it with length_penalty 1 and early_stopping False.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.decoding import Decoding, Rules, Spelling, Writer, should_check
from models.text import Cache, ImageKeys


@dataclass(slots=True)
class _Search:
    """Where the search stands.

    Attributes:
        ids: int64 (B, K, max_length), the texts still growing.
        scores: float (B, K), their summed log-probabilities.
        ended_ids: int64 (B, K, max_length), the best finished texts.
        ended_scores: float (B, K), a token's mean log-probability; -inf where there is none yet.
        done: bool (B,), nothing that still grows can beat what has finished.
    """

    ids: Tensor
    scores: Tensor
    ended_ids: Tensor
    ended_scores: Tensor
    done: Tensor


def beam_search(model: Writer, keys: ImageKeys, spelling: Spelling, decoding: Decoding) -> Tensor:
    """Return int64 (B, t): the best text found for each image, prompt included, padded.

    Args:
        model: in eval mode.
        keys: of B images.
        spelling: the ids to write with.
        decoding: beams, lengths and penalties.
    """
    images, beams, start = len(keys), decoding.beams, len(spelling.prompt)
    search = _started(images, spelling, decoding, model.device)
    cache = Cache(model.shape.text, images * beams, decoding.max_length, model.text.words.weight)
    rules = Rules(spelling, decoding, model.device)
    first = torch.arange(images, device=model.device)[:, None] * beams
    new = search.ids[:, :, :start].flatten(0, 1)
    for at in range(start, decoding.max_length):
        logits = model.language_logits(model.decode_hidden(new, keys, cache)[:, -1])
        scores = logits.float().log_softmax(dim=1)
        scores = rules.adjusted(scores, search.ids[:, :, :at].flatten(0, 1))
        origin = _advance(search, scores.reshape(images, beams, -1), at, spelling)
        if should_check(at, model.device) and bool(search.done.all()):
            break
        cache.reorder((first + origin).flatten())
        new = search.ids[:, :, at : at + 1].flatten(0, 1)
    return search.ended_ids[:, 0]


def _started(images: int, spelling: Spelling, decoding: Decoding, device: torch.device) -> _Search:
    beams, length = decoding.beams, decoding.max_length
    ids = torch.full((images, beams, length), spelling.pad, device=device)
    ids[:, :, : len(spelling.prompt)] = torch.tensor(spelling.prompt, device=device)
    # All beams are alike at first: only one of them may speak.
    scores = torch.full((images, beams), -torch.inf, device=device)
    scores[:, 0] = 0.0
    none = torch.full_like(scores, -torch.inf)
    done = torch.zeros(images, dtype=torch.bool, device=device)
    return _Search(ids, scores, ids.clone(), none, done)


def _advance(search: _Search, scores: Tensor, at: int, spelling: Spelling) -> Tensor:
    """Grow every text by one token from scores (B, K, V); return the beam each one grew from."""
    beams, vocabulary = scores.shape[1:]
    # Twice as many as needed: even if K of them end, K go on.
    totals = (search.scores[:, :, None] + scores).flatten(1)
    best, flat = totals.topk(min(2 * beams, totals.shape[1]), dim=1)
    origin, token = flat // vocabulary, flat % vocabulary
    grown = search.ids.gather(1, origin[..., None].expand(-1, -1, search.ids.shape[2]))
    grown[:, :, at] = token
    is_last = at == search.ids.shape[2] - 1
    ends = (token == spelling.end) | is_last
    generated = at + 1 - len(spelling.prompt)
    _collect(search, grown[:, :beams], best[:, :beams] / generated, ends[:, :beams])
    search.scores, kept = best.masked_fill(ends, -torch.inf).topk(beams, dim=1)
    search.ids = grown.gather(1, kept[..., None].expand(-1, -1, grown.shape[2]))
    worst = search.ended_scores.amin(dim=1)
    search.done |= worst >= search.scores[:, 0] / generated
    search.done |= is_last
    return origin.gather(1, kept)


def _collect(search: _Search, ids: Tensor, scores: Tensor, ends: Tensor) -> None:
    """Let the candidates that end compete with the finished texts of their image."""
    beams = ids.shape[1]
    entering = scores.masked_fill(~ends | search.done[:, None], -torch.inf)
    pool_scores = torch.cat([search.ended_scores, entering], dim=1)
    pool_ids = torch.cat([search.ended_ids, ids], dim=1)
    search.ended_scores, best = pool_scores.topk(beams, dim=1)
    search.ended_ids = pool_ids.gather(1, best[..., None].expand(-1, -1, ids.shape[2]))
