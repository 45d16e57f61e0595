"""A run's weights files: the best, and the last good ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kerasrl_runner.engines.greedy import Score
from kerasrl_runner.engines.learner import Learner
from kerasrl_runner.errors import CheckpointError, TrainingDiverged, WeightsError, divergence_error
from kerasrl_runner.files.run_directory import RunDirectory
from kerasrl_runner.runs.checkpoint import restore
from kerasrl_runner.weights.file import WeightsFile, write_weights


@dataclass
class KeptWeights:
    """Writes best.h5 and weights.h5."""

    directory: RunDirectory
    learner: Learner
    attributes: dict[str, Any]  # what the files say of where they come from

    def save_best(self, env_steps: int, score: Score) -> None:
        """Replace best.h5. Raises RunError, and WeightsError where a weight is not finite."""
        self.directory.check_held()
        summary = {
            "mean_return": score.mean_return,
            "std_return": score.std_return,
            "episodes": len(score.episodes),
        }
        weights = self._describe(env_steps, score=summary)
        write_weights(self.directory.best_file, weights, overwrite=True)

    def save_last(self, failure: Exception | None) -> None:
        """Replace weights.h5; by those of the last checkpoint where the newest are no good.

        Raises:
            TrainingDiverged: they were no good, and `failure` did not say so.
            RunError: the file cannot be written.
        """
        self.directory.check_held()
        env_steps = self.learner.env_steps
        if not isinstance(failure, TrainingDiverged):
            try:
                self._write_last()
                return
            except WeightsError:
                failure = None
        try:
            restore(self.directory.checkpoint.read(), self.learner)
        except CheckpointError:  # The run has none: what was written before stays.
            pass
        else:
            self._write_last()
        if failure is None:
            raise divergence_error("a weight became NaN or infinite", env_steps)

    def _write_last(self) -> None:
        weights = self._describe(self.learner.env_steps)
        write_weights(self.directory.weights_file, weights, overwrite=True)

    def _describe(self, env_steps: int, **more: Any) -> WeightsFile:
        exported = self.learner.exported_weights()
        attributes = {**exported.attributes, **self.attributes, "env_steps": env_steps, **more}
        return WeightsFile(exported.layers, exported.config, attributes)
