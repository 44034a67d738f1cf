"""Intervals come from resampling images, repeat exactly, and compare models picture by picture."""

import numpy as np
import pytest

from tasks.metrics.bleu import bleu, bleu_counts
from tasks.metrics.bootstrap import (
    bleu_of,
    difference,
    estimate,
    mean_of,
    measure_of,
    resampled,
    share_of,
)
from tasks.metrics.tokens import Words


def split(text: str) -> Words:
    return tuple(text.split())


VALUES = np.array([0.0, 1, 1, 0, 1, 0.5, 0.25, 1, 0, 1, 1])


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    one, again, other = (estimate(mean_of(VALUES), 300, seed) for seed in (7, 7, 8))
    assert one == again
    assert (one.low, one.high) != (other.low, other.high)
    assert one.value == other.value == pytest.approx(VALUES.mean())


def test_resamples_are_sums_of_as_many_rows_drawn_one_by_one() -> None:
    rows = np.stack([VALUES, np.arange(11.0)], axis=1)
    generator = np.random.default_rng(3)
    slow = [sum(rows[i] for i in generator.integers(11, size=11)) for _ in range(5)]
    np.testing.assert_allclose(resampled(rows, 5, 3), np.array(slow))


def test_the_interval_of_a_mean_is_about_two_standard_errors() -> None:
    values = np.random.default_rng(0).normal(5, 2, size=400)
    found = estimate(mean_of(values), 2000, 0)
    error = values.std() / 20
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.02)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.02)


def test_a_share_weighs_each_image_by_its_number_of_texts() -> None:
    measure = share_of(np.array([1.0, 0]), np.array([4.0, 1]))
    assert estimate(measure, 10, 0).value == pytest.approx(1 / 5)


def test_bleu_is_resampled_by_its_counts_and_not_by_its_values() -> None:
    captions = [split("a red cat sat here"), split("a dog"), split("a red dog sat up")]
    references = [[captions[0]], [split("the dog")], [split("a red dog sat")]]
    counts = bleu_counts(captions, references)
    found = estimate(bleu_of(counts), 50, 1)
    assert found.value == pytest.approx(bleu(counts.sum(axis=0))[3])
    assert measure_of(counts).score(counts.sum(axis=0)) == pytest.approx(found.value)


def test_a_small_but_steady_gain_is_clear_although_the_intervals_overlap() -> None:
    before = np.random.default_rng(1).normal(0, 10, size=200)
    after = before + 0.5
    a, b = (estimate(mean_of(values), 500, 0) for values in (before, after))
    assert a.low < b.low < a.high
    found = difference(mean_of(before), mean_of(after), 500, 0)
    assert found.difference.value == pytest.approx(0.5)
    assert found.difference.low == pytest.approx(0.5)
    assert found.is_clear
    assert found.share_b_better == 1


def test_no_difference_is_no_clear_difference() -> None:
    found = difference(mean_of(VALUES), mean_of(VALUES), 100, 0)
    assert not found.is_clear
    assert found.share_b_better == 0.5


def test_other_images_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="same images twice, got 11 and 3"):
        difference(mean_of(VALUES), mean_of(VALUES[:3]), 10, 0)
