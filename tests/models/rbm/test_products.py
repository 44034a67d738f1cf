"""Products of rows of 0 and 1 in whole numbers say what float64 says, to W's own rounding.

Where a processor has no such products the same holds of float32's.
"""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor

from models.rbm.machine import RBM
from models.rbm.products import MOST_ERROR, MOST_SUMS, REACH, products
from models.rbm.rooms import room_for

ROWS, VISIBLE, HIDDEN = 700, 300, 120  # enough of each for whole numbers to pay


def coins(rows: int, width: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 2, (rows, width))).float()


def both(weight: Tensor, rows: int = ROWS) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows of 0 and 1 for each side, and what comes out on the other."""
    visible, hidden = coins(rows, weight.shape[0]), coins(rows, weight.shape[1], 1)
    onto_hidden, onto_visible = products(weight, rows, onto_hidden=True, onto_visible=True)
    up = onto_hidden(visible, torch.empty(rows, weight.shape[1]), None)
    down = onto_visible(hidden, torch.empty(rows, weight.shape[0]), None)
    return visible, hidden, up, down


def test_weights_that_are_whole_steps_are_summed_exactly() -> None:
    """Two bytes: every digit, both ends, and every sum below what float32 counts to."""
    steps = np.random.default_rng(2).integers(-REACH[2], REACH[2] + 1, (VISIBLE, HIDDEN))
    steps[0, :6] = [REACH[2], -REACH[2], 127, 128, -128, -129]
    visible, hidden, up, down = both(torch.from_numpy(steps).float() * 2.0**-26)
    for out, rows, matrix in ((up, visible, steps), (down, hidden, steps.T)):
        assert np.array_equal(out.double().numpy() * 2**26, rows.long().numpy() @ matrix)


def test_three_digits_keep_24_bits() -> None:
    steps = np.random.default_rng(3).integers(-REACH[3], REACH[3] + 1, (VISIBLE, HIDDEN))
    steps[0, :6] = [REACH[3], -REACH[3], 32767, 32768, -32768, -32769]
    visible, hidden, up, down = both(torch.from_numpy(steps).float() * 2.0**-20)
    for out, rows, matrix in ((up, visible, steps), (down, hidden, steps.T)):
        exact = rows.long().numpy() @ matrix
        off = np.abs(out.double().numpy() * 2**20 - exact)
        # One rounding to float32 of the lower digits' sum, one of the whole.
        assert (off <= 2**-23 * np.abs(rows.numpy()) @ np.abs(matrix)).all()


@pytest.mark.parametrize("largest", [1e-6, 0.1, 3.0, 40.0, 2e3, 1e7])
def test_what_rounding_costs_stays_below_what_was_promised(largest: float) -> None:
    weight = torch.from_numpy(np.random.default_rng(4).normal(size=(VISIBLE, HIDDEN))).float()
    weight[7, 5] = largest * float(weight.abs().max())
    visible, hidden, up, down = both(weight)
    for out, rows, matrix in ((up, visible, weight), (down, hidden, weight.T)):
        off = out.double() - rows.double() @ matrix.double()
        # Besides that, a float32 sum of one large and many small numbers.
        assert float(off.square().mean().sqrt()) < MOST_ERROR + 2**-24 * 4 * largest


@pytest.mark.parametrize("scale", [3.0, 40.0])
def test_the_largest_weight_keeps_its_sign_whatever_it_is(scale: float) -> None:
    """Rounded in float32 it can lie above the last step there is."""
    told = np.random.default_rng(8)
    for largest in scale * (1 + told.random(60)):
        weight = torch.zeros(VISIBLE, HIDDEN)
        weight[7, 5], weight[11, 3] = largest, -largest
        visible, hidden, up, down = both(weight)
        for out, rows, matrix in ((up, visible, weight), (down, hidden, weight.T)):
            assert float((out - rows @ matrix).abs().max()) < 1e-4 * largest


@pytest.mark.parametrize(("wide", "narrow"), [(40_009, 2), (787, 499), (2053, 17), (131, 4099)])
def test_weights_that_are_all_alike_are_not_all_off_to_one_side(wide: int, narrow: int) -> None:
    weight = torch.full((wide, narrow), 1e-3)
    weight[0, 0] = 0.4
    onto_hidden, onto_visible = products(weight, ROWS, onto_hidden=True, onto_visible=True)
    up = onto_hidden(torch.ones(2, wide), torch.empty(2, narrow), None)
    down = onto_visible(torch.ones(2, narrow), torch.empty(2, wide), None)
    for out, exact in ((up, weight.double().sum(0)), (down, weight.double().sum(1))):
        assert float((out - exact).square().mean().sqrt()) < MOST_ERROR


@pytest.mark.parametrize("shape", [(40_009, 1), (1, 40_009), (70_001, 2), (2, 70_001)])
def test_machines_of_one_unit_or_very_many_on_a_side_are_multiplied_too(
    shape: tuple[int, int],
) -> None:
    weight = torch.from_numpy(np.random.default_rng(9).normal(size=shape)).float()
    onto_hidden, onto_visible = products(weight, ROWS, onto_hidden=True, onto_visible=True)
    visible, hidden = coins(3, shape[0]), coins(3, shape[1], 1)
    up = onto_hidden(visible, torch.empty(3, shape[1]), None)
    down = onto_visible(hidden, torch.empty(3, shape[0]), None)
    for out, rows, matrix in ((up, visible, weight), (down, hidden, weight.T)):
        assert torch.allclose(out.double(), rows.double() @ matrix.double(), rtol=0, atol=0.02)


def test_very_wide_rows_are_multiplied_some_at_a_time() -> None:
    weight = torch.from_numpy(np.random.default_rng(10).normal(0, 0.01, (64_007, 3))).float()
    hidden = coins(307, 3)
    told = []

    def multiply() -> None:  # in a thread, whose memory is new
        _, onto_visible = products(weight, ROWS, onto_hidden=True, onto_visible=True)
        told.append(onto_visible(hidden, torch.empty(307, 64_007), None))
        told.append(room_for("sums", 1, torch.int32))

    thread = threading.Thread(target=multiply)
    thread.start()
    thread.join()
    assert float((told[0] - hidden @ weight.T).abs().max()) < 0.001
    assert len(told[1].untyped_storage()) <= 4 * MOST_SUMS


def test_what_swept_in_inference_mode_sweeps_after_it() -> None:
    machine = RBM(VISIBLE, HIDDEN, "bernoulli", dtype=torch.float32)
    drawn = []

    def sweep() -> None:  # in a thread, whose memory is new
        for inference in (True, False):
            with torch.inference_mode(inference):
                start = coins(ROWS, VISIBLE)
                drawn.append(machine.gibbs_step(start, torch.Generator().manual_seed(0)))

    thread = threading.Thread(target=sweep)
    thread.start()
    thread.join()
    assert torch.equal(*drawn)


def test_threads_that_sweep_at_once_leave_each_other_alone() -> None:
    machine = RBM(VISIBLE, HIDDEN, "bernoulli", dtype=torch.float32)
    machine.weight.normal_(0, 0.1, generator=torch.Generator().manual_seed(1))
    start = coins(ROWS, VISIBLE)

    def swept(seed: int) -> Tensor:
        return machine.gibbs_step(start, torch.Generator().manual_seed(seed), 20)

    alone = [swept(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(swept, range(4)))
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))


@pytest.mark.parametrize("kernels", ["AVX2", "AVX512_CORE", "ALL"])
def test_kernels_that_cannot_add_these_bytes_are_not_asked_to(kernels: str) -> None:
    """On any processor an environment variable chooses kernels that take -128 for 0."""
    program = """
