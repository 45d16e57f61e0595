"""How deep data from a file is nested: deeper than anybody writes would exhaust the stack later."""

from __future__ import annotations

from typing import Any

MOST_LEVELS = 20


def check_depth(data: Any) -> None:
    """Raises ValueError where tables and lists are nested deeper than MOST_LEVELS."""
    level = [data]
    for _ in range(MOST_LEVELS):
        level = [part for whole in level for part in _parts(whole)]
        if not level:
            return
    raise ValueError(f"tables and lists nested more than {MOST_LEVELS} levels deep")


def _parts(whole: Any) -> list[Any]:
    if isinstance(whole, dict):
        return list(whole.values())
    return list(whole) if isinstance(whole, list | tuple) else []
