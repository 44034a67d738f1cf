"""What choosing each candidate comes to: found by the judge, like people's words, true.

N pictures, C candidates; S seeds of an arm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.inference import shared_model
from tasks.metrics.cider import cider_d
from tasks.metrics.tokens import Words, words_of_all
from tasks.reranking.validation import judged
from tests.experiments.rbm.arms import Arm
from tests.experiments.rbm.cached import Cached
from tests.experiments.rbm.facts import said_of
from tests.experiments.rbm.terms import Terms, pictures_of

MEASURES = ("r1", "mrr", "cider_d", "hallucinated", "details", "words", "itm")
LEVEL = "r1_level"  # recall@1 when only candidates as long as the beam's may be chosen


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Double (N, C) by measure, and what an arm may choose.

    Attributes:
        of: by name: `r1` and `mrr` of self-retrieval, `cider_d`, `hallucinated` (names a thing that
            is not there), `details` (share of the facts said), `words`, `itm` (its probability).
        level: bool (N, C), as many words as the beam's caption.
    """

    of: Mapping[str, Tensor]
    level: Tensor


def outcomes_of(cached: Cached, terms: Terms, references: Mapping[str, Sequence[str]]) -> Outcomes:
    """Judge every candidate once."""
    found = terms.candidates
    loaded = shared_model(cached.lake, cached.models.judge, "cpu", "filter")
    human = {key: list(own) for key, own in references.items()}
    hits = judged(cached.lake, loaded, pictures_of(cached, found.keys), found, human)
    truths = [references[key] for key in found.keys]
    said = [
        [said_of(row["text"], truth) for row in own]
        for own, truth in zip(found.rows, truths, strict=True)
    ]
    spoken = [words_of_all([row["text"] for row in own]) for own in found.rows]
    lengths = torch.tensor([[len(one) for one in own] for own in spoken]).double()
    of = {
        "r1": hits.hit,
        "mrr": hits.reciprocal,
        "cider_d": _cider(spoken, truths),
        "hallucinated": torch.tensor([[one.hallucinates for one in own] for own in said]).double(),
        "details": torch.tensor([[one.details for one in own] for own in said]).double(),
        "words": lengths,
        "itm": torch.sigmoid(terms.of("itm")),
    }
    return Outcomes(of, lengths == lengths[:, :1])


def _cider(spoken: Sequence[Sequence[Words]], truths: Sequence[Sequence[str]]) -> Tensor:
    references = [words_of_all(truth) for truth in truths]
    places = range(len(spoken[0]))
    columns = [cider_d([own[place] for own in spoken], references) for place in places]
    return torch.stack([torch.from_numpy(column) for column in columns], dim=1)


def measured(arm: Arm, outcomes: Outcomes) -> dict[str, Tensor]:
    """Return what an arm's choices come to, double (S, N) by measure."""
    everything = torch.ones_like(outcomes.level)
    choice = arm.choices(everything)
    found = {name: _at(values, choice) for name, values in outcomes.of.items()}
    return found | {LEVEL: _at(outcomes.of["r1"], arm.choices(outcomes.level))}


def random_choice(outcomes: Outcomes) -> dict[str, Tensor]:
    """Return what drawing a candidate comes to on average, double (1, N) by measure."""
    found = {name: values.mean(1)[None] for name, values in outcomes.of.items()}
    level = outcomes.of["r1"].masked_fill(~outcomes.level, 0.0).sum(1) / outcomes.level.sum(1)
    return found | {LEVEL: level[None]}


def oracle(outcomes: Outcomes) -> dict[str, Tensor]:
    """Return what choosing by the judge itself comes to: no arm can be found more often."""
    return measured(
        Arm("oracle", lambda allowed: outcomes.of["mrr"].masked_fill(~allowed, torch.nan)[None]),
        outcomes,
    )


def _at(values: Tensor, choice: Tensor) -> Tensor:
    return torch.stack([values.gather(1, one[:, None])[:, 0] for one in choice])
