"""Statistics over seeds, after Agarwal 2021, "Deep RL at the edge of the statistical precipice"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000


def interquartile_mean(scores: Sequence[float] | np.ndarray) -> float:
    """Mean of the middle half of the scores [N]; a quarter is cut off at each end, rounded down."""
    ordered = np.sort(np.asarray(scores, np.float64))  # [N]
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean())


def bootstrap_interval(
    scores: Sequence[float], level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of the interquartile mean over resampled seeds (Efron 1979)."""
    low, high = np.quantile(_resampled(scores, seed), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class Equivalence:
    """Whether two sets of scores are equal but for a margin that was chosen beforehand."""

    difference: float  # of the interquartile means, first minus second
    interval: tuple[float, float]  # of the difference, 90%
    margin: float

    @property
    def holds(self) -> bool:
        """Two one-sided tests at 5% (Schuirmann 1987): the 90% interval lies within the margin."""
        return -self.margin < self.interval[0] and self.interval[1] < self.margin


def equivalence(
    first: Sequence[float], second: Sequence[float], margin: float, seed: int = 0
) -> Equivalence:
    """Compare two independent sets of scores by their interquartile means."""
    differences = _resampled(first, seed) - _resampled(second, seed + 1)  # [RESAMPLES]
    low, high = np.quantile(differences, [0.05, 0.95])
    difference = interquartile_mean(first) - interquartile_mean(second)
    return Equivalence(difference, (float(low), float(high)), margin)


def _resampled(scores: Sequence[float], seed: int) -> np.ndarray:
    """Interquartile means of scores drawn with replacement, [RESAMPLES]."""
    values = np.asarray(scores, np.float64)  # [N]
    drawn = np.random.default_rng(seed).choice(values, (RESAMPLES, len(values)))  # [R, N]
    drawn.sort(axis=1)
    cut = len(values) // 4
    means: np.ndarray = drawn[:, cut : len(values) - cut].mean(axis=1)  # [R]
    return means
