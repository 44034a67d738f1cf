"""Rates rise, fall and end where they are told to; only matrices decay."""

import pytest
import torch

from models.schedules import decay_groups, learning_rate, ramped


def test_the_rate_rises_in_a_straight_line_to_its_peak() -> None:
    rates = [learning_rate(step, total=100, peak=0.8, warmup=4) for step in range(5)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8])


@pytest.mark.parametrize(("shape", "middle"), [("cosine", 0.5), ("linear", 0.5), ("constant", 0.9)])
def test_the_rate_falls_by_its_shape(shape: str, middle: float) -> None:
    rate = learning_rate(60, total=110, peak=0.9, warmup=10, floor=0.1, shape=shape)
    assert rate == pytest.approx(middle)


def test_the_rate_ends_at_its_floor() -> None:
    assert learning_rate(110, total=110, peak=0.9, warmup=10, floor=0.1) == pytest.approx(0.1)
    assert learning_rate(999, total=110, peak=0.9, shape="linear") == pytest.approx(0.0)


def test_an_unknown_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="cosine, linear, constant"):
        learning_rate(0, total=1, peak=1.0, shape="step")


def test_the_teachers_share_ramps_up() -> None:
    assert [ramped(0.4, step, 10) for step in (0, 5, 10, 99)] == pytest.approx([0, 0.2, 0.4, 0.4])
    assert ramped(0.4, 0, 0) == 0.4


def test_everything_may_decay_as_in_the_published_code() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.LayerNorm(5))
    groups = decay_groups(model, 0.05, everything=True)
    assert [group["weight_decay"] for group in groups] == [0.05, 0.05]
    assert sum(p.numel() for group in groups for p in group["params"]) == 15 + 5 + 10


def test_matrices_decay_and_biases_and_frozen_weights_do_not() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.LayerNorm(5), torch.nn.Linear(5, 2))
    model[2].requires_grad_(False)
    decayed, plain = decay_groups(model, 0.05)
    assert [tuple(p.shape) for p in decayed["params"]] == [(5, 3)]
    assert [tuple(p.shape) for p in plain["params"]] == [(5,), (5,), (5,)]
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.05, 0.0)
