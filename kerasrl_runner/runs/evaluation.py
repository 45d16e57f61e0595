"""Greedy episodes beside the training: their own environment, seeds and loop (D18b)."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.parts.memory import blank
from kerasrl_runner.preset.schema import Evaluate
from kerasrl_runner.runs.callbacks import TrainingClock
from kerasrl_runner.runs.events import Listener, StepEvent


@dataclass(frozen=True)
class Episode:
    """One episode of the greedy policy, in the environment's own reward."""

    episode_return: float
    episode_length: int  # env steps
    seed: int | None


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
        state = [blank(observation)] * (window_length - 1) + [observation]
        episode_over = False
        while not episode_over:
            if stop():
                return None
            action = int(np.argmax(q_values(state)))
            observation, _, episode_over, _ = environment.step(action)
            state = [*state[1:], observation]
        played.append(
            Episode(
                environment.episode_return, environment.episode_length, environment.episode_seed
            )
        )
    return Score(tuple(played))


class Evaluation(Listener):
    """Evaluates every so many env steps, keeps the best weights, may stop the training."""

    def __init__(
        self,
        settings: Evaluate,
        last_step: int,
        agent: Any,
        environment: KerasRLEnvironment,
        clock: TrainingClock,
        log_file: Path,
        save_best: Callable[[int, Score], None],
    ) -> None:
        self.best: tuple[int, Score] | None = None
        self._settings = settings
        self._last_step = last_step
        self._agent = agent
        self._environment = environment
        self._clock = clock
        self._save_best = save_best
        environment.nb_max_episode_steps = settings.nb_max_episode_steps
        self._file = log_file.open("w", newline="", encoding="utf-8")
        self._log = csv.writer(self._file)
        self._log.writerow(["env_steps", "mean_return", "std_return", "episodes", "best"])

    def on_step(self, event: StepEvent) -> None:
        if event.env_steps % self._settings.every_steps and event.env_steps != self._last_step:
            return
        started = time.perf_counter()
        score = play(
            self._environment,
            self._agent.compute_q_values,
            self._agent.memory.window_length,
            self._settings.episodes,
            stop=lambda: self._agent.stop_training,
        )
        if score is not None:
            self._take(event.env_steps, score)
        self._clock.pause(time.perf_counter() - started)

    def close(self) -> None:
        self._file.close()
        self._environment.close()

    def _take(self, env_steps: int, score: Score) -> None:
        # Of equal scores the later one's weights have seen more.
        is_best = self.best is None or score.mean_return >= self.best[1].mean_return
        if is_best:
            self.best = (env_steps, score)
            self._save_best(env_steps, score)
        self._log.writerow(
            [env_steps, score.mean_return, score.std_return, len(score.episodes), int(is_best)]
        )
        self._file.flush()
        wanted = self._settings.stop_at_return
        if wanted is not None and score.mean_return >= wanted:
            self._agent.stop_training = True
