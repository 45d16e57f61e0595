"""Greedy episodes beside the training, in an environment, seeds and a loop of their own.

A test inside keras-rl's fit disturbs the training (docs/defects.md, D18b).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kerasrl_runner.engines.greedy import Score, play
from kerasrl_runner.engines.learner import Learner, Listener, StepEvent
from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.files.run_record import Best
from kerasrl_runner.preset.schema import Evaluate
from kerasrl_runner.runs.callbacks import CsvFile, TrainingClock


@dataclass
class Evaluation(Listener):
    """Evaluates every so many env steps, keeps the best weights, may stop the training."""

    FIELDS = ("env_steps", "mean_return", "std_return", "episodes", "best")

    settings: Evaluate
    learner: Learner
    environment: KerasRLEnvironment
    clock: TrainingClock
    log: CsvFile
    save_best: Callable[[int, Score], None]
    best: Best | None = None  # the evaluation whose weights best.h5 holds

    def __post_init__(self) -> None:
        self.environment.nb_max_episode_steps = self.settings.nb_max_episode_steps

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: JSON."""
        return {
            "best": self.best.model_dump() if self.best else None,
            "episode": self.environment.episode,
            "env_steps": self.environment.env_steps,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.best = None if state["best"] is None else Best(**state["best"])
        self.environment.episode = int(state["episode"])
        self.environment.env_steps = int(state["env_steps"])

    def on_step(self, event: StepEvent) -> None:
        if event.env_steps % self.settings.every_steps == 0:
            self._evaluate(event.env_steps)

    def evaluate_last_step(self) -> None:
        """Evaluate after a run's last step, unless `on_step` did.

        No checkpoint knows of it, since it is none of a run's that goes on to more steps.
        """
        if self.learner.env_steps % self.settings.every_steps:
            self._evaluate(self.learner.env_steps)

    @property
    def goal_reached(self) -> bool:
        """Whether the return at which the training ends was reached."""
        goal = self.settings.stop_at_return
        return goal is not None and self.best is not None and self.best.mean_return >= goal

    def close(self) -> None:
        self.log.close()

    def _evaluate(self, env_steps: int) -> None:
        score = play(
            self.environment,
            self.learner.q_values,
            self.learner.window_length,
            self.settings.episodes,
            stop=lambda: self.learner.stop_training,
        )
        if score is not None:
            self._note(env_steps, score)
        self.clock.leave_out()

    def _note(self, env_steps: int, score: Score) -> None:
        # Of equal scores the later one's weights have seen more.
        is_best = self.best is None or score.mean_return >= self.best.mean_return
        # The row comes first, so that best.h5 always belongs to one, whatever happens between.
        self.log.write(
            [env_steps, score.mean_return, score.std_return, len(score.episodes), int(is_best)]
        )
        if is_best:
            self.save_best(env_steps, score)
            self.best = Best(mean_return=score.mean_return, env_steps=env_steps)
        if self.goal_reached:
            self.learner.stop_training = True
