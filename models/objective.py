"""Recipes: one function from a step's batch, model and state to losses, by `models.losses`.

B pairs of an image and a text, L tokens, E embedding width, Q places in the queue; N pairs, of all
ranks or of this one, are compared.
`blip_losses` pretrains (ITC + ITM + LM), `filter_losses` and `captioner_loss` finetune the two
halves of CapFilt (Li et al. 2022, sections 3.2 and 3.3).
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from models.answering import Answerer
from models.batches import Batch
from models.blip import Blip, uncast
from models.losses import (
    IGNORED,
    contrastive_loss,
    hard_negatives,
    language_loss,
    matching_loss,
    same_image,
    soft_targets,
)
from models.momentum import EMPTY, Momentum
from models.ranks import ALONE, Ranks
from models.text import ImageKeys


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    """What is minimised; the defaults are BLIP's pretraining.

    Attributes:
        alpha: share of the momentum teacher in the contrastive targets, once ramped up.
        momentum: how much of itself the slow copy keeps a step. Over a few hundred steps the
            paper's 0.995 would leave it near its random start: see `brief`.
        queue_size: remembered pairs; any number, 0 for none.
        label_smoothing: of the language loss.
        itc_weight: weight of the contrastive loss.
        itm_weight: weight of the matching loss.
        lm_weight: weight of the language loss.
        mask_same_key: two texts of one picture count as each other's positives.
        gathered: contrast and match with the pairs of all ranks, so that the step is that of the
            joined batch; BLIP's pretraining did so with its own rank's alone.
        teacher_dropout: the slow copy drops out too, as BLIP's did by oversight.
    """

    alpha: float = 0.4
    momentum: float = 0.995
    queue_size: int = 57600
    label_smoothing: float = 0.1
    itc_weight: float = 1.0
    itm_weight: float = 1.0
    lm_weight: float = 1.0
    mask_same_key: bool = True
    gathered: bool = True
    teacher_dropout: bool = False

    def __post_init__(self) -> None:
        for name in ("alpha", "momentum", "label_smoothing"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} lies between 0 and 1, not {getattr(self, name)}")
        if self.queue_size < 0:
            raise ValueError(f"queue_size is a number of pairs, not {self.queue_size}")


def brief(steps: int) -> Objective:
    """Return the objective for a run of a few hundred or thousand steps.

    The slow copy averages over about a thirtieth of the run, and the queue holds one small batch.
    In so few steps the embeddings move fast: what a longer queue remembers, or a slower copy says,
    is out of date, and retrieval suffers from either.
    """
    return Objective(momentum=min(0.995, max(0.5, 1 - 30 / max(steps, 1))), queue_size=64)


@dataclass(frozen=True, slots=True)
class Step:
    """What one step that teaches pairs is made of.

    Attributes:
        model: in train mode.
        momentum: its slow copy; its queues are filled in place.
        batch: on the model's device.
        alpha: the teacher's share at this step, see `models.schedules.ramped`.
        generator: source of the negatives, of dropout and of drop path.
        how: weights and constants.
        ranks: among whom the batch is divided.
        moves: the slow copy moves first; false where `advance` was called.
    """

    model: Blip
    momentum: Momentum
    batch: Batch
    alpha: float
    generator: torch.Generator
    how: Objective
    ranks: Ranks = ALONE
    moves: bool = True

    @property
    def across(self) -> Ranks:
        """Those whose pairs are compared."""
        return self.ranks if self.how.gathered else ALONE


def advance(model: Blip, momentum: Momentum, how: Objective) -> None:
    """Do what comes before the losses of a step: bound the temperature, move the slow copy."""
    model.clamp_temperature()
    momentum.update(model, how.momentum)


def blip_losses(step: Step) -> dict[str, Tensor]:
    """Run one step of BLIP's pretraining and return its losses; `backward` is the caller's.

    The image is encoded once and its keys and values are projected once for matching and writing.
    The slow copy moves before it embeds, and its embeddings enter the queues last.

    Returns:
        `loss` to minimise, its parts `itc`, `itm`, `lm`, and `itm_accuracy`, all float ().
    """
    model, how = step.model, step.how
    with dropout_from(step.generator, model, step.ranks):
        tokens, itc, negatives = _contrast(step)
        keys = model.project_image(tokens)
        itm, accuracy = _match(step, tokens, keys, negatives)
        lm = _write(model, step.batch, keys, how.label_smoothing, step.ranks)
    loss = how.itc_weight * itc + how.itm_weight * itm + how.lm_weight * lm
    parts = {"itc": itc, "itm": itm, "lm": lm, "itm_accuracy": accuracy}
    return {"loss": loss, **{name: value.detach() for name, value in parts.items()}}


def filter_losses(step: Step) -> dict[str, Tensor]:
    """Finetune the judge: ITC and ITM without LM. Result as `blip_losses`."""
    model, how = step.model, step.how
    with dropout_from(step.generator, model, step.ranks):
        tokens, itc, negatives = _contrast(step)
        itm, accuracy = _match(step, tokens, model.project_image(tokens), negatives)
    parts = {"itc": itc, "itm": itm, "itm_accuracy": accuracy}
    loss = how.itc_weight * itc + how.itm_weight * itm
    return {"loss": loss, **{name: value.detach() for name, value in parts.items()}}


def captioner_loss(
    model: Blip, batch: Batch, generator: torch.Generator, how: Objective, ranks: Ranks = ALONE
) -> dict[str, Tensor]:
    """Finetune the writer: LM alone, on what follows the prompt. Returns `loss` and `lm`."""
    with dropout_from(generator, model, ranks):
        keys = model.project_image(model.encode_image(batch.pixels))
        lm = _write(model, batch, keys, how.label_smoothing, ranks)
    return {"loss": lm, "lm": lm.detach()}


@dataclass(frozen=True, slots=True)
class _Negatives:
    """For each pair an unlike image and text, among those of `Step.across`, if there are any."""

    images: Tensor
    has_image: Tensor
    texts: Tensor
    has_text: Tensor


def _contrast(step: Step) -> tuple[Tensor, Tensor, _Negatives]:
    """Return image tokens, the contrastive loss, and negatives drawn by its similarities."""
    model, momentum, batch, across = step.model, step.momentum, step.batch, step.across
    if step.moves:
        advance(model, momentum, step.how)
    features = model.image_features(batch.pixels)
    tokens = model.vision(features)
    images = model.image_embedding(tokens)
    texts = model.embed_text(batch.cls_ids, batch.mask)

    slow_images, slow_texts = momentum.embed(batch.pixels, features, batch.cls_ids, batch.mask)
    # Copies: the queues change below, before backward reads these.
    image_keys = torch.cat([across.gathered(slow_images), momentum.image_queue])  # (N + Q, E)
    text_keys = torch.cat([across.gathered(slow_texts), momentum.text_queue])
    known = torch.cat([across.gathered(batch.keys), momentum.key_queue])
    usable = known != EMPTY
    joined = len(batch) * across.world  # N
    first = across.rows(joined).start
    positives = same_image(batch.keys, known, first=first, by_key=step.how.mask_same_key)

    scale = 1 / model.temperature
    with uncast(images):  # three digits of a cosine, divided by 0.07, would order little
        to_text, to_image = images @ text_keys.T * scale, texts @ image_keys.T * scale
        slow_to_text, slow_to_image = slow_images @ text_keys.T, slow_texts @ image_keys.T
    losses = []
    for similarity, slow in ((to_text, slow_to_text), (to_image, slow_to_image)):  # (B, N + Q)
        targets = soft_targets(slow * scale, positives, usable, step.alpha)
        losses.append(contrastive_loss(similarity, targets, usable))
    momentum.enqueue(*map(step.ranks.gathered, (slow_images, slow_texts, batch.keys)))

    same = positives[:, :joined]
    for_text, for_image = (across.uniform(1, len(batch), step.generator)[0] for _ in range(2))
    negative_texts, has_text = hard_negatives(to_text[:, :joined], same, for_text)
    negative_images, has_image = hard_negatives(to_image[:, :joined], same, for_image)
    negatives = _Negatives(negative_images, has_image, negative_texts, has_text)
    return tokens, (losses[0] + losses[1]) / 2, negatives


def _match(
    step: Step, tokens: Tensor, keys: ImageKeys, negatives: _Negatives
) -> tuple[Tensor, Tensor]:
    """Return the matching loss over B true and 2 B false pairs, and the share judged right."""
    batch, across = step.batch, step.across
    ids, mask = (across.gathered_rows(rows, 0) for rows in (batch.enc_ids, batch.mask))
    own = torch.arange(len(ids), device=ids.device)[across.rows(len(ids))]
    texts = torch.cat([own, own, negatives.texts])
    pictures = keys.beside(_others(step, tokens, keys, negatives.images), keys)
    logits = step.model.match(ids[texts], mask[texts], pictures)  # (3 B, 2)
    possible = torch.cat([negatives.has_image, negatives.has_text])
    labels = torch.cat([torch.ones_like(own), torch.where(possible, 0, IGNORED)])
    judged = labels != IGNORED
    right = ((logits.argmax(dim=1) == labels) & judged).sum() / judged.sum()
    share = step.ranks.share(judged.sum())
    return matching_loss(logits, labels) * share, right * share


def _others(step: Step, tokens: Tensor, keys: ImageKeys, images: Tensor) -> ImageKeys:
    """Return the keys of images among those of all who compare; tokens cross ranks, keys do not."""
    if step.across.world == 1:
        return keys.select(images)
    return step.model.project_image(step.across.gathered_with_gradient(tokens)[images])


def _write(
    model: Blip, batch: Batch, keys: ImageKeys, label_smoothing: float, ranks: Ranks
) -> Tensor:
    """Return the language loss; only places with a target pay for the vocabulary's matrix."""
    scored = batch.targets != IGNORED
    hidden = model.decode_hidden(batch.dec_ids, keys, wanted=scored)
    loss = language_loss(
        model.language_logits(hidden[scored]), batch.targets[scored], label_smoothing
    )
    return loss * ranks.share(scored.sum())


@contextlib.contextmanager
def dropout_from(
    generator: torch.Generator, model: Blip | Answerer, ranks: Ranks
) -> Iterator[None]:
    """Seed a rank's dropout from `generator`, and leave torch's global state as it was.

    torch's dropout takes no generator of its own; without this a resumed run would drop other
    units than the uninterrupted one.
    """
    if model.shape.text.dropout == 0 and model.shape.vision.drop_path == 0:
        yield
        return
    high = torch.iinfo(torch.int64).max
    seed = int(torch.randint(high, (), generator=generator, device=generator.device))
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed((seed + ranks.rank) % high)
        yield
