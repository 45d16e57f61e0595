"""Statistics over seeds against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from kerasrl_runner.studies.statistics import (
    bootstrap_interval,
    equivalence,
    interquartile_mean,
)


@pytest.mark.parametrize(
    ("scores", "mean"),
    [
        ([7.0], 7.0),
        ([1.0, 2.0, 6.0], 3.0),
        ([-1000.0, 2.0, 4.0, 1e6], 3.0),
        ([9.0, 1.0, 3.0, 5.0, 7.0, 100.0, 0.0, 2.0], (2 + 3 + 5 + 7) / 4),
    ],
)
def test_the_interquartile_mean_leaves_out_a_quarter_at_each_end(scores, mean):
    assert interquartile_mean(scores) == mean


def test_the_interval_of_equal_scores_is_a_point():
    assert bootstrap_interval([500.0] * 10) == (500.0, 500.0)


def test_the_interval_covers_the_true_value_about_as_often_as_it_says():
    generator = np.random.default_rng(1)
    covered = 0
    for number in range(100):
        low, high = bootstrap_interval(generator.normal(10.0, 3.0, 20).tolist(), seed=number)
        covered += low <= 10.0 <= high
    assert 85 <= covered <= 99


def test_equal_scores_are_equivalent_and_a_difference_beyond_the_margin_is_not():
    generator = np.random.default_rng(2)
    first, second = generator.normal(100, 5, (2, 20)).tolist()
    assert equivalence(first, second, margin=10).holds
    shifted = [score + 15 for score in second]
    result = equivalence(first, shifted, margin=10)
    assert not result.holds
    assert result.difference == pytest.approx(-15, abs=5)


def test_too_few_or_too_noisy_scores_prove_no_equivalence():
    """Absence of evidence is not evidence of absence: a wide interval fails."""
    generator = np.random.default_rng(3)
    first, second = generator.normal(100, 60, (2, 5)).tolist()
    assert not equivalence(first, second, margin=20).holds


def test_equal_seeds_give_equal_intervals():
    scores = np.random.default_rng(4).normal(size=12).tolist()
    assert bootstrap_interval(scores, seed=5) == bootstrap_interval(scores, seed=5)
    assert bootstrap_interval(scores, seed=5) != bootstrap_interval(scores, seed=6)
