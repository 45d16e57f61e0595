"""A Gymnasium environment as keras-rl's loop needs it: four values a step, plain numbers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from kerasrl_runner.environments.observations import Encoder
from kerasrl_runner.errors import EnvironmentFailed

# A window that is closed, or a simulator that gives up, must not end the training unsaid.
_FAILURES = (Exception, SystemExit)


class KerasRLEnvironment:
    """What rl.core.Agent.fit and test call, around a Gymnasium environment.

    `terminated`, `truncated`, `info`, `observation` are those of the newest step; `episode` counts
    resets from 0; `episode_return` is the undiscounted sum of the environment's own rewards, in
    float64, before `reward_scale`.
    """

    def __init__(
        self,
        env: gymnasium.Env,
        *,
        encode: Encoder | None = None,
        reward_scale: float = 1.0,
        seeds: Callable[[int], int] | None = None,
        nb_max_episode_steps: int | None = None,
    ) -> None:
        """
        Args:
            encode: turns what the environment returns into what the network sees; as it is
                where None.
            seeds: the seed of `reset` for an episode's number; None leaves resets unseeded.
            nb_max_episode_steps: env steps after which an episode is truncated.
        """
        self.env = env
        self.encode = encode
        self.reward_scale = reward_scale
        self.seeds = seeds
        self.nb_max_episode_steps = nb_max_episode_steps
        self.episode = -1
        self.episode_length = 0
        self.episode_return = 0.0
        self.env_steps = 0
        self.terminated = self.truncated = False
        self.observation: Any = None
        self.info: dict[str, Any] = {}
        # gymnasium.spaces.Discrete may count its actions from another number than 0.
        self._first_action = int(getattr(env.action_space, "start", 0))

    @property
    def action_space(self) -> Any:
        return self.env.action_space

    @property
    def observation_space(self) -> Any:
        return self.env.observation_space

    @property
    def render_mode(self) -> str | None:
        return self.env.render_mode

    @property
    def episode_seed(self) -> int | None:
        """The seed that the present episode was reset with."""
        return None if self.seeds is None else self.seeds(max(self.episode, 0))

    def example(self) -> Any:
        """An observation of the network's shape and dtype, for making room; none that occurred."""
        sample = self.env.observation_space.sample()
        return sample if self.encode is None else self.encode(sample)

    def reset(self) -> Any:
        """Start the next episode; returns its first observation.

        Raises:
            EnvironmentFailed: the environment raised, or the observation is not finite.
        """
        self.episode += 1
        self.episode_length = 0
        self.episode_return = 0.0
        self.terminated = self.truncated = False
        try:
            observation, self.info = self.env.reset(seed=self.episode_seed)
        except _FAILURES as error:
            raise self._failed("reset", error) from error
        self.observation = self._encoded(observation)
        return self.observation

    def step(self, action: int) -> tuple[Any, float, bool, dict[str, float]]:
        """One env step: (observation, reward, episode over, {}).

        rl/core.py:181-185 fails on any other info (D7), and rl/callbacks.py:273 on keys that come
        and go (D7b), so it is handed none; `info` keeps the real one.

        Raises:
            EnvironmentFailed: the environment raised, or a reward or observation is not finite.
        """
        self.env_steps += 1
        self.episode_length += 1
        try:
            observation, reward, terminated, truncated, self.info = self.env.step(
                self._first_action + int(action)
            )
            reward = float(np.asarray(reward).item())
            terminated, truncated = bool(terminated), bool(truncated)
        except _FAILURES as error:
            raise self._failed("step", error) from error
        if not math.isfinite(reward):
            raise self._failed("step", f"the reward is {reward}")
        self.episode_return += reward
        self.observation = self._encoded(observation)
        capped = self.episode_length == self.nb_max_episode_steps
        self.terminated = terminated
        self.truncated = (truncated or capped) and not terminated
        episode_over = self.terminated or self.truncated
        return self.observation, reward * self.reward_scale, episode_over, {}

    def render(self, mode: str | None = None) -> Any:
        """Gymnasium's render. `mode` is keras-rl's (D6): Gymnasium takes it at `make`.

        Raises:
            EnvironmentFailed: the environment's own render fails.
        """
        if self.env.render_mode is None:
            warnings.warn(
                "this environment was made without a render_mode and shows nothing; use "
                'gymnasium.make(..., render_mode="human")',
                stacklevel=2,
            )
            return None
        if mode == "human" and self.env.render_mode == "human":
            return None  # Gymnasium draws at each step by itself
        try:
            return self.env.render()
        except _FAILURES as error:
            raise self._failed("render", error) from error

    def close(self) -> None:
        """Raises EnvironmentFailed where the environment's own close fails."""
        try:
            self.env.close()
        except _FAILURES as error:
            raise self._failed("close", error) from error

    def _encoded(self, observation: Any) -> Any:
        if self.encode is not None:
            try:
                observation = self.encode(observation)
            except Exception as error:  # what the environment returned is nothing of its space
                raise self._failed("observation", error) from error
        if (
            isinstance(observation, np.ndarray)
            and observation.dtype.kind == "f"
            and not math.isfinite(observation.sum())  # a third of the time of the exact question
            and not np.isfinite(observation).all()
        ):
            raise self._failed("observation", f"it holds NaN or infinity: {observation}")
        return observation

    def _failed(self, where: str, cause: object) -> EnvironmentFailed:
        if isinstance(cause, BaseException):
            cause = f"{type(cause).__name__}: {cause}"
        name = self.env.spec.id if self.env.spec else type(self.env.unwrapped).__name__
        return EnvironmentFailed(
            f"the environment {name} failed ({where}) at env step {self.env_steps}, step "
            f"{self.episode_length} of episode {self.episode}: {cause}. Mend the environment; "
            f"episode seed {self.episode_seed}."
        )


def as_keras_rl(env: Any) -> KerasRLEnvironment:
    """`env` itself if it is one already, else wrapped.

    Raises:
        TypeError: not a Gymnasium environment (an old gym's, for example).
    """
    if isinstance(env, KerasRLEnvironment):
        return env
    if not isinstance(env, gymnasium.Env):
        raise TypeError(
            f"expected a gymnasium.Env, received {type(env).__module__}.{type(env).__name__}. "
            f"Environments of old gym are ported by deriving from gymnasium.Env."
        )
    return KerasRLEnvironment(env)
