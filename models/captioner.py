"""Images to captions: BLIP's decoder run one token at a time.

B images, N = B * G texts (G for each image), P prompt tokens, t tokens so far, V vocabulary.
Image keys are projected once; all texts and beams of an image read the same ones. The decoder's
own past lies in a cache of fixed size.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.beam import beam_search
from models.blip import Blip
from models.decoding import Decoding, Rules, Spelling, Writer, should_check
from models.sampling import sample_nucleus, uniforms
from models.text import Cache, ImageKeys
from models.tokenization import Tokenizer

__all__ = ["Caption", "Decoding", "generate"]


@dataclass(frozen=True, slots=True)
class Caption:
    """One text and what the model thought of it.

    Attributes:
        text: without the prompt.
        logprob: natural log of its probability, summed over tokens, [SEP] included; of the model
            as it is, before penalties and truncation.
        mean_logprob: the same for each token.
        n_tokens: generated tokens, [SEP] included.
        is_finished: it ended by itself, not at `max_length`.
    """

    text: str
    logprob: float
    mean_logprob: float
    n_tokens: int
    is_finished: bool


@torch.no_grad()
def generate(
    model: Blip, tokenizer: Tokenizer, pixels: Tensor, decoding: Decoding, seeds: Tensor
) -> list[Caption]:
    """Write captions.

    A caption is a function of its image, its seed and the settings alone: not of the other images
    of the batch, as far as the device's arithmetic gives a row the same logits in any batch.

    Args:
        model: left in the mode it was in.
        tokenizer: the model's.
        pixels: float (B, 3, S, S), normalised, on the model's device.
        decoding: how.
        seeds: int64 (B,), or (B, G) for G captions of each image; beam and greedy ignore them.

    Returns:
        B captions, or B * G with those of one image in a row.

    Raises:
        ValueError: seeds and pixels differ in count, or the prompt leaves no room.
    """
    if len(seeds) != len(pixels):
        raise ValueError(f"each image needs a seed: got {len(pixels)} images, {len(seeds)} seeds")
    with at_rest(model):
        keys = model.project_image(model.encode_image(pixels))
        return continued(model, tokenizer, keys, decoding, seeds)


def continued(
    model: Writer, tokenizer: Tokenizer, keys: ImageKeys, decoding: Decoding, seeds: Tensor
) -> list[Caption]:
    """Write from keys that are projected already, with a model in eval mode; as `generate`."""
    prompt = tuple(tokenizer.encode_prompt(decoding.prompt))
    if len(prompt) >= decoding.max_length:
        raise ValueError(
            f"the prompt takes {len(prompt)} tokens of max_length {decoding.max_length}; "
            "nothing could be written"
        )
    spelling = Spelling(prompt, tokenizer.sep, tokenizer.pad, tokenizer.unspeakable)
    ids = write(model, keys, spelling, decoding, seeds.to(model.device))
    return _captions(tokenizer, ids, token_log_probabilities(model, keys, ids, spelling), spelling)


@contextlib.contextmanager
def at_rest(model: nn.Module) -> Iterator[None]:
    """Put a model into eval mode for a while."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def write(
    model: Writer, keys: ImageKeys, spelling: Spelling, decoding: Decoding, seeds: Tensor
) -> Tensor:
    """Return int64 (N, t) ids, prompt included, filled with `pad` after the end.

    Args:
        model: in eval mode.
        keys: of B images.
        spelling: the ids to write with.
        decoding: how.
        seeds: int64 (B,) or (B, G).
    """
    if decoding.method == "beam":
        found = beam_search(model, keys, spelling, decoding)
        return found.repeat_interleave(seeds.shape[1] if seeds.ndim > 1 else 1, dim=0)
    return _sampled(model, keys, spelling, decoding, seeds.reshape(-1))


def _sampled(
    model: Writer, keys: ImageKeys, spelling: Spelling, decoding: Decoding, seeds: Tensor
) -> Tensor:
    rows, start = len(seeds), len(spelling.prompt)
    ids = torch.full((rows, decoding.max_length), spelling.pad, device=seeds.device)
    ids[:, :start] = torch.tensor(spelling.prompt, device=seeds.device)
    cache = Cache(model.shape.text, rows, decoding.max_length, model.text.words.weight)
    rules = Rules(spelling, decoding, seeds.device)
    top_k = 1 if decoding.method == "greedy" else decoding.top_k
    done = torch.zeros(rows, dtype=torch.bool, device=seeds.device)
    new = ids[:, :start]
    for at in range(start, decoding.max_length):
        logits = model.language_logits(model.decode_hidden(new, keys, cache)[:, -1])
        scores = rules.adjusted(logits.float(), ids[:, :at])
        token = sample_nucleus(scores, uniforms(seeds, at - start), top_k, decoding.top_p)
        ids[:, at] = torch.where(done, spelling.pad, token)
        done |= token == spelling.end
        new = token[:, None]
        if should_check(at, ids.device) and bool(done.all()):
            return ids[:, : at + 1]
    return ids


def token_log_probabilities(
    model: Writer, keys: ImageKeys, ids: Tensor, spelling: Spelling
) -> Tensor:
    """Return float (N, t - P): each written token's log-probability, 0 after the end."""
    start = len(spelling.prompt)
    tokens = ids[:, start:]
    scored = is_written(tokens, spelling.end)
    wanted = F.pad(scored, (start - 1, 0))
    hidden = model.decode_hidden(ids[:, :-1], keys, wanted=wanted)
    logits = model.language_logits(hidden[wanted]).float()  # only real places pay for the head
    chosen = logits.log_softmax(dim=1).gather(1, tokens[scored][:, None])[:, 0]
    return torch.zeros_like(tokens, dtype=chosen.dtype).masked_scatter(scored, chosen)


def is_written(tokens: Tensor, end: int) -> Tensor:
    """Return bool (N, t): true up to and with the first `end` of each row."""
    ends = (tokens == end).long()
    return ends.cumsum(dim=1) - ends == 0


def _captions(
    tokenizer: Tokenizer, ids: Tensor, scores: Tensor, spelling: Spelling
) -> list[Caption]:
    tokens = ids[:, len(spelling.prompt) :]
    counts = is_written(tokens, spelling.end).sum(dim=1).tolist()
    finished = (tokens == spelling.end).any(dim=1).tolist()
    sums = scores.double().sum(dim=1).tolist()
    texts = tokenizer.decode(tokens)
    return [
        Caption(text, total, total / count, count, ended)
        for text, total, count, ended in zip(texts, sums, counts, finished, strict=True)
    ]
