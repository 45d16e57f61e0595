"""What the tests of hostile input share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings


def check(outcome: str) -> None:
    """Read, or refused in words: no traceback, hang, crash, gluttony, import or write."""
    assert outcome == "read" or outcome.startswith("refused: "), outcome


def every(strategy: Any, examples: int) -> Callable[[Any], Any]:
    """The same `examples` cases at each run."""
    health = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    chosen = settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=health,
    )
    return lambda test: chosen(given(case=strategy)(test))
