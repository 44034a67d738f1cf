"""The verdict follows from the numbers: facts are counted right, no chance passes for an effect."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tasks.demo.words import GROUNDS, KINDS, TEMPLATES, english
from tests.experiments.rbm.arms import BASELINE, EVEN, EVEN_RBM, MIX, WITH_GAUSSIAN, WITH_RBM, Arm
from tests.experiments.rbm.facts import facts, said_of
from tests.experiments.rbm.outcomes import (
    LEVEL,
    MEASURES,
    Outcomes,
    measured,
    oracle,
    random_choice,
)
from tests.experiments.rbm.report import COLUMNS, Report, markdown, rows_of, verdict
from tests.experiments.rbm.sureness import compared, holm, resample

PICTURES = 997
ARMS = (
    "random candidate",
    BASELINE,
    "Gaussian PMI",
    "RBM -F",
    "RBM PMI",
    MIX,
    WITH_GAUSSIAN,
    EVEN,
    EVEN_RBM,
)


@pytest.mark.parametrize("template", range(len(TEMPLATES)))
def test_every_sentence_of_the_demo_says_all_that_is_in_its_picture(template: int) -> None:
    for colour in GROUNDS:
        for count in (1, 2, 3):
            for kind in KINDS:
                other = "pig" if kind != "pig" else "lion"
                found = facts(english({kind: count, other: 1}, colour, template))
                assert found == {
                    ("thing", kind),
                    ("number", kind, str(count)),
                    ("thing", other),
                    ("number", other, "1"),
                    ("ground", colour),
                }


def test_a_caption_is_held_against_what_people_said() -> None:
    truth = [
        "two apples and a key on a pink background",
        "a picture of two apples and a key on pink",
    ]
    right = said_of("a pink background with two apples and a key", truth)
    assert (right.hallucinates, right.details) == (False, 1.0)
    generic = said_of("some apples on a pink background", truth)  # of five facts two
    assert (generic.hallucinates, generic.details) == (False, 0.4)
    wrong = said_of("three apples and a dog on a blue background", truth)  # apples alone
    assert (wrong.hallucinates, wrong.details) == (True, 0.2)
    assert said_of("", truth).details == 0


def test_holm_by_hand() -> None:
    # Three hypotheses: 0.01 * 3, then max of it and 0.04 * 2, then max of it and 0.05 * 1.
    assert holm({"b": 0.04, "a": 0.01, "c": 0.05}) == pytest.approx(
        {"a": 0.03, "b": 0.08, "c": 0.08}
    )
    assert holm({"a": 0.9, "b": 0.8}) == {"b": 1.0, "a": 1.0}


def test_a_p_value_is_twice_the_smaller_side_and_never_nothing() -> None:
    drawn = np.array([-1.0] * 3 + [1.0] * 96 + [2.0])
    assert compared(0.9, drawn).p == pytest.approx(2 * 0.03 + 0.01)
    assert compared(1.0, np.ones(100)).p == 0.01
    assert compared(0.0, np.zeros(100)).p == 1.0


def test_the_interval_of_a_mean_is_that_of_the_normal_law() -> None:
    hits = (torch.arange(PICTURES) % 5 == 0).double()[None]
    found = resample({"arm": hits}, 4000).mean("arm")
    mean = float(hits.mean())
    error = (mean * (1 - mean) / PICTURES) ** 0.5
    assert found.value == pytest.approx(mean)
    assert found.low == pytest.approx(mean - 1.96 * error, abs=0.2 * error)
    assert found.high == pytest.approx(mean + 1.96 * error, abs=0.2 * error)


def test_equal_arms_differ_by_nothing_and_seeds_that_disagree_widen_the_interval() -> None:
    draw = torch.Generator().manual_seed(0)
    one = (torch.rand(1, PICTURES, generator=draw) < 0.3).double()
    alike = one.repeat(3, 1)
    apart = torch.cat([one, one * 0, one * 0 + 1])
    found = resample({"one": one, "alike": alike, "apart": apart}, 2000)
    same = found.difference("alike", "one")
    assert (same.value, same.low, same.high, same.is_clear) == (0, 0, 0, False)
    assert found.mean("apart").high - found.mean("apart").low > 0.5
    assert found.mean("alike").high - found.mean("alike").low < 0.07


# ------------------------------------------------------------------------------------------------


def outcomes() -> Outcomes:
    """Three pictures with three candidates each; the beam's is the first."""
    r1 = torch.tensor([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]]).double()
    of = dict.fromkeys(MEASURES, torch.zeros(3, 3).double()) | {"r1": r1, "mrr": r1 * 0.5 + 0.5}
    of |= {"words": torch.tensor([[7.0, 7, 9], [7, 7, 7], [5, 8, 5]]).double()}
    return Outcomes(of, of["words"] == of["words"][:, :1])


