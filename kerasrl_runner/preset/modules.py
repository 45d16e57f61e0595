"""Which modules a preset would have imported."""

from __future__ import annotations

from typing import Any

from kerasrl_runner.preset.schema import Preset


def modules_of(preset: Preset) -> set[str]:
    """The modules of "module:Id-v0" and of "module:Class", wrapped layers' included."""
    spellings = [
        preset.env.id,
        *(name for layer in preset.model.layers for name in _keys(layer.root)),
    ]
    return {name.partition(":")[0] for name in spellings if ":" in name}


def _keys(part: Any) -> list[str]:
    if isinstance(part, dict):
        return [*part, *(key for value in part.values() for key in _keys(value))]
    return [key for value in part for key in _keys(value)] if isinstance(part, list) else []
