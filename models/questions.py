"""Learning to answer: questions with the answers people gave, and BLIP's loss on them.

B pictures with a question each, N answers to them in all, L tokens. A text is a question and its
answers, each on a line; how often an answer was given is its weight (Li et al. 2022, section 5.3).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from models.answering import MAX_LENGTH, Answerer, next_tokens, token_losses
from models.objective import Objective, dropout_from
from models.ranks import ALONE, Ranks
from models.tokenization import Tokenizer, clean_question


@dataclass(frozen=True, slots=True)
class QuestionBatch:
    """Questions on their way into a model; `question_batch` makes one.

    Attributes:
        pixels: float (B, 3, S, S), normalised.
        ids: int64 (B, L), first token [ENC].
        mask: bool (B, L), true on real tokens.
        answers: int64 (N, L'), first token [DEC].
        targets: int64 (N, L'), the token after each; -100 on padding.
        owners: int64 (N,), whose answer it is.
        weights: float (N,), the share of people who gave it; those of a question add up to 1.
    """

    pixels: Tensor
    ids: Tensor
    mask: Tensor
    answers: Tensor
    targets: Tensor
    owners: Tensor
    weights: Tensor

    def to(self, device: torch.device | str) -> "QuestionBatch":
        """Move every tensor."""
        moved = (getattr(self, field.name) for field in fields(self))
        return QuestionBatch(*(t.to(device, non_blocking=True) for t in moved))

    def __len__(self) -> int:
        return len(self.ids)


def parted(text: str) -> tuple[str, list[str]]:
    """Return a text's question and its answers.

    Raises:
        ValueError: it has no answer.
    """
    question, *answers = text.split("\n")
    if not answers:
        raise ValueError(
            f"{text!r:.60} has no answer; a question is a text of several lines, its answers below"
        )
    return question, answers


def question_batch(  # as `models.batches.batch_of` has them
    tokenizer: Tokenizer,
    pixels: Tensor,
    texts: Sequence[str],
    keys: Tensor,
    *,
    max_length: int = MAX_LENGTH,
    prompt: str = "",
) -> QuestionBatch:
    """Encode questions and every different answer to them.

    Args:
        tokenizer: the model's.
        pixels: float (B, 3, S, S), normalised.
        texts: B questions with their answers below.
        keys: int64 (B,), unused: no pair is another's negative.
        max_length: most tokens of a question and of an answer.
        prompt: what every answer begins with; none in BLIP.

    Raises:
        ValueError: the counts differ, or a text has no answer.
    """
    if not len(pixels) == len(texts) == len(keys):
        raise ValueError(f"{len(pixels)} pictures, {len(texts)} questions and {len(keys)} keys")
    read = [parted(text) for text in texts]
    ids, mask = tokenizer.encode([clean_question(q) for q, _ in read], max_length, "enc")
    given = [(n, a, count / len(own)) for n, (_, own) in enumerate(read)
             for a, count in Counter(own).items()]  # fmt: skip
    said = [f"{prompt} {answer}" for _, answer, _ in given]
    answers, real = tokenizer.encode(said, max_length, "dec")
    targets = next_tokens(answers, real)
    return QuestionBatch(
        pixels,
        ids,
        mask,
        answers,
        targets,
        torch.tensor([n for n, _, _ in given]),
        torch.tensor([share for _, _, share in given]),
    )


def answering_loss(
    model: Answerer,
    batch: QuestionBatch,
    generator: torch.Generator,
    how: Objective,
    ranks: Ranks = ALONE,
) -> dict[str, Tensor]:
    """Return `loss` and `lm`: an answer's summed cross-entropy by its weight, a question's mean."""
    with dropout_from(generator, model, ranks):
        keys = model.understand(batch.ids, batch.mask, batch.pixels).select(batch.owners)
        losses = token_losses(model, keys, batch.answers, batch.targets, how.label_smoothing)
    loss = (losses.sum(dim=1) * batch.weights).sum() / len(batch)
    return {"loss": loss, "lm": loss.detach()}
