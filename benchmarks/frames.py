"""Frames of noise, to measure networks of convolutions on: registered as Frames-v0."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np


class Frames(gymnasium.Env):
    """One of 64 frames a step, 84x84 bytes; four actions, episodes of 100 steps."""

    observation_space = gymnasium.spaces.Box(0, 255, (84, 84), np.uint8)
    action_space = gymnasium.spaces.Discrete(4)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self._frames = np.random.default_rng(0).integers(0, 256, (64, 84, 84), np.uint8)
        self._step = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        return self._frames[self._step % 64], {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        self._step += 1
        reward = float(action == self._step % 4)
        return self._frames[self._step % 64], reward, self._step % 100 == 0, False, {}


gymnasium.register("Frames-v0", Frames)
