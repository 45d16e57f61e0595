"""A Gymnasium environment as keras-rl's loop needs it: four values a step, plain numbers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from kerasrl_runner.environments.observations import Encoder
from kerasrl_runner.environments.rendering import prepare_window, to_rgb
from kerasrl_runner.errors import EnvironmentFailed, shorten

# Some simulators end the process when they give up or their window is closed: a training that
# ends so must say why.
_FAILURES = (Exception, SystemExit)
# What gymnasium's own wrappers, and Python, say of an environment written for old gym.
_OLD_API = ("(expected 5, got 4)", "argument 'seed'", "argument 'options'", "`(obs, info)`")
_NEW_API = (
    "gymnasium's `reset(self, *, seed=None, options=None)` returns `observation, info`, its `step` "
    "`observation, reward, terminated, truncated, info`: write both so, in a class derived from "
    "gymnasium.Env, or run the old script unchanged by `kerasrl-run script OLD.py`"
)


class KerasRLEnvironment:
    """What rl.core.Agent.fit and test call, around a Gymnasium environment.

    `terminated`, `truncated`, `info`, `observation` are those of the newest step; `episode` counts
    resets from 0; `episode_return` is the undiscounted sum of the environment's own rewards, in
    float64, before clip, terminal reward and scale. Each of `watchers` is called after every reset
    and step. `legal_actions`, bool [A], is what the newest info's "action_mask" allows, everything
    where it allows nothing; None without `action_mask`.
    """

    def __init__(
        self,
        env: gymnasium.Env,
        *,
        encode: Encoder | None = None,
        reward_clip: tuple[float, float] | None = None,
        terminal_reward: float | None = None,
        reward_scale: float = 1.0,
        seeds: Callable[[int], int] | None = None,
        nb_max_episode_steps: int | None = None,
        action_mask: bool = False,
    ) -> None:
        """
        Args:
            encode: turns what the environment returns into what the network sees; as it is
                where None.
            reward_clip: the lowest and the highest reward that `step` returns, before its scale.
            terminal_reward: what `step` returns, before its scale, where the episode terminates.
            seeds: the seed of `reset` for an episode's number; None leaves resets unseeded.
            nb_max_episode_steps: env steps after which an episode is truncated.
            action_mask: whether info["action_mask"] says which actions are legal.
        """
        if env.render_mode is not None:
            prepare_window()
        self.env = env
        # A script's environment may have no spaces: it gives its agent the numbers itself.
        self.action_space: Any = getattr(env, "action_space", None)
        self.observation_space: Any = getattr(env, "observation_space", None)
        self.render_mode = env.render_mode
        self.encode = encode
        self.reward_clip = reward_clip
        self.terminal_reward = terminal_reward
        self.reward_scale = reward_scale
        self.seeds = seeds
        self.nb_max_episode_steps = nb_max_episode_steps
        self.action_mask = action_mask
        self.legal_actions: np.ndarray | None = None
        self.episode = -1
        self.episode_length = 0
        self.episode_return = 0.0
        self.env_steps = 0
        self.terminated = self.truncated = False
        self.observation: Any = None
        self.info: dict[str, Any] = {}
        self.watchers: list[Callable[[], None]] = []
        self._frame_shape: tuple[int, ...] | None = None
        self._warned = False
        self.process_step: Callable[..., Any] | None = None  # that of a script's Processor
        # gymnasium.spaces.Discrete may count its actions from another number than 0.
        space = self.action_space
        self._first_action = int(space.start) if isinstance(space, spaces.Discrete) else 0

    @property
    def episode_seed(self) -> int | None:
        """The seed that the present episode was reset with."""
        return None if self.seeds is None else self.seeds(max(self.episode, 0))

    def example(self) -> Any:
        """An observation of the network's shape and dtype, for building network and memory.

        Zeros, or a discrete space's first value. A random one would not do: in a space without
        real bounds its values are so large that a network's output is not finite.
        """
        space = self.observation_space
        observation = np.zeros(space.shape, space.dtype) + getattr(space, "start", 0)
        return observation if self.encode is None else self.encode(observation)

    def reset(self) -> Any:
        """Start the next episode; returns its first observation.

        Raises:
            EnvironmentFailed: the environment raised, the observation is not finite or not of
                its space, or the info lacks the mask of actions that was asked for.
        """
        self.episode += 1
        self.episode_length = 0
        self.episode_return = 0.0
        self.terminated = self.truncated = False
        try:
            seed = self.episode_seed
            returned = self.env.reset() if seed is None else self.env.reset(seed=seed)
            if not isinstance(returned, tuple) or not isinstance(returned[-1], dict | None):
                raise TypeError("expected `(obs, info)`, received an observation alone")
            observation, self.info = returned
        except _FAILURES as error:
            raise self._failure("reset", error) from error
        self.observation = self._encode_observation(observation)
        self._read_mask()
        self._call_watchers()
        return self.observation

    def step(self, action: Any) -> tuple[Any, np.float64, bool, dict[str, Any]]:
        """One env step: (observation, reward, episode over, {}).

        rl/core.py:181-185 fails on any other info (D7), so it is handed none; `info` keeps the
        real one. The loop adds up a NumPy float64 without rounding, a Python float in float32.

        Raises:
            EnvironmentFailed: the environment raised, or a reward or observation is not finite,
                the observation is not of its space, an end of the episode is not a boolean, or
                the info lacks the mask of actions that was asked for.
        """
        self.env_steps += 1
        self.episode_length += 1
        if self._first_action or self.process_step is None:
            action = self._first_action + int(action)
        try:
            observation, reward, terminated, truncated, self.info = self.env.step(action)
            terminated = _to_bool("terminated", terminated)
            truncated = _to_bool("truncated", truncated)
        except _FAILURES as error:
            raise self._failure("step", error) from error
        self.observation = self._encode_observation(observation)
        self._read_mask()
        capped = self.episode_length == self.nb_max_episode_steps
        self.terminated = terminated
        self.truncated = (truncated or capped) and not terminated
        episode_over = self.terminated or self.truncated
        if self.process_step is not None:
            step = deepcopy(self.observation), reward, episode_over, self.info
            self.observation, reward, episode_over, self.info = self.process_step(*step)
            episode_over = episode_over or capped
        try:
            reward = float(np.asarray(reward).item())
        except _FAILURES as error:
            raise self._failure("reward", error) from error
        if not math.isfinite(reward):
            raise self._failure("reward", f"the reward is {reward}")
        self.episode_return += reward
        if self.reward_clip is not None:
            reward = min(max(reward, self.reward_clip[0]), self.reward_clip[1])
        if self.terminal_reward is not None and self.terminated:
            reward = self.terminal_reward
        self._call_watchers()
        return self.observation, np.float64(reward * self.reward_scale), episode_over, {}

    def render(self, mode: str | None = None) -> Any:
        """Gymnasium's render. `mode` is keras-rl's (D6): Gymnasium takes it at `make`.

        Raises:
            EnvironmentFailed: the environment's own render fails.
        """
        if self.render_mode is None:
            if not self._warned:
                warnings.warn(
                    "this environment was made without a render_mode and shows nothing; use "
                    'gymnasium.make(..., render_mode="human")',
                    stacklevel=2,
                )
            self._warned = True
            return None
        if mode == "human" and self.render_mode == "human":
            return None  # Gymnasium draws at each step by itself
        try:
            return self.env.render()
        except _FAILURES as error:
            raise self._failure("render", error) from error

    def frame(self) -> np.ndarray:
        """A picture of the environment as it stands, [height, width, 3] of uint8.

        Raises:
            EnvironmentFailed: `render` raised, returned no picture, or one of another size than
                the first.
        """
        try:
            frame = to_rgb(self.render())
            if self._frame_shape not in (None, frame.shape):
                raise ValueError(
                    f"expected a picture of the first one's shape, {self._frame_shape}, received "
                    f"{frame.shape}; a video has one size"
                )
        except ValueError as error:
            raise self._failure("render", str(error)) from error
        self._frame_shape = frame.shape
        return frame

    def close(self) -> None:
        """Raises EnvironmentFailed where the environment's own close fails."""
        try:
            self.env.close()
        except _FAILURES as error:
            raise self._failure("close", error) from error

    def _call_watchers(self) -> None:
        for watcher in self.watchers:
            watcher()

    def _read_mask(self) -> None:
        """Take `legal_actions` from the newest info, if masks were asked for."""
        if not self.action_mask:
            return
        count = int(self.action_space.n)
        given = self.info.get("action_mask") if isinstance(self.info, dict) else None
        try:
            mask = np.asarray(given)
        except ValueError:  # lists of unlike lengths
            mask = np.empty(0)
        if mask.shape != (count,) or ((mask != 0) & (mask != 1)).any():
            expected = f'info["action_mask"] with a 0 or 1 for each of {count} actions'
            raise self._failure(
                "action_mask",
                f"expected {expected} from `reset` and every `step`, received "
                f"{shorten(repr(given), 80)}; without env.action_mask every action is legal",
            )
        legal = mask == 1  # [A]
        self.legal_actions = legal if legal.any() else ~legal  # [A]

    def _encode_observation(self, observation: Any) -> Any:
        if self.encode is not None:
            try:
                observation = self.encode(observation)
            except Exception as error:  # the environment may return anything
                raise self._failure("observation", error) from error
        if (
            isinstance(observation, np.ndarray)
            and observation.dtype.kind == "f"
            # `isfinite` of the sum costs a third of `isfinite` of all, which has the last word:
            # a sum of large finite numbers may be infinite.
            and not math.isfinite(observation.sum())
            and not np.isfinite(observation).all()
        ):
            where = np.argwhere(~np.isfinite(observation)).tolist()
            raise self._failure("observation", f"it holds NaN or infinity at {shorten(where)}")
        return observation

    def _failure(self, where: str, cause: object) -> EnvironmentFailed:
        remedy = "Fix the environment"
        if isinstance(cause, BaseException):
            if any(words in str(cause) for words in _OLD_API):
                remedy = _NEW_API
            cause = f"{type(cause).__name__}: {cause}"
        name = self.env.spec.id if self.env.spec else type(_innermost(self.env)).__name__
        return EnvironmentFailed(
            f"the environment {name} failed ({where}) at env step {self.env_steps}, step "
            f"{self.episode_length} of episode {self.episode}: {cause}. {remedy}; "
            f"episode seed {self.episode_seed}."
        )


def _innermost(env: Any) -> Any:
    """The environment that the user wrote, behind wrappers and an old interface."""
    return getattr(env.unwrapped, "old", env.unwrapped)


def _to_bool(name: str, value: Any) -> bool:
    """The environment's `value` for `terminated` or `truncated`.

    Raises:
        ValueError: neither a boolean nor 0 or 1. Python would take "False" for true.
    """
    if isinstance(value, bool):
        return value
    array = np.asarray(value)
    if array.size == 1 and array.dtype.kind in "biu" and array.item() in (0, 1):
        return bool(array.item())
    raise ValueError(f"{name}: expected True or False, received {value!r}")


def as_keras_rl(env: Any) -> KerasRLEnvironment:
    """`env` itself if it is one already, else wrapped.

    Raises:
        TypeError: not a Gymnasium environment (an old gym's, for example).
    """
    if isinstance(env, KerasRLEnvironment):
        return env
    if not isinstance(env, gymnasium.Env):
        remedy = _NEW_API if hasattr(env, "step") else "gymnasium.make(ID) makes one"
        raise TypeError(
            f"expected a gymnasium.Env, received {type(env).__module__}.{type(env).__name__}. "
            f"{remedy}."
        )
    return KerasRLEnvironment(env)
