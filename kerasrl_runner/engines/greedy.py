"""Greedy episodes, and the score that they make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasrl_runner.environments.adapter import KerasRLEnvironment


@dataclass(frozen=True)
class Episode:
    """One episode of the greedy policy, in the environment's own reward."""

    episode_return: float
    episode_length: int  # env steps
    seed: int | None

    @classmethod
    def of(cls, environment: KerasRLEnvironment) -> Episode:
        """The one that was just played there."""
        return cls(environment.episode_return, environment.episode_length, environment.episode_seed)


@dataclass(frozen=True)
class Score:
    """Mean and standard deviation of undiscounted returns over episodes, and those episodes."""

    episodes: tuple[Episode, ...]

    @property
    def mean_return(self) -> float:
        return float(np.mean([episode.episode_return for episode in self.episodes]))

    @property
    def std_return(self) -> float:
        return float(np.std([episode.episode_return for episode in self.episodes]))


def best_action(q_values: np.ndarray, legal: np.ndarray | None) -> int:
    """The action of the highest value, [A], among the `legal` ones, bool [A]; None is all."""
    return int(np.argmax(q_values if legal is None else np.where(legal, q_values, -np.inf)))


def play(
    environment: KerasRLEnvironment,
    q_values: Callable[[list[Any]], np.ndarray],
    window_length: int,
    episodes: int,
    stop: Callable[[], bool] = lambda: False,
) -> Score | None:
    """Play greedily; touches nothing but `environment`. None where `stop` cut it short.

    Args:
        q_values: state, a list of `window_length` observations -> Q values [A].
    """
    played = []
    for _ in range(episodes):
        observation = environment.reset()
        state = [np.zeros_like(observation)] * (window_length - 1) + [observation]
        episode_over = False
        while not episode_over:
            if stop():
                return None
            action = best_action(q_values(state), environment.legal_actions)
            observation, _, episode_over, _ = environment.step(action)
            state = [*state[1:], observation]
        played.append(Episode.of(environment))
    return Score(tuple(played))
