"""Old gym's interface on Gymnasium: four values a step, `reset` without info, `seed`, `render`.

gym ended with 0.26, which fails on NumPy 2 and has another interface than the 0.1 to 0.21 that
scripts are written for. Names and signatures are gym's, since scripts derive from these classes.
"""

from __future__ import annotations

import abc
import atexit
import contextlib
import functools
import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import gymnasium
import numpy as np
from gymnasium.envs.registration import (
    find_highest_version,
    get_env_id,
    load_env_creator,
    parse_env_id,
)

from kerasrl_runner.environments.rendering import can_open_window, to_rgb
from kerasrl_runner.pictures.video import video

# In `info`: the episode ends here for a reason that is none of the task (gym 0.10).
_TRUNCATED = "TimeLimit.truncated"
# Variants of Atari games that ale-py 0.9 left out, by a part of their ids.
_VARIANTS: dict[str, dict[str, Any]] = {
    "Deterministic": {"frameskip": 4},
    "-ram": {"obs_type": "ram"},
}


class _Named(abc.ABC):  # noqa: B024  (so that a class of ours can count as gym.Env)
    """What classes of scripts derive from."""

    def __init_subclass__(cls) -> None:
        """Before gym 0.9.6 a class defined `_step`, `_reset`, `_observation` and so on."""
        for name in "step reset render seed close observation reward action".split():
            if f"_{name}" in vars(cls):
                setattr(cls, name, vars(cls)[f"_{name}"])


class Env(_Named):
    """gym.Env: what a script's own environment derives from."""

    metadata: ClassVar[dict[str, Any]] = {}
    reward_range = (-np.inf, np.inf)
    action_space = observation_space = spec = None
    unwrapped = property(lambda self: self)

    def render(self, mode: str = "human", close: bool = False) -> Any: ...

    def seed(self, seed: int | None = None) -> Any: ...

    def close(self) -> None: ...


class Wrapper(_Named):
    """gym.Wrapper and its three children in one: a script overrides what it wants changed."""

    def __init__(self, env: Any) -> None:
        self.env = env

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self).get("env"), name)

    def step(self, action: Any) -> Any:
        observation, reward, done, info = self.env.step(self.action(action))
        return self.observation(observation), self.reward(reward), done, info

    def reset(self, **arguments: Any) -> Any:
        return self.observation(self.env.reset(**arguments))

    def render(self, mode: str = "human", **arguments: Any) -> Any:
        return self.env.render(mode=mode, **arguments)

    def seed(self, seed: int | None = None) -> Any:
        return self.env.seed(seed)

    def close(self) -> None:
        self.env.close()

    def action(self, action: Any) -> Any:
        return action

    def observation(self, observation: Any) -> Any:
        return observation

    def reward(self, reward: Any) -> Any:
        return reward


ObservationWrapper = RewardWrapper = ActionWrapper = Wrapper


class Monitor(Wrapper):
    """gym.wrappers.Monitor: videos of the episodes 0, 1, 8, 27, … or of those asked for."""

    def __init__(self, env: Any, directory: str, video_callable: Any = None, **_: Any) -> None:
        super().__init__(env)
        self._directory, self._episode = Path(directory), -1
        self._is_wanted = video_callable
        if video_callable is None:
            self._is_wanted = lambda episode: round(episode ** (1 / 3)) ** 3 == episode
        self._recording, self._add = contextlib.ExitStack(), cast(Any, None)
        atexit.register(self._recording.close)  # few scripts close what they monitor

    def reset(self, **arguments: Any) -> Any:
        self._recording.close()
        self._add = None
        self._episode += 1
        observation = self.env.reset(**arguments)
        if self._is_wanted and self._is_wanted(self._episode):
            self._directory.mkdir(parents=True, exist_ok=True)
            path = self._directory / f"openaigym.video.{self._episode:06d}.mp4"
            self._add = self._recording.enter_context(video(path, _frame_rate(self.env)))
        return observation

    def step(self, action: Any) -> Any:
        if self._add is not None:
            self._add(to_rgb(self.env.render(mode="rgb_array")))
        return self.env.step(action)

    def close(self) -> None:
        self._recording.close()
        super().close()


