"""Every arm chooses among the same candidates, and learns from the validation half alone."""

import torch
from torch import Tensor

from tasks.reranking.candidates import Candidates
from tests.experiments.rbm.arms import EVEN, EVEN_RBM, MIX, WITH_RBM, Arm, arms_of
from tests.experiments.rbm.terms import Terms

PICTURES, PLACES, SEEDS = 211, 5, 3
VALIDATION = torch.arange(PICTURES) % 2 == 0


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def terms(rbm: Tensor | None = None) -> Terms:
    table = (PICTURES, PLACES)
    lake = drawn(4, *table, seed=0)
    return Terms(
        candidates=Candidates([str(n) for n in range(PICTURES)], [], lake),
        lm_sum=drawn(*table, seed=1),
        lm_blank=drawn(*table, seed=2),
        gaussian=drawn(*table, seed=3),
        minus_energy=drawn(SEEDS, *table, seed=4),
        rbm=drawn(SEEDS, *table, seed=5) if rbm is None else rbm,
        nce=drawn(SEEDS, *table, seed=6),
    )


def choices(arms: list[Arm], allowed: Tensor | None = None) -> dict[str, Tensor]:
    every = torch.ones(PICTURES, PLACES, dtype=torch.bool) if allowed is None else allowed
    return {arm.name: arm.choices(every) for arm in arms}


def test_no_arm_depends_on_what_the_reported_half_earns() -> None:
    reward = drawn(PICTURES, PLACES, seed=7)
    before = choices(arms_of(terms(), reward, VALIDATION))
    changed = torch.where(VALIDATION[:, None], reward, -reward)
    after = choices(arms_of(terms(), changed, VALIDATION))
    other = choices(arms_of(terms(), torch.where(VALIDATION[:, None], -reward, reward), VALIDATION))
    assert before.keys() == after.keys()
    assert all(before[name].equal(after[name]) for name in before)
    assert not before[MIX].equal(other[MIX])  # the other half does have a say


def test_each_score_takes_its_highest_candidate_and_the_beam_its_first() -> None:
    made = terms()
    found = choices(arms_of(made, drawn(PICTURES, PLACES, seed=7), VALIDATION))
    assert found["beam search"].tolist() == [[0] * PICTURES]
    assert found["ITM"][0].equal(made.of("itm").argmax(1))
    assert found["Gaussian PMI"][0].equal(made.gaussian.argmax(1))
    for seed in range(SEEDS):
        assert found["RBM PMI"][seed].equal(made.rbm[seed].argmax(1))
        assert found["RBM -F"][seed].equal(made.minus_energy[seed].argmax(1))


def test_an_rbm_that_knows_the_reward_gets_the_weight_and_a_silent_one_none() -> None:
    reward = drawn(PICTURES, PLACES, seed=7)
    knowing = arms_of(terms(reward.expand(SEEDS, -1, -1).clone()), reward, VALIDATION)
    best = reward.argmax(1)
    assert (choices(knowing)[WITH_RBM][0] == best).double().mean() > 0.9
    silent = choices(arms_of(terms(torch.zeros(SEEDS, PICTURES, PLACES)), reward, VALIDATION))
    assert all(one.equal(silent[EVEN][0]) for one in silent[EVEN_RBM])


def test_a_mask_leaves_what_is_allowed_alone_to_choose_from() -> None:
    allowed = drawn(PICTURES, PLACES, seed=8) > 0
    allowed[:, 0] = True
    for name, found in choices(
        arms_of(terms(), drawn(PICTURES, PLACES, seed=7), VALIDATION), allowed
    ).items():
        for one in found:
            assert bool(allowed.gather(1, one[:, None]).all()), name
