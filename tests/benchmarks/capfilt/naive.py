"""CapFilt as one writes it with transformers: processor, `generate`, and the filter once a text.

Every picture goes through the processor three times and through the filter's image encoder twice,
as happens when the two classes are called as documented. Two things differ from what their
documentation says: texts are cleaned as BLIP's are, and begin with [ENC] when they are matched,
since both contenders must ask the same for their answers to be comparable.
"""

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import (
    BertTokenizerFast,
    BlipForConditionalGeneration,
    BlipForImageTextRetrieval,
    BlipImageProcessor,
    BlipProcessor,
)

from models.decoding import Decoding
from models.tokenization import clean_caption

TEXT_LENGTH = 35


@dataclass(slots=True)
class Naive:
    """The two models and their processor."""

    folder: Path
    side: int
    device: str
    dtype: torch.dtype
    how: Decoding
    captioner: Any = field(init=False)
    judge: Any = field(init=False)
    processor: Any = field(init=False)
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.captioner, self.judge = (
            kind.from_pretrained(self.folder / name).eval().to(self.device, self.dtype)
            for kind, name in (
                (BlipForConditionalGeneration, "captioner"),
                (BlipForImageTextRetrieval, "filter"),
            )
        )
        lines = (self.folder / "captioner" / "vocab.txt").read_text(encoding="utf-8").splitlines()
        tokenizer = BertTokenizerFast(
            vocab={piece: number for number, piece in enumerate(lines)}, do_lower_case=True
        )
        tokenizer.add_special_tokens({"bos_token": "[DEC]", "additional_special_tokens": ["[ENC]"]})
        images = BlipImageProcessor(size={"height": self.side, "width": self.side})
        self.processor = BlipProcessor(images, tokenizer)

    @torch.no_grad()
    def step(self, pictures: Sequence[bytes], texts: Sequence[str]) -> list[dict[str, Any]]:
        """Caption a batch and judge both texts of every picture."""
        images = [Image.open(io.BytesIO(content)).convert("RGB") for content in pictures]
        written = self._written(images)
        scores = [self._judged(images, own) for own in (texts, written)]
        return [
            {"caption": caption, "web": web, "synthetic": synthetic}
            for caption, web, synthetic in zip(written, *scores, strict=True)
        ]

    def _written(self, images: list[Any]) -> list[str]:
        prompt = [self.how.prompt] * len(images)
        given = self._moved(self.processor(images=images, text=prompt, return_tensors="pt"))
        start = given["input_ids"].shape[1] - 1  # the processor ends the prompt with [SEP]
        chosen: dict[str, Any] = {"do_sample": False}
        if self.how.method == "nucleus":
            chosen = {"do_sample": True, "top_k": self.how.top_k, "top_p": self.how.top_p}
        if self.how.method == "beam":
            chosen["num_beams"] = self.how.beams
        ids = self.captioner.generate(
            **given,
            max_new_tokens=self.how.max_length - start,
            min_new_tokens=max(self.how.min_length - start, 0),
            repetition_penalty=self.how.repetition_penalty,
            **chosen,
        )
        decode = self.processor.tokenizer.batch_decode
        return [text.strip() for text in decode(ids[:, start:], skip_special_tokens=True)]

    def _judged(self, images: list[Any], texts: Sequence[str]) -> list[float]:
        given = self._moved(
            self.processor(
                images=images,
                text=[clean_caption(text) for text in texts],
                return_tensors="pt",
                padding=True,
                truncation=True,
                max_length=TEXT_LENGTH,
            )
        )
        given["input_ids"][:, 0] = self.processor.tokenizer.convert_tokens_to_ids("[ENC]")
        logits = self.judge(**given).itm_score
        scores: list[float] = logits.float().softmax(-1)[:, 1].tolist()
        return scores

    def _moved(self, given: Any) -> dict[str, Tensor]:
        return {
            name: one.to(self.device, self.dtype)
            if one.is_floating_point()
            else one.to(self.device)
            for name, one in given.items()
        }


def run(naive: Naive, batch: list[tuple[str, bytes, str]], size: int) -> dict[str, Any]:
    """Do a batch of the lake and return what it cost and what came out, by key."""
    found: dict[str, Any] = {}
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    for at in range(0, len(batch), size):
        keys, pictures, texts = zip(*batch[at : at + size], strict=True)
        found |= zip(keys, naive.step(pictures, texts), strict=True)
    return {
        "cpu_s": (time.process_time() - cpu_s) / len(batch),
        "images_per_s": len(batch) / (time.perf_counter() - wall_s),
        "found": found,
    }
