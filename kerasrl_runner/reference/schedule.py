"""Values that change with a count (env steps, learn steps or episodes), as plain functions."""

from __future__ import annotations

from collections.abc import Callable

Schedule = Callable[[int], float]


def constant(value: float) -> Schedule:
    """Always `value`."""
    return lambda count: value


def linear(start: float, end: float, steps: int) -> Schedule:
    """From `start` at 0 to `end` at `steps`, then `end` (keras-rl's LinearAnnealedPolicy).

    Mnih 2015, Methods: epsilon annealed linearly from 1 to 0.1.
    """
    slope = (end - start) / steps
    return lambda count: end if count >= steps else start + slope * count


def polynomial_decay(
    initial: float, decay_steps: int, end: float = 0.0001, power: float = 1.0, cycle: bool = False
) -> Schedule:
    """Keras' PolynomialDecay of the learn step."""

    def value(step: int) -> float:
        horizon = decay_steps * max(1, -(-step // decay_steps)) if cycle else decay_steps
        return (initial - end) * float((1 - min(step, horizon) / horizon) ** power) + end

    return value


def exponential_decay(
    initial: float, decay_steps: int, decay_rate: float, staircase: bool = False
) -> Schedule:
    """Keras' ExponentialDecay of the learn step."""
    if staircase:
        return lambda step: initial * float(decay_rate ** (step // decay_steps))
    return lambda step: initial * float(decay_rate ** (step / decay_steps))
