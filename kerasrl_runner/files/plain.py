"""Data of a file, TOML or JSON, that goes on to other code: what would break it on the way."""

from __future__ import annotations

from typing import Any

# Deeper than anybody writes; beyond, reading and writing it again would exhaust the stack.
MOST_LEVELS = 20


def check_plain(data: Any) -> None:
    """Raises ValueError, naming the place, for deep nesting and for integers beyond 64 bits."""
    left: list[tuple[tuple[Any, ...], Any]] = [((), data)]
    while left:
        place, value = left.pop()
        if len(place) > MOST_LEVELS:
            raise ValueError(f"{_named(place)}: expected at most {MOST_LEVELS} tables in a table")
        if isinstance(value, dict):
            left += [((*place, key), part) for key, part in value.items()]
        elif isinstance(value, list | tuple):
            left += [((*place, number), part) for number, part in enumerate(value)]
        elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
            raise ValueError(f"{_named(place)}: expected an integer of at most 64 bits")


def _named(place: tuple[Any, ...]) -> str:
    return ".".join(str(part)[:40] for part in place[:5])
