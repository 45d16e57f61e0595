"""Environments of one's own, whose constructors take no render_mode."""

from __future__ import annotations

import ctypes
import subprocess
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

LARGEST = np.finfo(np.float64).max
ZERO = np.zeros(2, np.float32)


class Endless(gymnasium.Env):
    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}
    observation_space: spaces.Space = spaces.Box(-1, 1, (2,), np.float32)
    action_space: spaces.Space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return ZERO, {}

    def step(self, action: int) -> Any:
        return ZERO, 1.0, False, False, {}


class RaisesWhenMade(Endless):
    def __init__(self) -> None:
        raise RuntimeError("no port is free")


class Corridor(Endless):
    """Five cells; walking right to the end gives 1."""

    observation_space = spaces.Discrete(5)

    def reset(self, **_: Any) -> Any:
        self.cell = 0
        return self.cell, {}

    def step(self, action: int) -> Any:
        self.cell = max(0, self.cell + (1 if action else -1))
        arrived = self.cell == 4
        return self.cell, float(arrived), arrived, False, {}


class Printing(Corridor):
    """Prints in every way there is, and its observations have bounds that are none."""

    observation_space = spaces.Box(-LARGEST, LARGEST, (1,), np.float64)

    def reset(self, **_: Any) -> Any:
        subprocess.run(["echo", "printed by a child process"], check=True)
        return np.array([super().reset()[0]], np.float64), {}

    def step(self, action: int) -> Any:
        print("printed by Python")
        ctypes.CDLL(None).printf(b"printed by C\n")
        observation, *others = super().step(action)
        return np.array([observation], np.float64), *others


WORLDS = [Endless, RaisesWhenMade, Corridor, Printing]

for world in WORLDS:
    gymnasium.register(
        id=f"{world.__name__}-v0",
        entry_point=world,
        max_episode_steps=50 if issubclass(world, Corridor) else None,
        disable_env_checker=True,
    )