class OldInterface:
    """A Gymnasium environment behind the old interface; its attributes are read and set there."""

    def __init__(self, env: gymnasium.Env) -> None:
        vars(self).update(gymnasium_env=env, next_seed=None)

    def __getattr__(self, name: str) -> Any:
        return vars(self).get("gymnasium_env").get_wrapper_attr(name)  # type: ignore[union-attr]

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self):
            vars(self)[name] = value
        else:
            self.gymnasium_env.set_wrapper_attr(name, value)

    @property
    def unwrapped(self) -> Any:
        inner = self.gymnasium_env.unwrapped
        return inner.old if isinstance(inner, NewInterface) else OldInterface(inner)

    env = unwrapped  # scripts take a time limit off by `gym.make(…).env`

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = self.gymnasium_env.step(action)
        if truncated and not terminated:
            info = {**info, _TRUNCATED: True}
        return observation, reward, terminated or truncated, info

    def reset(self, **arguments: Any) -> Any:
        seed, vars(self)["next_seed"] = vars(self)["next_seed"], None
        return self.gymnasium_env.reset(seed=seed, **arguments)[0]

    def seed(self, seed: int | None = None) -> list[Any]:
        self.next_seed = seed
        return [seed]

    def render(self, mode: str = "human", **arguments: Any) -> Any:
        inner = self.gymnasium_env.unwrapped
        if isinstance(inner, NewInterface):
            return inner.old.render(mode=mode, **arguments)
        if self.gymnasium_env.render_mode == "ansi":
            text = self.gymnasium_env.render()
            return print(text) if mode == "human" else text
        if mode != "human":
            return self.gymnasium_env.render()
        if (clock := _open_screen()) is not None:
            _show(to_rgb(self.gymnasium_env.render()))
            clock.tick(_frame_rate(self))  # no faster than the environment's own pace
        return None


Env.register(Wrapper)
Env.register(OldInterface)


def TimeLimit(env: Any, max_episode_steps: int) -> OldInterface:
    """gym.wrappers.TimeLimit."""
    return OldInterface(gymnasium.wrappers.TimeLimit(NewInterface(env), max_episode_steps))


class NewInterface(gymnasium.Env):
    """An environment of the old interface as a Gymnasium one; its other attributes stay."""

    render_mode = "old"

    # rl.core.Env has neither, and other environments make them as late as in `reset`.
    action_space: Any = property(lambda self: getattr(self.old, "action_space", None))
    observation_space: Any = property(lambda self: getattr(self.old, "observation_space", None))

    def __init__(self, old: Any) -> None:
        self.old = old
        self.spec = getattr(old, "spec", None)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self).get("old"), name)

    def step(self, action: Any) -> Any:
        observation, reward, done, info = self.old.step(action)
        truncated = isinstance(info, dict) and bool(info.get(_TRUNCATED))
        return observation, reward, bool(done) and not truncated, truncated, info

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if seed is not None:
            self.old.seed(seed)
        return self.old.reset(), {}

    def render(self) -> Any:
        return self.old.render(mode="human")

    def close(self) -> None:
        self.old.close()


def _frame_rate(env: Any) -> float:
    """Frames a second; old environments spell it with a dot."""
    known = (env.metadata.get(key) for key in ("render_fps", "video.frames_per_second"))
    return next(filter(None, known), 30)


def _show(frame: np.ndarray) -> None:
    """Draw [height, width, 3] uint8 in the window."""
    import pygame

    size = frame.shape[1::-1]
    window = pygame.display.get_surface()
    if window is None or window.get_size() != size:
        window = pygame.display.set_mode(size)
    window.blit(pygame.surfarray.make_surface(frame.swapaxes(0, 1)), (0, 0))
    pygame.event.pump()
    pygame.display.flip()


