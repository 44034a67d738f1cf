"""How captions are written: the settings, the ids, and the rules on what may come next.

N texts, t tokens so far, V vocabulary.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from models.presets import Shape
from models.sampling import forbid_repeated_ngrams, penalise_repeats
from models.text import Cache, ImageKeys, TextStack

METHODS = ("nucleus", "beam", "greedy")
STEPS_BETWEEN_CHECKS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoding:
    """How captions are written; the defaults are those of BLIP's CapFilt.

    Attributes:
        method: "nucleus" draws, "beam" searches, "greedy" takes the likeliest token.
        top_k: nucleus: only the best k tokens are considered, before `top_p`.
        top_p: nucleus: the probability that the considered tokens hold at least.
        beams: beam: how many unfinished texts are kept.
        max_length: most tokens; [DEC], the prompt and [SEP] count.
        min_length: a text does not end before this many tokens; the same ones count.
        repetition_penalty: above 1, words written before become less likely.
        no_repeat_ngram: no run of this many tokens comes twice; 0 allows all.
        prompt: what every caption is made to begin with; it is not part of the result.
    """

    method: str = "nucleus"
    top_k: int = 50
    top_p: float = 0.9
    beams: int = 3
    max_length: int = 20
    min_length: int = 5
    repetition_penalty: float = 1.1
    no_repeat_ngram: int = 0
    prompt: str = ""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method is one of {', '.join(METHODS)}, not {self.method!r}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is a probability in (0, 1], not {self.top_p}")
        if self.top_k < 1 or self.beams < 1 or self.repetition_penalty <= 0:
            raise ValueError("top_k and beams are 1 or more, repetition_penalty is above 0")
        if self.no_repeat_ngram < 0 or not 0 <= self.min_length <= self.max_length:
            raise ValueError("no_repeat_ngram is 0 or more, and min_length at most max_length")


class Writer(Protocol):
    """A model that writes: `Blip` for images, `Answerer` for questions about them."""

    @property
    def shape(self) -> Shape: ...  # noqa: D102
    @property
    def text(self) -> TextStack: ...  # noqa: D102
    @property
    def device(self) -> torch.device: ...  # noqa: D102

    def decode_hidden(
        self,
        ids: Tensor,
        keys: ImageKeys,
        cache: Cache | None = None,
        wanted: Tensor | None = None,
    ) -> Tensor:
        """Read (N, L) ids from left to right: float (N, L, W); see `TextStack.decode`."""
        ...

    def language_logits(self, hidden: Tensor) -> Tensor:
        """Map (..., W) to next-token logits (..., V)."""
        ...


@dataclass(frozen=True, slots=True)
class Spelling:
    """The ids that writing needs: what to continue, what ends, what fills, what never comes."""

    prompt: tuple[int, ...]
    end: int
    pad: int
    banned: tuple[int, ...] = ()


class Rules:
    """What may not come next, and what is discouraged.

    Made once a batch: a list that becomes a tensor at every step would make a GPU wait for it.
    """

    def __init__(self, spelling: Spelling, decoding: Decoding, device: torch.device) -> None:
        self._decoding = decoding
        self._never, self._not_yet = (
            torch.tensor(ids, device=device, dtype=torch.int64)
            for ids in (spelling.banned, (*spelling.banned, spelling.end))
        )

    def adjusted(self, scores: Tensor, ids: Tensor) -> Tensor:
        """Apply them to (N, V) scores after ids (N, t)."""
        scores = penalise_repeats(scores, ids, self._decoding.repetition_penalty)
        scores = forbid_repeated_ngrams(scores, ids, self._decoding.no_repeat_ngram)
        is_short = ids.shape[1] < self._decoding.min_length
        return scores.index_fill(1, self._not_yet if is_short else self._never, -torch.inf)


def should_check(step: int, device: torch.device) -> bool:
    """Tell whether to ask, after a step, if all texts are done.

    Asking a GPU waits for it; a few tokens too many cost less.
    """
    return device.type == "cpu" or step % STEPS_BETWEEN_CHECKS == 0
