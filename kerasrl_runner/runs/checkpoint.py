"""Everything a run needs to go on bit for bit, kept at the ends of episodes.

There the environment needs no keeping: episode k starts from a seed that is made of its number.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from kerasrl_runner.engines.learner import EpisodeEvent, Learner, Listener, StepEvent, TrainingState
from kerasrl_runner.errors import CheckpointError, WeightsError, divergence_error
from kerasrl_runner.files.atomic import explain_writing
from kerasrl_runner.files.checkpoint import Checkpoint, copy_file
from kerasrl_runner.files.run_directory import RunDirectory
from kerasrl_runner.runs.callbacks import CsvFile
from kerasrl_runner.runs.evaluation import Evaluation
from kerasrl_runner.weights.file import read_weights

# Env steps without an episode's end after which a warning is due, as many as an evaluation's
# episode may take.
LONG_EPISODE = 10_000


@dataclass
class Checkpoints(Listener):
    """Writes a checkpoint at the first episode's end after each `every` env steps."""

    directory: RunDirectory
    learner: Learner
    evaluation: Evaluation | None
    logs: dict[str, CsvFile]  # by file name; a run that goes on cuts them back
    every: int

    def __post_init__(self) -> None:
        self._next = self.learner.env_steps + self.every
        self._overdue = self.learner.env_steps + LONG_EPISODE

    def on_step(self, event: StepEvent) -> None:
        if event.env_steps == self._overdue:
            tqdm.write(
                f"No episode has ended for {LONG_EPISODE} env steps, and checkpoints are taken "
                f"where one ends: a crash would lose these steps. Set fit.nb_max_episode_steps.",
                file=sys.stderr,
            )

    def on_episode(self, event: EpisodeEvent) -> None:
        self._overdue = event.env_steps + LONG_EPISODE
        if event.env_steps >= self._next:
            self.write()
            self._next = event.env_steps + self.every

    def write(self) -> None:
        """Write a checkpoint now, between two episodes.

        Raises:
            RunError: it cannot be written; the one before is whole.
            TrainingDiverged: NaN or infinity would be kept; the one before stays.
        """
        self.directory.check_held()
        learner, evaluation = self.learner, self.evaluation
        state = learner.state()
        for name, array in state.arrays.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise divergence_error(f"{name} became NaN or infinite", learner.env_steps)
        environment = learner.environment
        scalars: dict[str, Any] = {
            "learner": state.scalars,
            "environment": {"episode": environment.episode, "env_steps": environment.env_steps},
            "evaluation": evaluation.state_dict() if evaluation else None,
            "logs": {name: log.synced_size() for name, log in self.logs.items()},
        }
        best = evaluation.best if evaluation else None
        self.directory.checkpoint.write(
            state.arrays,
            scalars,
            appended=learner.replay.appended,
            capacity=learner.replay.capacity,
            entries=learner.replay.entries,
            best=(best.env_steps, self.directory.best_file) if best else None,
        )


def restore(checkpoint: Checkpoint, learner: Learner) -> None:
    """Put the learner where the checkpoint was taken.

    Raises:
        CheckpointError: it is of another training.
    """
    scalars = checkpoint.scalars
    with explain_other_training():
        if checkpoint.entries:
            learner.replay.refill(checkpoint.appended, checkpoint.entries)
        learner.restore(TrainingState(checkpoint.arrays, scalars["learner"]))
        learner.environment.episode = int(scalars["environment"]["episode"])
        learner.environment.env_steps = int(scalars["environment"]["env_steps"])


@contextlib.contextmanager
def explain_other_training() -> Iterator[None]:
    """Raises CheckpointError where what was kept does not fit what is restored."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CheckpointError(
            f"the checkpoint is not of this training: {type(error).__name__}: {str(error)[:200]}. "
            f"Start the run anew."
        ) from error


def check_files(checkpoint: Checkpoint, directory: RunDirectory) -> None:
    """Check that `restore_files` has what it needs.

    Raises:
        CheckpointError: a log has lost what it held at the checkpoint, or the copy of the best
            weights is damaged.
    """
    for name, size in checkpoint.scalars["logs"].items():
        path = directory.path / name
        if not path.exists() or path.stat().st_size < size:
            raise CheckpointError(
                f"{path} is missing or shorter than at the checkpoint: {size} bytes were "
                f"expected. Put it back from a copy, or start the run anew."
            )
    if checkpoint.best_file is not None:
        try:
            read_weights(checkpoint.best_file)
        except WeightsError as error:
            raise CheckpointError(f"the checkpoint is damaged: {error}") from error


def restore_files(checkpoint: Checkpoint, directory: RunDirectory) -> None:
    """Put best.h5 and the logs back to the checkpoint: what came after it is done again.

    Raises:
        RunError: a file cannot be written.
    """
    # The best weights come first, so that they always belong to a row of evaluation.csv.
    if checkpoint.best_file is not None:
        copy_file(checkpoint.best_file, directory.best_file)
    else:
        directory.best_file.unlink(missing_ok=True)
    for name, size in checkpoint.scalars["logs"].items():
        path = directory.path / name
        with explain_writing(path):
            os.truncate(path, size)