import torch
from models.rbm.products import products
weight = torch.full((300, 120), -128.0)
weight[0, 0] = 127 * 256 + 127  # steps of 1: each other weight's low digit is -128
rows = torch.ones(700, 300)
(onto_hidden, _) = products(weight * 2**-26, 700, onto_hidden=True, onto_visible=True)
print(onto_hidden(rows, torch.empty(700, 120), None)[5, 7].item() * 2**26)
"""
    told = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": kernels},
        capture_output=True,
        text=True,
        check=True,
    )
    assert abs(float(told.stdout) + 128 * 300) < 10


@pytest.mark.parametrize("rows", [ROWS, 1024, 1500])
def test_products_do_not_depend_on_how_rows_are_batched(rows: int) -> None:
    weight = torch.from_numpy(np.random.default_rng(5).normal(size=(VISIBLE, HIDDEN))).float()
    onto_hidden, _ = products(weight, rows, onto_hidden=True, onto_visible=True)
    visible = coins(rows, VISIBLE)
    whole = onto_hidden(visible, torch.empty(rows, HIDDEN), None).clone()
    parts = [
        onto_hidden(some, torch.empty(len(some), HIDDEN), None) for some in torch.split(visible, 97)
    ]
    assert torch.allclose(whole, torch.cat(parts), rtol=0, atol=1e-4)
    if torch.cpu._is_vnni_supported():  # float32 sums may differ in the last bit
        assert torch.equal(whole, torch.cat(parts))


def test_a_bias_is_added() -> None:
    weight = torch.from_numpy(np.random.default_rng(6).normal(size=(VISIBLE, HIDDEN))).float()
    _, onto_visible = products(weight, ROWS, onto_hidden=True, onto_visible=True)
    hidden, bias = coins(ROWS, HIDDEN), torch.linspace(-3, 3, VISIBLE)
    plain = onto_visible(hidden, torch.empty(ROWS, VISIBLE), None)
    biased = onto_visible(hidden, torch.empty(ROWS, VISIBLE), bias)
    assert torch.allclose(biased, plain + bias, rtol=0, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1e-42, -0.0])
def test_weights_of_nothing_pull_by_nothing(value: float) -> None:
    _, _, up, down = both(torch.full((VISIBLE, HIDDEN), value))
    assert float(up.abs().max()) < 1e-35
    assert float(down.abs().max()) < 1e-35


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_not_hidden(bad: float) -> None:
    weight = torch.ones(VISIBLE, HIDDEN)
    weight[3, 4] = bad
    visible, _, up, _ = both(weight)
    assert not bool(torch.isfinite(up[visible[:, 3] == 1, 4]).any())
    assert bool((up[:, 5] == visible.sum(1)).all())


def test_rows_between_0_and_1_keep_their_values() -> None:
    """A machine clamped to probabilities, and one whose data are probabilities."""
    machine = RBM(VISIBLE, HIDDEN, "bernoulli", dtype=torch.float32)
    machine.weight.fill_(20.0)
    machine.hbias.fill_(-20.0 * 0.3 * VISIBLE)  # off unless more than 0.3 a unit arrive
    machine.vbias.fill_(-20.0 * HIDDEN / 2)
    generator = torch.Generator().manual_seed(0)
    for share, expected in ((0.2, 0.0), (0.4, 1.0)):
        start = torch.full((ROWS, VISIBLE), share)
        assert bool((machine.gibbs_step(start, generator) == expected).all())
        observed = torch.arange(VISIBLE) < VISIBLE - 1
        drawn = machine.sample_conditional(start, observed, generator, 3)
        assert bool((drawn[:, -1] == expected).all())
        assert torch.equal(drawn[:, :-1], start[:, :-1])


def test_a_sweep_goes_where_an_independent_sampler_goes() -> None:
    """Each visible's mean after a sweep from one row, beside numpy's float64."""
    told = np.random.default_rng(7)
    weight, start = told.normal(0, 0.3, (VISIBLE, HIDDEN)), told.integers(0, 2, VISIBLE)
    machine = RBM(VISIBLE, HIDDEN, "bernoulli", dtype=torch.float32)
    machine.weight.copy_(torch.from_numpy(weight))
    count = 40_000
    rows = torch.from_numpy(start).float().expand(count, -1).contiguous()
    ours = machine.gibbs_step(rows, torch.Generator().manual_seed(1)).double().mean(0).numpy()
    hidden = told.random((count, HIDDEN)) < 1 / (1 + np.exp(-(start @ weight)))
    chance = 1 / (1 + np.exp(-(hidden @ weight.T)))
    spread = np.sqrt(chance.mean(0) * (1 - chance.mean(0)) / count + chance.var(0) / count)
    off = (ours - chance.mean(0)) / np.maximum(spread, 1e-6)
    assert float(np.abs(off).max()) < 5
    assert 0.7 < float(off.std()) < 1.3