@functools.cache
def _open_screen() -> Any:
    """A clock where this process can show windows; None, and a line about it, where not."""
    if not can_open_window():
        _say_once("There is no display, so render() shows nothing.")
        return None
    import pygame

    return pygame.time.Clock()


@functools.cache
def _say_once(line: str) -> None:
    print(line, file=sys.stderr)


def set_level(level: int = 0) -> None:
    """gym.logger.set_level: Gymnasium warns by Python's warnings."""


setLevel = undo_logger_setup = set_level
registry = SimpleNamespace(
    env_specs=gymnasium.registry, all=gymnasium.registry.values, spec=gymnasium.spec
)


def np_random(seed: int | None = None) -> tuple[np.random.RandomState, int | None]:
    """gym.utils.seeding.np_random: scripts call `rand` and `randint` of what it returns."""
    return np.random.RandomState(seed), seed


def register(id: str, entry_point: Any, **arguments: Any) -> None:
    """gym.envs.registration.register, of an environment of either interface."""

    def create(**kwargs: Any) -> gymnasium.Env:
        env = _load_creator(entry_point)(**kwargs)
        return env if isinstance(env, gymnasium.Env) else NewInterface(env)

    limit = arguments.get("max_episode_steps") or arguments.get("timestep_limit")
    kwargs = arguments.get("kwargs") or {}
    gymnasium.register(
        id, create, max_episode_steps=limit, kwargs=kwargs, order_enforce=False,
        disable_env_checker=True,
    )  # fmt: skip


def _load_creator(entry_point: Any) -> Any:
    return load_env_creator(entry_point) if isinstance(entry_point, str) else entry_point


def make(id: str, **arguments: Any) -> OldInterface:
    """gym.make. Raises gymnasium.error.Error: no installed package has this environment."""
    name, changed = find_successor(id)
    if name != id:
        _say_once(f"{id} -> {describe_make(name, changed)}")
    creator = _load_creator(gymnasium.spec(name).entry_point)
    offered = getattr(creator, "metadata", {}).get("render_modes") or ()
    if modes := [mode for mode in ("ansi", "rgb_array") if mode in offered]:
        changed = {"render_mode": modes[0], **changed}
    made = gymnasium.make(name, disable_env_checker=True, **{**changed, **arguments})
    if isinstance(made.unwrapped, NewInterface):
        made.unwrapped.old.spec = made.spec
    return OldInterface(made)


def find_successor(id: str) -> tuple[str, dict[str, Any]]:
    """The id and arguments that make this environment today; `id` alone where nothing does."""
    arguments: dict[str, Any] = {}
    module, colon, name = id.rpartition(":")
    name = get_env_id(*parse_env_id(name))  # its own spelling of -v0001 is -v1
    if name not in gymnasium.registry:
        with contextlib.suppress(ImportError):  # the Atari games, where they are installed
            gymnasium.register_envs(importlib.import_module("ale_py"))
    for part, meaning in _VARIANTS.items():
        if part in name and name not in gymnasium.registry:
            name, arguments = name.replace(part, ""), {**arguments, **meaning}
    if name == "CartPole-v0":
        name, arguments = "CartPole-v1", {"max_episode_steps": 200}  # its only difference
    namespace, stem, _ = parse_env_id(name)
    newest = find_highest_version(namespace, stem)
    if name not in gymnasium.registry and newest is not None:
        name = get_env_id(namespace, stem, newest)
    return (module + colon + name, arguments) if name in gymnasium.registry else (id, {})


def describe_make(name: str, arguments: dict[str, Any]) -> str:
    """The call of gymnasium.make as a person would write it."""
    return (
        f"gymnasium.make({', '.join([repr(name), *(f'{k}={v!r}' for k, v in arguments.items())])})"
    )
