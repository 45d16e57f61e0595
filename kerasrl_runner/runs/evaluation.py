"""Greedy episodes beside the training: their own environment, seeds and loop (D18b)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from kerasrl_runner.engines.greedy import Score, play
from kerasrl_runner.engines.learner import Learner, Listener, StepEvent
from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.preset.schema import Evaluate
from kerasrl_runner.runs.callbacks import CsvFile, TrainingClock


class Evaluation(Listener):
    """Evaluates every so many env steps, keeps the best weights, may stop the training."""

    FIELDS = ("env_steps", "mean_return", "std_return", "episodes", "best")

    def __init__(
        self,
        settings: Evaluate,
        last_step: int,
        learner: Learner,
        environment: KerasRLEnvironment,
        clock: TrainingClock,
        log: CsvFile,
        save_best: Callable[[int, Score], None],
    ) -> None:
        self.best: float | None = None  # mean return
        self._log = log
        self._settings = settings
        self._last_step = last_step
        self._learner = learner
        self._environment = environment
        self._clock = clock
        self._save_best = save_best
        environment.nb_max_episode_steps = settings.nb_max_episode_steps

    def numbers(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        environment = self._environment
        counts = {"episode": environment.episode, "env_steps": environment.env_steps}
        return {"best": self.best, **counts}

    def restore(self, numbers: dict[str, Any]) -> None:
        """Go on from what `numbers` returned."""
        self.best = None if numbers["best"] is None else float(numbers["best"])
        self._environment.episode = int(numbers["episode"])
        self._environment.env_steps = int(numbers["env_steps"])

    def on_step(self, event: StepEvent) -> None:
        if event.env_steps % self._settings.every_steps and event.env_steps != self._last_step:
            return
        started = time.perf_counter()
        score = play(
            self._environment,
            self._learner.q_values,
            self._learner.window_length,
            self._settings.episodes,
            stop=lambda: self._learner.stop_training,
        )
        if score is not None:
            self._take(event.env_steps, score)
        self._clock.pause(time.perf_counter() - started)

    @property
    def reached(self) -> bool:
        """Whether the return at which the training ends was seen."""
        wanted = self._settings.stop_at_return
        return wanted is not None and self.best is not None and self.best >= wanted

    def close(self) -> None:
        self._log.close()

    def _take(self, env_steps: int, score: Score) -> None:
        # Of equal scores the later one's weights have seen more.
        is_best = self.best is None or score.mean_return >= self.best
        if is_best:
            self.best = score.mean_return
            self._save_best(env_steps, score)
        self._log.write(
            [env_steps, score.mean_return, score.std_return, len(score.episodes), int(is_best)]
        )
        if self.reached:
            self._learner.stop_training = True
