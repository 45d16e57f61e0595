"""Small real Gymnasium environments for the tests, such as "gyms:Constant-v0"."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces


class Constant(gymnasium.Env):
    """One observation, one reward, no end of its own."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}
    observation_space: spaces.Space = spaces.Box(0, 1, (1,), np.float32)
    action_space: spaces.Space = spaces.Discrete(2)

    def __init__(self, reward: float = 1.0, render_mode: str | None = None) -> None:
        self.reward = reward
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self.observe(), {}

    def step(self, action: int) -> Any:
        return self.observe(), self.reward, False, False, {}

    def observe(self) -> Any:
        return np.ones(1, np.float32)


class Trail(Constant):
    """Every observation is unique, [episode, step], and every transition is written down.

    An episode terminates after `terminates` steps or is truncated after `truncates`.
    """

    observation_space = spaces.Box(0, np.inf, (2,), np.float32)

    def __init__(self, terminates: int | None = None, truncates: int | None = None) -> None:
        super().__init__()
        self.terminates, self.truncates = terminates, truncates
        self.episode, self.length = 0, 0
        # (observation, action, reward, next observation, terminated), observations as tuples
        self.transitions: list[tuple[Any, ...]] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.episode, self.length = self.episode + 1, 0
        return super().reset(seed=seed)

    def step(self, action: int) -> Any:
        before = tuple(self.observe())
        self.length += 1
        reward = 100.0 * self.episode + self.length
        terminated = self.length == self.terminates
        truncated = self.length == self.truncates
        after = tuple(self.observe())
        self.transitions.append((before, int(action), reward, after, terminated))
        return self.observe(), reward, terminated, truncated, {}

    def observe(self) -> Any:
        return np.array([self.episode, self.length], np.float32)


class Faulty(Constant):
    """At env step `at`, counted from 1 over all episodes, raises `fault`, if it is an exception, or
    returns other values: {"reward": "a lot"}."""

    def __init__(
        self, fault: BaseException | dict[str, Any], at: int = 1, terminates: int | None = None
    ) -> None:
        super().__init__()
        self.fault, self.at, self.terminates = fault, at, terminates
        self.steps = self.length = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.length = 0
        return super().reset(seed=seed)

    def step(self, action: int) -> Any:
        self.steps += 1
        self.length += 1
        names = ("observation", "reward", "terminated", "truncated", "info")
        values = dict(zip(names, super().step(action), strict=True))
        values["terminated"] = self.length == self.terminates
        if self.steps == self.at:
            if isinstance(self.fault, BaseException):
                raise self.fault
            values |= self.fault
        return tuple(values.values())


class Informing(Constant):
    """Its info holds what ordinary environments put there, and a key that comes and goes."""

    def __init__(self) -> None:
        super().__init__()
        self.length = 0

    def step(self, action: int) -> Any:
        self.length += 1
        info: dict[str, Any] = {
            "action_mask": np.array([1, 0], np.int8),
            "episode": {"r": 1.0, "l": 5},
            "nothing": None,
            "text": "words",
        }
        if self.length % 2:
            info["odd"] = 1.0
        return self.observe(), self.reward, self.length % 5 == 0, False, info


class Masked(Constant):
    """Four actions, some of them legal; an illegal one ends the program.

    The observation is one-hot in the step of the episode, which says what is legal. `masks` are
    those of the steps in turn; an episode terminates after the last, with the mask `last`.
    """

    action_space = spaces.Discrete(4)

    def __init__(
        self,
        masks: tuple[Any, ...] = ([1, 0, 0, 1], [0, 1, 1, 0], [0, 0, 1, 0], [1, 1, 0, 1]),
        last: Any = (0, 0, 0, 0),
    ) -> None:
        super().__init__()
        self.masks = [*masks, last]
        self.observation_space = spaces.Box(0, 1, (len(self.masks),), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.length = 0
        observation, _ = super().reset(seed=seed)
        return observation, {"action_mask": self.masks[0]}

    def step(self, action: int) -> Any:
        assert self.masks[self.length][action], f"{action} is illegal in step {self.length}"
        self.length += 1
        mask = self.masks[self.length]
        over = self.length == len(self.masks) - 1
        return self.observe(), float(action), over, False, {"action_mask": mask}

    def observe(self) -> Any:
        return np.eye(len(self.masks), dtype=np.float32)[self.length]


class Rewards(Constant):
    """Pays the given rewards, in the given shape, and terminates after the last."""

    def __init__(self, rewards: tuple[float, ...], shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.rewards, self.shape = rewards, shape
        self.length = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.length = 0
        return super().reset(seed=seed)

    def step(self, action: int) -> Any:
        reward: Any = self.rewards[self.length]
        self.length += 1
        if self.shape:
            reward = np.full(self.shape, reward, np.float64)
        return self.observe(), reward, self.length == len(self.rewards), False, {}


class FromThree(Constant):
    """Actions 3 and 4; the observation is the one that was taken."""

    action_space = spaces.Discrete(2, start=3)
    observation_space = spaces.Box(0, 4, (1,), np.float32)

    def step(self, action: int) -> Any:
        return np.array([action], np.float32), 0.0, False, False, {}


class Started(Constant):
    """The first observation depends on the seed of `reset` alone."""

    def observe(self) -> Any:
        return self.np_random.random(1, np.float32)


class Saying(Constant):
    """Its space is Discrete(2), and its observation whatever is given."""

    observation_space = spaces.Discrete(2)

    def __init__(self, observation: Any) -> None:
        super().__init__()
        self.observation = observation

    def observe(self) -> Any:
        return self.observation


class Drawing(Constant):
    """Draws the given pictures, one after the other, and then the last again."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"]}

    def __init__(self, pictures: list[Any], render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        self.pictures = pictures

    def render(self) -> Any:
        return self.pictures.pop(0) if len(self.pictures) > 1 else self.pictures[0]


class Pair(Constant):
    """Observations of two arrays of unlike shapes."""

    observation_space = spaces.Tuple(
        (spaces.Box(0, 9, (2,), np.float32), spaces.Box(0, 9, (3,), np.float32))
    )

    def observe(self) -> Any:
        return np.full(2, 1, np.float32), np.full(3, 2, np.float32)


class Frames(Constant):
    """Pictures of bytes."""

    observation_space = spaces.Box(0, 255, (4, 4), np.uint8)

    def observe(self) -> Any:
        return np.full((4, 4), 7, np.uint8)


def _register() -> None:
    classes = (Constant, Trail, Faulty, Informing, Masked, Rewards, FromThree, Started, Saying,
               Drawing, Pair, Frames)  # fmt: skip
    for environment in classes:
        name = f"{environment.__name__}-v0"
        if name not in gymnasium.registry:
            gymnasium.register(name, environment, disable_env_checker=True, order_enforce=False)


_register()
