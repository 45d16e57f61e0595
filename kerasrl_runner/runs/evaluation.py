"""Greedy episodes beside the training, in an environment, seeds and a loop of their own.

A test inside keras-rl's fit disturbs the training (docs/defects.md, D18b).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kerasrl_runner.engines.greedy import Score, play
from kerasrl_runner.engines.learner import Learner, Listener, StepEvent
from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.files.run_record import Best
from kerasrl_runner.preset.schema import Evaluate
from kerasrl_runner.runs.callbacks import CsvFile, TrainingClock


class Evaluation(Listener):
    """Evaluates every so many env steps, keeps the best weights, may stop the training."""

    FIELDS = ("env_steps", "mean_return", "std_return", "episodes", "best")

    def __init__(
        self,
        settings: Evaluate,
        learner: Learner,
        environment: KerasRLEnvironment,
        clock: TrainingClock,
        log: CsvFile,
        save_best: Callable[[int, Score], None],
    ) -> None:
        self.best: Best | None = None  # The evaluation whose weights best.h5 holds.
        self._log = log
        self._settings = settings
        self._learner = learner
        self._environment = environment
        self._clock = clock
        self._save_best = save_best
        environment.nb_max_episode_steps = settings.nb_max_episode_steps

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: JSON."""
        return {
            "best": self.best.model_dump() if self.best else None,
            "episode": self._environment.episode,
            "env_steps": self._environment.env_steps,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.best = None if state["best"] is None else Best(**state["best"])
        self._environment.episode = int(state["episode"])
        self._environment.env_steps = int(state["env_steps"])

    def on_step(self, event: StepEvent) -> None:
        if event.env_steps % self._settings.every_steps == 0:
            self._evaluate(event.env_steps)

    def evaluate_last_step(self) -> None:
        """Evaluate after a run's last step, unless `on_step` did.

        No checkpoint knows of it, since it is none of a run's that goes on to more steps.
        """
        if self._learner.env_steps % self._settings.every_steps:
            self._evaluate(self._learner.env_steps)

    @property
    def goal_reached(self) -> bool:
        """Whether the return at which the training ends was reached."""
        goal = self._settings.stop_at_return
        return goal is not None and self.best is not None and self.best.mean_return >= goal

    def close(self) -> None:
        self._log.close()

    def _evaluate(self, env_steps: int) -> None:
        score = play(
            self._environment,
            self._learner.q_values,
            self._learner.window_length,
            self._settings.episodes,
            stop=lambda: self._learner.stop_training,
        )
        if score is not None:
            self._note(env_steps, score)
        self._clock.leave_out()

    def _note(self, env_steps: int, score: Score) -> None:
        # Of equal scores the later one's weights have seen more.
        is_best = self.best is None or score.mean_return >= self.best.mean_return
        # The row comes first, so that best.h5 always belongs to one, whatever happens between.
        self._log.write(
            [env_steps, score.mean_return, score.std_return, len(score.episodes), int(is_best)]
        )
        if is_best:
            self._save_best(env_steps, score)
            self.best = Best(mean_return=score.mean_return, env_steps=env_steps)
        if self.goal_reached:
            self._learner.stop_training = True
