"""The replay memory D of Mnih 2015, algorithm 1: a ring of observations, sampled uniformly.

Each observation is stored once. Entry i holds an observation with the action taken there, its
reward, and whether the episode terminated by it; the next observation stands in entry i + 1. The
last observation of an episode is a *closing entry*: it follows a transition and starts none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kerasrl_runner.reference.priorities import Priorities

Array = NDArray[Any]
REDRAWS = 16


class Batch(NamedTuple):
    """States [B, W, *observation] as stored, int64 and float64 [B], next states, bool [B].

    The next state is `steps` env steps on, [B] or 1; `place` [B] is where in the ring the
    transitions start, and `weight` [B] or 1 how much each counts. `next_legal`, bool [B, A], are
    the actions that are legal in the next states, None where all are.
    """

    state: Array
    action: Array
    reward: Array
    next_state: Array
    terminated: Array
    steps: Any = 1
    place: Any = None
    weight: Any = 1.0
    next_legal: Array | None = None


class StateWindow:
    """The last `length` observations of an episode, zeros before its start, as in keras-rl."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.reset()

    def reset(self) -> None:
        """Forget the episode."""
        self.observations: list[Array] = []

    def push(self, observation: ArrayLike) -> Array:
        """Take an observation [*observation]; the state [W, *observation], newest last."""
        newest = np.asarray(observation)  # [*observation]
        missing = self.length - len(self.observations)
        padding = [np.zeros_like(newest)] * missing  # missing times [*observation]
        self.observations = [*padding, *self.observations, newest][1:]
        return np.stack(self.observations) if self.length > 1 else newest[None]  # [W, *observation]


