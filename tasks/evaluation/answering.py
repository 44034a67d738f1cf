"""Questions about pictures to answers, by a model that was taught to answer or by a captioner."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from models.answering import answer, rank_answers
from models.captioner import generate
from models.decoding import Decoding
from tasks.checkpoints import LoadedAnswerer, LoadedModel
from tasks.errors import InputError
from tasks.inference import over_pictures
from tasks.pictures import Picture
from tasks.storage import Lake

Posed = Sequence[tuple[Picture, str]]


def by_answerer(
    place: Lake,
    loaded: LoadedAnswerer,
    posed: Posed,
    choice: tuple[Sequence[str], int],
    batch_size: int,
) -> list[str]:
    """Answer with a model of questions.

    Args:
        place: where the pictures lie.
        loaded: the model.
        posed: N pictures with a question each.
        choice: answers to choose from, and how many of them are read whole; of none, it writes.
        batch_size: questions on the device at once.
    """
    candidates, tried = choice

    def work(pixels: Tensor, questions: list[str]) -> list[str]:
        if not candidates:
            written = answer(loaded.model, loaded.tokenizer, pixels, questions)
            return [one.text for one in written]
        ranked = rank_answers(loaded.model, loaded.tokenizer, pixels, questions, candidates, tried)
        return [one.text for one in ranked]

    return over_pictures(place, loaded, list(posed), batch_size, work)


def by_captioner(
    place: Lake,
    loaded: LoadedModel,
    posed: Posed,
    writing: tuple[str, Decoding],
    batch_size: int,
) -> list[str]:
    """Let a captioner continue each question; those asked of several pictures go together.

    Args:
        place: where the pictures lie.
        loaded: the model.
        posed: N pictures with a question each.
        writing: the prompt, `{}` being the question, and how it goes on.
        batch_size: pictures on the device at once.

    Raises:
        InputError: a question is too long to be continued.
    """
    prompt, decoding = writing
    alike: dict[str, list[int]] = {}
    for at, (_, question) in enumerate(posed):
        alike.setdefault(question, []).append(at)
    found: dict[int, str] = {}
    for question, places in alike.items():
        asked = replace(decoding, prompt=prompt.format(question))

        def write(pixels: Tensor, _: list[None], asked: Decoding = asked) -> list[str]:
            seeds = torch.zeros(len(pixels), dtype=torch.int64)
            try:
                written = generate(loaded.model, loaded.tokenizer, pixels, asked, seeds)
            except ValueError as error:  # the prompt leaves no room
                raise InputError(f"{asked.prompt!r:.80} cannot be continued: {error}") from error
            return [caption.text for caption in written]

        items = [(posed[at][0], None) for at in places]
        said = over_pictures(place, loaded, items, batch_size, write)
        found.update(zip(places, said, strict=True))
    return [found[at] for at in range(len(posed))]
