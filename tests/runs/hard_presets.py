"""Small presets of hard_worlds' environments, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomli_w


def write(folder: Path, world: str, name: str = "hard", **changes: Any) -> str:
    """A preset file of `hard_worlds:WORLD-v0`; `changes` are laid over its sections.

    Learning starts at 40 entries. Evaluations are their environment's first 30 env steps.
    """
    preset: dict[str, Any] = {
        "env": {"id": f"hard_worlds:{world}-v0"},
        "model": {"layers": [{"Dense": {"units": 8, "activation": "relu"}}]},
        "memory": {"limit": 500},
        "policy": {"EpsGreedyQPolicy": {"eps": 0.3}},
        "agent": {"nb_steps_warmup": 40, "target_model_update": 0.1},
        "optimizer": {"Adam": {"learning_rate": 0.001}},
        "fit": {"nb_steps": 400},
        "evaluate": {"every_steps": 50, "episodes": 1, "nb_max_episode_steps": 10},
    }
    for section, values in changes.items():
        preset[section] = {**preset[section], **values} if section == "env" else values
    path = folder / f"{name}.toml"
    path.write_text(tomli_w.dumps(preset), encoding="utf-8")
    return path.name