def test_an_arm_gets_what_its_choices_earn_and_at_equal_length_chooses_anew() -> None:
    scores = torch.tensor([[[1.0, 2, 3], [1, 2, 3], [1, 3, 2]]]).double()
    arm = Arm("an arm", lambda allowed: scores.masked_fill(~allowed, torch.nan))
    found = measured(arm, outcomes())
    assert found["r1"].tolist() == [[0, 1, 0]]
    assert found["words"].tolist() == [[9, 7, 8]]
    assert found[LEVEL].tolist() == [[1, 1, 0]]  # without the ninth and the eighth word


def test_random_is_the_mean_over_candidates_and_the_oracle_the_best_of_them() -> None:
    drawn = random_choice(outcomes())
    assert drawn["r1"].tolist() == [pytest.approx([1 / 3, 1 / 3, 1 / 3])]
    assert drawn[LEVEL].tolist() == [pytest.approx([1 / 2, 1 / 3, 1 / 2])]
    assert oracle(outcomes())["r1"].tolist() == [[1, 1, 1]]
    assert oracle(outcomes())[LEVEL].tolist() == [[1, 1, 1]]


def report(gain: float) -> Report:
    """Arms that all find the same pictures, but for what the RBM term adds (or costs)."""
    generator = torch.Generator().manual_seed(0)
    lots = torch.rand(PICTURES, generator=generator)

    def hits(share: float) -> Tensor:
        return (lots < share).double()[None]

    measured_by_arm = {arm: hits(0.3) for arm in ARMS} | {WITH_RBM: hits(0.3 + gain)}
    measured_by_arm |= {"oracle": hits(0.9)}
    resamples = {name: resample(measured_by_arm, 500) for name in (*MEASURES, LEVEL)}
    return Report(PICTURES, 3, {"judge": "a/b/c"}, {MIX: "LM 1.0"}, ("RBM PMI",), resamples)


@pytest.mark.parametrize(
    ("gain", "said"),
    [(0.0, "has no effect"), (0.05, "adds"), (-0.05, "costs")],
)
def test_the_verdict_says_what_the_numbers_say(gain: float, said: str) -> None:
    told = verdict(report(gain))
    assert told.startswith(f"The RBM term {said}: ")
    shares = report(gain).resamples["r1"].means
    assert f"a difference of {100 * (shares[WITH_RBM] - shares[MIX]):+.1f} [" in told
    assert (
        "Alone, against the Gaussian's PMI, no clear difference (+0.0 [+0.0, +0.0] points)" in told
    )


def test_the_table_has_every_arm_once_and_tests_none_of_the_two_ends() -> None:
    found = rows_of(report(0.05))
    assert [row[0] for row in found] == [*ARMS, WITH_RBM, "oracle"]
    assert all(len(row) == len(COLUMNS) for row in found)
    by_arm = {row[0]: row for row in found}
    assert by_arm["random candidate"][3] == by_arm["oracle"][3] == by_arm[BASELINE][3] == ""
    assert float(by_arm[WITH_RBM][3]) < 0.05
    assert by_arm["RBM PMI"][3] == "1.000"
    text = markdown(report(0.05))
    assert text.count("\n| ") == len(found)
    assert verdict(report(0.05)) in text
