"""Pairs of an image and a text as the recipes take them: one text in the form of each role.

B pairs, L tokens, S the model's image size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from models.losses import IGNORED
from models.tokenization import Tokenizer

MAX_LENGTH = 30


@dataclass(frozen=True, slots=True)
class Batch:
    """Pairs on their way into a model; `batch_of` makes one.

    Attributes:
        pixels: float (B, 3, S, S), normalised.
        cls_ids: int64 (B, L), first token [CLS].
        enc_ids: int64 (B, L), first token [ENC].
        mask: bool (B, L), true on real tokens of the two above.
        dec_ids: int64 (B, L'), first token [DEC], then the prompt if there is one.
        targets: int64 (B, L'), the token after each of `dec_ids`; -100 on prompt and padding.
        keys: int64 (B,), which picture this is; never negative.
    """

    pixels: Tensor
    cls_ids: Tensor
    enc_ids: Tensor
    mask: Tensor
    dec_ids: Tensor
    targets: Tensor
    keys: Tensor

    def to(self, device: torch.device | str) -> "Batch":
        """Move every tensor."""
        moved = (getattr(self, field.name) for field in fields(self))
        return Batch(*(t.to(device, non_blocking=True) for t in moved))

    def __len__(self) -> int:
        return len(self.keys)


def batch_of(  # a pair's parts, and how to read its text
    tokenizer: Tokenizer,
    pixels: Tensor,
    texts: Sequence[str],
    keys: Tensor,
    *,
    max_length: int = MAX_LENGTH,
    prompt: str = "",
) -> Batch:
    """Encode the texts for all three roles.

    Args:
        tokenizer: the model's.
        pixels: float (B, 3, S, S), normalised.
        texts: B captions, cleaned here.
        keys: int64 (B,), one number a picture.
        max_length: most tokens of a text; the prompt's come on top.
        prompt: what the decoder is given to continue, such as "a picture of".

    Raises:
        ValueError: the counts differ or a key is negative.
    """
    if not len(pixels) == len(texts) == len(keys):
        raise ValueError(
            f"a batch pairs each image with a text and a key; got {len(pixels)} images, "
            f"{len(texts)} texts and {len(keys)} keys"
        )
    if len(keys) and int(keys.min()) < 0:
        raise ValueError("image keys are 0 or more; negative ones mark empty places in the queue")
    cls_ids, mask = tokenizer.encode(texts, max_length, "cls")
    enc_ids = cls_ids.clone()
    enc_ids[:, 0] = tokenizer.enc
    dec_ids, targets = _decoder_texts(tokenizer, cls_ids, mask, prompt)
    return Batch(pixels, cls_ids, enc_ids, mask, dec_ids, targets, keys)


def _decoder_texts(
    tokenizer: Tokenizer, cls_ids: Tensor, mask: Tensor, prompt: str
) -> tuple[Tensor, Tensor]:
    """Return [DEC] prompt caption [SEP], and for each place the token after it or -100."""
    opening = torch.tensor(tokenizer.encode_prompt(prompt)).expand(len(cls_ids), -1)
    ids = torch.cat([opening, cls_ids[:, 1:]], dim=1)
    real = torch.cat([torch.ones_like(opening, dtype=torch.bool), mask[:, 1:]], dim=1)
    targets = ids.roll(-1, dims=1).masked_fill(~real.roll(-1, dims=1), IGNORED)
    targets[:, -1] = IGNORED
    targets[:, : opening.shape[1] - 1] = IGNORED
    return ids, targets
