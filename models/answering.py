"""Questions about pictures: BLIP's VQA model (Li et al. 2022, section 5.3, figure 5).

B pictures with a question each of L tokens, N = B * G answers (G for each question), Wv and Wt
widths, V vocabulary. One stack reads the question with its picture, another writes the answer from
what the first made of every token of the question. Here the two share nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.blip import Blip, LanguageHead, image_encoder, initialise
from models.captioner import Caption, at_rest, continued
from models.decoding import Decoding, Writer
from models.losses import IGNORED
from models.presets import Shape
from models.text import Cache, ImageKeys, TextStack
from models.tokenization import Tokenizer, clean_question

MAX_LENGTH = 35  # of a question, BLIP's
BRIEF = Decoding(method="greedy", max_length=10, min_length=0, repetition_penalty=1.0)


class Answerer(nn.Module):
    """The whole model; `seed` alone decides its first weights.

    `question` reads, `text` writes; `shape.embedding` is kept but unused.
    """

    def __init__(self, shape: Shape, vocab_size: int, seed: int = 0) -> None:
        super().__init__()
        self.shape, self.vocab_size = shape, vocab_size
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            text = shape.text
            self.backbone, self.vision = image_encoder(shape.vision)
            self.question = TextStack(text, shape.vision.width, vocab_size, ("encoder",))
            self.text = TextStack(text, text.width, vocab_size, ("decoder",))
            self.language = LanguageHead(text.width, vocab_size, text.norm_eps)
            initialise(self, shape.init_std)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.language.bias.device

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Map normalised pixels (B, 3, S, S) to tokens (B, T, Wv)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.shape.vision.freeze):
            features = self.backbone(pixels)
        return torch.as_tensor(self.vision(features))

    def understand(self, ids: Tensor, mask: Tensor, pixels: Tensor) -> ImageKeys:
        """Read questions with their pictures and return what answers look at.

        Args:
            ids: int64 (B, L), beginning with [ENC].
            mask: bool (B, L), true on real tokens.
            pixels: float (B, 3, S, S), normalised.
        """
        seen = ImageKeys(self.question.project_image(self.encode_image(pixels)))
        read = self.text.project_image(self.question.encode(ids, mask, seen))
        return ImageKeys(read, visible=mask[:, None, None, :])

    def decode_hidden(
        self,
        ids: Tensor,
        keys: ImageKeys,
        cache: Cache | None = None,
        wanted: Tensor | None = None,
    ) -> Tensor:
        """Read answers from left to right with their questions: (N, L) to (N, L, Wt)."""
        return self.text.decode(ids, keys, cache, wanted)

    def language_logits(self, hidden: Tensor) -> Tensor:
        """Map hidden states (..., Wt) to next-token logits (..., V)."""
        return torch.as_tensor(self.language(hidden, self.text.words.weight))


def next_tokens(ids: Tensor, mask: Tensor) -> Tensor:
    """Return int64 (N, L): the token after each of `ids`, -100 where none is to be predicted."""
    targets = ids.roll(-1, dims=1).masked_fill(~mask.roll(-1, dims=1), IGNORED)
    targets[:, -1] = IGNORED
    return targets


def token_losses(
    model: Writer, keys: ImageKeys, ids: Tensor, targets: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """Return float (N, L): the cross-entropy of each token, 0 where the target is -100."""
    scored = targets != IGNORED
    logits = model.language_logits(model.decode_hidden(ids, keys, wanted=scored)[scored]).float()
    losses = F.cross_entropy(
        logits, targets[scored], label_smoothing=label_smoothing, reduction="none"
    )
    return torch.zeros(ids.shape, device=ids.device).masked_scatter(scored, losses)


def answerer_from(start: Blip) -> Answerer:
    """Build a model that answers from a pretrained one: each stack begins as its role there.

    Where image and text differ in width, the answer's cross-attention to the question has another
    shape than that to the image, and keeps its random start, as in the original.
    """
    model = Answerer(replace(start.shape, rbm=None), start.vocab_size)
    ours, theirs = model.state_dict(), start.state_dict()
    for name in ours:
        source = theirs[f"text.{name.removeprefix('question.')}" if "question." in name else name]
        if source.shape == ours[name].shape:
            ours[name] = source
    model.load_state_dict(ours)
    return model


@torch.no_grad()
def answer(  # a question's parts, and how to answer
    model: Answerer,
    tokenizer: Tokenizer,
    pixels: Tensor,
    questions: Sequence[str],
    decoding: Decoding = BRIEF,
    seeds: Tensor | None = None,
) -> list[Caption]:
    """Write an answer to each question; it depends on no other question of the batch.

    Args:
        model: left in the mode it was in.
        tokenizer: the model's.
        pixels: float (B, 3, S, S), normalised, on the model's device.
        questions: B texts.
        decoding: how.
        seeds: int64 (B,), for nucleus; None counts from 0.

    Raises:
        ValueError: the counts differ.
    """
    chosen = torch.arange(len(pixels)) if seeds is None else seeds
    with at_rest(model):
        keys = _understood(model, tokenizer, pixels, questions)
        return continued(model, tokenizer, keys, decoding, chosen)


@dataclass(frozen=True, slots=True)
class Ranked:
    """The best of the given answers and its log-probability, [SEP] included, in nats."""

    text: str
    logprob: float


@torch.no_grad()
def rank_answers(  # a question's parts, and what to choose from
    model: Answerer,
    tokenizer: Tokenizer,
    pixels: Tensor,
    questions: Sequence[str],
    candidates: Sequence[str],
    tried: int = 128,
) -> list[Ranked]:
    """Choose for each question the likeliest of the candidates.

    The `tried` candidates with the likeliest first token are read whole; of those the one with the
    highest summed log-probability wins (as in the original, without label smoothing).

    Args:
        model: left in the mode it was in.
        tokenizer: the model's.
        pixels: float (B, 3, S, S), normalised, on the model's device.
        questions: B texts.
        candidates: M answers.
        tried: how many are read whole, 128 in BLIP; all when there are fewer.

    Raises:
        ValueError: the counts differ, or there is no candidate.
    """
    if not candidates:
        raise ValueError("there is no answer to choose from")
    with at_rest(model):
        keys = _understood(model, tokenizer, pixels, questions)
        ids, mask = (t.to(model.device) for t in tokenizer.encode(candidates, MAX_LENGTH, "dec"))
        opening = ids[:1, :1].expand(len(questions), 1)
        first = model.language_logits(model.decode_hidden(opening, keys)[:, 0]).float()
        likely = first[:, ids[:, 1]].topk(min(tried, len(candidates)), dim=1).indices  # (B, K)
        texts, targets = ids[likely].flatten(0, 1), next_tokens(ids, mask)[likely].flatten(0, 1)
        scores = -token_losses(model, keys, texts, targets).sum(dim=1).reshape(likely.shape)
        best = scores.max(dim=1)
    chosen = likely.gather(1, best.indices[:, None])[:, 0].tolist()
    return [
        Ranked(candidates[c], score) for c, score in zip(chosen, best.values.tolist(), strict=True)
    ]


def _understood(
    model: Answerer, tokenizer: Tokenizer, pixels: Tensor, questions: Sequence[str]
) -> ImageKeys:
    if len(pixels) != len(questions):
        raise ValueError(
            f"each picture needs a question: got {len(pixels)} pictures, {len(questions)} questions"
        )
    cleaned = [clean_question(question) for question in questions]
    ids, mask = tokenizer.encode(cleaned, MAX_LENGTH, "enc")
    return model.understand(ids.to(model.device), mask.to(model.device), pixels)
