"""A BLIP pretraining step as its authors wrote it, on transformers' modules: the yardstick.

Li et al. 2022 with the layout of the published code: texts padded to 30 tokens, cross-attention
keys projected at each of its four uses, matching in two passes, a teacher in train mode. The text
encoder and decoder share what BLIP shares. Attention is eager: transformers' BLIP has no other.
"""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import BlipConfig
from transformers.models.blip.modeling_blip import BlipVisionModel
from transformers.models.blip.modeling_blip_text import BlipTextLMHeadModel, BlipTextModel

from models.losses import IGNORED
from models.presets import Shape
from models.tokenization import Tokenizer

ALPHA, MOMENTUM, TEMPERATURE, FLOOR = 0.4, 0.995, 0.07, 1e-4
SHARED = ("crossattention", "intermediate", "output")


class Theirs(nn.Module):
    """Vision, text encoder and decoder, projections, matching head, and the slow copies."""

    image_queue: Tensor
    text_queue: Tensor

    def __init__(self, shape: Shape, vocab_size: int, queue_size: int) -> None:
        super().__init__()
        config = _config(shape, vocab_size)
        width, embedding = config.text_config.hidden_size, config.image_text_hidden_size
        self.vision = BlipVisionModel(config.vision_config)
        self.text = BlipTextModel(config.text_config, add_pooling_layer=False)
        self.decoder = BlipTextLMHeadModel(config.text_config)
        inner = self.decoder.bert
        inner.embeddings = self.text.embeddings
        for ours, theirs in zip(inner.encoder.layer, self.text.encoder.layer, strict=True):
            for part in SHARED:
                setattr(ours, part, getattr(theirs, part))
        self.decoder.cls.predictions.decoder.weight = self.text.embeddings.word_embeddings.weight
        self.vision_projection = nn.Linear(config.vision_config.hidden_size, embedding)
        self.text_projection = nn.Linear(width, embedding)
        self.match_head = nn.Linear(width, 2)
        fast = [self.vision, self.text, self.vision_projection, self.text_projection]
        self.pairs = [(module, copy.deepcopy(module).requires_grad_(False)) for module in fast]
        for number, (_, slow) in enumerate(self.pairs):
            self.add_module(f"slow{number}", slow)
        queue = F.normalize(torch.randn(embedding, queue_size), dim=0)
        self.register_buffer("image_queue", queue)
        self.register_buffer("text_queue", queue.clone())

    def forward(self, pixels: Tensor, ids: Tensor, mask: Tensor, tokenizer: Tokenizer) -> Tensor:
        """Return the sum of the three losses for (B, 3, S, S) and [CLS] texts (B, 30)."""
        tokens, image, text, (slow_image, slow_text) = self._embedded(pixels, ids, mask)
        text_keys = torch.cat([slow_text.T, self.text_queue], dim=1)
        image_keys = torch.cat([slow_image.T, self.image_queue], dim=1)
        itc = torch.zeros(())
        with torch.no_grad():
            own = torch.eye(len(pixels), text_keys.shape[1])
            to_text = ALPHA * (slow_image @ text_keys / TEMPERATURE).softmax(1) + 0.6 * own
            to_image = ALPHA * (slow_text @ image_keys / TEMPERATURE).softmax(1) + 0.6 * own
        text_scores, image_scores = image @ text_keys / TEMPERATURE, text @ image_keys / TEMPERATURE
        for scores, targets in ((text_scores, to_text), (image_scores, to_image)):
            itc = itc - (scores.log_softmax(1) * targets).sum(1).mean() / 2
        size = len(pixels)
        self.image_queue[:, :size], self.text_queue[:, :size] = slow_image.T, slow_text.T
        itm = self._matched(tokens, ids, mask, text_scores, image_scores, tokenizer)
        dec_ids = ids.clone()
        dec_ids[:, 0] = tokenizer.dec
        labels = dec_ids.masked_fill(~mask, IGNORED)
        written = self.decoder(
            dec_ids, mask.long(), encoder_hidden_states=tokens, labels=labels, return_dict=True
        )
        return torch.as_tensor(itc + itm + written.loss)

    def _embedded(
        self, pixels: Tensor, ids: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor]]:
        tokens = self.vision(pixels).last_hidden_state
        image = F.normalize(self.vision_projection(tokens[:, 0]), dim=-1)
        hidden = self.text(ids, mask.long()).last_hidden_state
        text = F.normalize(self.text_projection(hidden[:, 0]), dim=-1)
        with torch.no_grad():
            for fast, slow in self.pairs:
                for parameter, follower in zip(fast.parameters(), slow.parameters(), strict=True):
                    follower.mul_(MOMENTUM).add_(parameter, alpha=1 - MOMENTUM)
            vision, text_encoder, of_image, of_text = (slow for _, slow in self.pairs)
            slow_image = F.normalize(of_image(vision(pixels).last_hidden_state[:, 0]), dim=-1)
            read = text_encoder(ids, mask.long()).last_hidden_state
            slow_text = F.normalize(of_text(read[:, 0]), dim=-1)
        return tokens, image, text, (slow_image, slow_text)

    def _matched(
        self,
        tokens: Tensor,
        ids: Tensor,
        mask: Tensor,
        text_scores: Tensor,
        image_scores: Tensor,
        tokenizer: Tokenizer,
    ) -> Tensor:
        size = len(ids)
        ids = ids.clone()
        ids[:, 0] = tokenizer.enc
        true = self._judged(ids, mask, tokens)
        with torch.no_grad():
            own = torch.eye(size, dtype=torch.bool)
            drawn = [
                (scores[:, :size].softmax(1) + FLOOR).masked_fill(own, 0).multinomial(1)[:, 0]
                for scores in (image_scores, text_scores)
            ]
        images, texts = drawn
        false = self._judged(
            torch.cat([ids, ids[texts]]),
            torch.cat([mask, mask[texts]]),
            torch.cat([tokens[images], tokens]),
        )
        labels = torch.cat([torch.ones(size), torch.zeros(2 * size)]).long()
        return F.cross_entropy(torch.cat([true, false]), labels)

    def _judged(self, ids: Tensor, mask: Tensor, tokens: Tensor) -> Tensor:
        hidden = self.text(ids, mask.long(), encoder_hidden_states=tokens).last_hidden_state
        return torch.as_tensor(self.match_head(hidden[:, 0]))


def padded(tokenizer: Tokenizer, texts: Sequence[str], length: int) -> tuple[Tensor, Tensor]:
    """Return [CLS] texts filled up to `length` tokens, int64 (B, length), and which are real."""
    ids, mask = tokenizer.encode(texts, length, "cls")
    missing = (0, length - ids.shape[1])
    return F.pad(ids, missing, value=tokenizer.pad), F.pad(mask, missing)


def _config(shape: Shape, vocab_size: int) -> BlipConfig:
    vision, text = shape.vision, shape.text
    return BlipConfig(
        vision_config={
            "hidden_size": vision.width,
            "intermediate_size": vision.mlp,
            "num_hidden_layers": vision.depth,
            "num_attention_heads": vision.heads,
            "image_size": vision.image_size,
            "patch_size": vision.patch,
            "initializer_range": 0.02,
        },
        text_config={
            "hidden_size": text.width,
            "intermediate_size": text.mlp,
            "num_hidden_layers": text.depth,
            "num_attention_heads": text.heads,
            "encoder_hidden_size": vision.width,
            "vocab_size": vocab_size,
            "hidden_dropout_prob": text.dropout,
            "attention_probs_dropout_prob": text.dropout,
            "label_smoothing": 0.1,
        },
        image_text_hidden_size=shape.embedding,
    )