class ReplayMemory:
    """A preallocated ring of `capacity` entries; `size` counts them, closing ones included.

    With an `action_count` A it keeps which actions were legal at each observation. Index 0 is the
    oldest entry. ValueError for window_length < 1 or capacity < window_length + 2.
    """

    def __init__(
        self,
        capacity: int,
        observation_shape: Sequence[int],
        rng: np.random.Generator,
        window_length: int = 1,
        dtype: Any = np.float32,
        priorities: Priorities | None = None,
        action_count: int | None = None,
    ) -> None:
        if window_length < 1 or capacity < window_length + 2:
            raise ValueError(f"no window of {window_length} fits a memory of {capacity} entries")
        self.capacity, self.window_length, self.rng = capacity, window_length, rng
        self.priorities = priorities
        self.appended = 0  # entries ever stored
        self.episode_length = 0  # of the open episode
        self.observations: Array = np.zeros((capacity, *observation_shape), dtype)  # [N, *obs]
        self.actions: Array = np.zeros(capacity, np.int64)  # [N]
        self.rewards: Array = np.zeros(capacity, np.float64)  # [N]
        self.terminated: Array = np.zeros(capacity, np.bool_)  # [N]
        self.closing: Array = np.zeros(capacity, np.bool_)  # [N]
        self.age: Array = np.zeros(capacity, np.int64)  # [N], steps since its episode's start
        self.legal: Array | None = None
        if action_count is not None:
            self.legal = np.ones((capacity, action_count), np.bool_)  # [N, A]

    @property
    def size(self) -> int:
        """Entries held."""
        return min(self.appended, self.capacity)

    def append(
        self,
        observation: ArrayLike,
        action: int,
        reward: float,
        terminated: bool,
        legal: Array | None = None,
    ) -> None:
        """Store an observation [*observation], the action taken there, its reward and its end.

        A memory with an `action_count` keeps the `legal` actions, bool [A] or all, as well.
        """
        i = self.appended % self.capacity
        self.observations[i] = observation  # [*observation]
        self.actions[i] = action
        self.rewards[i] = reward
        self.terminated[i] = terminated
        self.closing[i] = False
        self.age[i] = self.episode_length
        if self.legal is not None:
            self.legal[i] = True if legal is None else legal  # [A]
        self.appended += 1
        self.episode_length += 1
        if self.priorities:
            self.priorities.append(self.appended, self.closing)

    def end_episode(self, observation: ArrayLike, legal: Array | None = None) -> None:
        """Store the last observation of an episode; ValueError when no episode is open."""
        if self.episode_length == 0:
            raise ValueError("no open episode: append a transition before end_episode")
        self.append(observation, 0, 0.0, False, legal)
        self.closing[(self.appended - 1) % self.capacity] = True
        self.episode_length = 0

    def sample(
        self,
        batch_size: int,
        indices: ArrayLike | None = None,
        *,
        n_steps: int = 1,
        gamma: float = 1.0,
    ) -> Batch:
        """Draw transitions with replacement, or take those that start at `indices` [B].

        Uniformly, or by their priorities if there are some. A reward is that of up to `n_steps` env
        steps, discounted by `gamma`; of fewer where the episode or what is stored ends before.
        IndexError for an index that starts no transition, ValueError when there is none to draw.
        """
        # Once the ring is full, the windows of its oldest entries reach into overwritten ones.
        low = self.window_length - 1 if self.appended > self.capacity else 0
        high = self.size - 1
        if indices is None:
            at = self._draw(low, high, batch_size)  # [B]
        else:
            at = self._places(np.asarray(indices, np.int64))  # [B]
            if np.min(indices) < low or np.max(indices) >= high or self.closing[at].any():
                raise IndexError(f"not all of {indices} start a transition in [{low}, {high})")
        reward, last = self.rewards[at], at  # [B], [B]
        steps: Any = 1
        for k in range(1, n_steps):
            # Sutton & Barto 2018, eq. 7.1: R_1 + gamma R_2 + ... + gamma^(n-1) R_n
            goes_on = self._starts_step((at + k) % self.capacity) & (steps == k)  # [B]
            last = np.where(goes_on, (at + k) % self.capacity, last)  # [B]
            reward = reward + gamma**k * self.rewards[last] * goes_on  # [B]
            steps = steps + goes_on  # [B]
        state, next_state = self._windows(at), self._windows(last + 1)  # [B, W, *observation]
        actions, terminated = self.actions[at], self.terminated[last]  # [B], [B]
        weight = self.priorities.weights(at) if self.priorities else 1.0  # [B]
        next_legal = None
        if self.legal is not None:
            next_legal = self.legal.take(last + 1, axis=0, mode="wrap")  # [B, A]
        return Batch(state, actions, reward, next_state, terminated, steps, at, weight, next_legal)

    def _starts_step(self, at: Array) -> Array:
        """Whether what lies at the places [B] is an env step, and what followed it is stored."""
        return ~self.closing[at] & (at != (self.appended - 1) % self.capacity)  # [B]

    def _draw(self, low: int, high: int, batch_size: int) -> Array:
        """Places in the ring [B] of transitions whose index lies in [low, high)."""
        if self.priorities:
            return self.priorities.tree.find(self.rng.random(batch_size))  # [B]
        if high <= low:
            raise ValueError(f"no transition to sample among {self.size} entries")
        at = self._places(self.rng.integers(low, high, batch_size))  # [B]
        for _ in range(REDRAWS):
            rejected = self.closing[at].nonzero()[0]  # [number of rejected]
            if not rejected.size:
                return at
            at[rejected] = self._places(self.rng.integers(low, high, rejected.size))  # [rejected]
        rejected = self.closing[at].nonzero()[0]  # [rejected]
        every = self._places(np.arange(low, high))  # [high - low]
        starts = every[~self.closing[every]]  # [number of starts]
        if not starts.size:
            raise ValueError("no transition to sample: closing entries alone")
        at[rejected] = starts[self.rng.integers(0, starts.size, rejected.size)]  # [rejected]
        return at

    def _places(self, index: Array) -> Array:
        """Where in the ring the entries [B], counted from the oldest one, lie: [B]."""
        if self.appended <= self.capacity:
            return index
        return (index + self.appended) % self.capacity  # [B]

    def _windows(self, at: Array) -> Array:
        """The states [B, W, *observation] whose newest observation lies at [B], ring-wise."""
        if self.window_length == 1:
            return self.observations.take(at, axis=0, mode="wrap")[:, None]  # [B, 1, *observation]
        back = np.arange(self.window_length - 1, -1, -1)  # [W]
        windows = self.observations.take(at[:, None] - back, axis=0, mode="wrap")  # [B, W, *obs]
        # before the episode's start
        windows[back > self.age.take(at, mode="wrap")[:, None]] = 0  # [k, *observation]
        return windows
