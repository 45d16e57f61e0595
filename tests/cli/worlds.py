"""Environments that are wrong in one way each, and one that is right but never ends."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

ZERO = np.zeros(2, np.float32)


class Endless(gymnasium.Env):
    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}
    observation_space: spaces.Space = spaces.Box(-1, 1, (2,), np.float32)
    action_space: spaces.Space = spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None) -> None:
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return ZERO, {}

    def step(self, action: int) -> Any:
        self.steps += 1
        return ZERO, 1.0, False, False, {}


class RaisesInStep(Endless):
    def step(self, action: int) -> Any:
        if self.steps == 5:
            raise RuntimeError("the robot fell over")
        return super().step(action)


class RaisesInReset(Endless):
    def reset(self, **_: Any) -> Any:
        raise RuntimeError("no robot is plugged in")


class RaisesWhenMade(Endless):
    def __init__(self, render_mode: str | None = None) -> None:
        raise RuntimeError("no port is free")


class RaisesWhenClosed(Endless):
    def close(self) -> None:
        raise RuntimeError("the port is stuck")


class NaNReward(Endless):
    def step(self, action: int) -> Any:
        return ZERO, float("nan"), False, False, {}


class NaNObservation(Endless):
    def step(self, action: int) -> Any:
        return ZERO * np.nan, 1.0, False, False, {}


class OtherShape(Endless):
    def step(self, action: int) -> Any:
        return np.zeros(3, np.float32), 1.0, False, False, {}


class FourValues(Endless):
    def step(self, action: int) -> Any:
        return ZERO, 1.0, False, {}


class DictObservations(Endless):
    observation_space = spaces.Dict({"camera": spaces.Box(0, 1, (2,), np.float32)})


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


WORLDS = [
    Endless, RaisesInStep, RaisesInReset, RaisesWhenMade, RaisesWhenClosed, NaNReward,
    NaNObservation, OtherShape, FourValues, DictObservations, Corridor,
]  # fmt: skip

for world in WORLDS:
    gymnasium.register(
        id=f"{world.__name__}-v0",
        entry_point=world,
        max_episode_steps=50 if world is Corridor else None,
        disable_env_checker=True,
    )
