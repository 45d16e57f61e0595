"""Everything a run needs to go on bit for bit, kept at the ends of episodes.

There the environment needs no keeping: episode k starts from a seed that is made of its number.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

from kerasrl_runner.engines.learner import EpisodeEvent, Learner, Listener, StepEvent, TrainingState
from kerasrl_runner.errors import CheckpointError, RunError, diverged
from kerasrl_runner.files.checkpoint import Checkpoint
from kerasrl_runner.files.run_directory import RunDirectory
from kerasrl_runner.runs.callbacks import CsvFile
from kerasrl_runner.runs.evaluation import Evaluation

# Env steps after which an episode's end is missed: the cap of an evaluation's.
LONG_EPISODE = 10_000


class Checkpoints(Listener):
    """Writes a checkpoint at the first episode's end after each `every` env steps."""

    def __init__(
        self,
        directory: RunDirectory,
        learner: Learner,
        evaluation: Evaluation | None,
        logs: dict[str, CsvFile],
        every: int,
    ) -> None:
        """`logs` by file name: a run that goes on cuts them back to where they were."""
        self._folder = directory.checkpoint
        self._learner = learner
        self._evaluation = evaluation
        self._logs = logs
        self._every = every
        self._next = learner.env_steps + every
        self._overdue = learner.env_steps + LONG_EPISODE

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
            self._next = event.env_steps + self._every

    def write(self) -> None:
        """Write a checkpoint now, between two episodes.

        Raises:
            RunError: it cannot be written; the one before is whole.
            TrainingDiverged: there is NaN or infinity in what would be kept; so it is.
        """
        learner, environment = self._learner, self._learner.environment
        state = learner.state()
        for name, array in state.arrays.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise diverged(f"{name} became NaN or infinite", learner.env_steps)
        numbers: dict[str, Any] = {
            "learner": state.numbers,
            "environment": {"episode": environment.episode, "env_steps": environment.env_steps},
            "evaluation": self._evaluation.numbers() if self._evaluation else None,
            "logs": {name: log.synced_size() for name, log in self._logs.items()},
        }
        replay = learner.replay
        self._folder.write(state.arrays, numbers, replay.appended, replay.capacity, replay.entries)


def restore(checkpoint: Checkpoint, learner: Learner) -> None:
    """Put the learner where the checkpoint was taken.

    Raises:
        CheckpointError: it is of another training.
    """
    numbers = checkpoint.numbers
    with _of_this_training():
        if checkpoint.entries is not None:
            learner.replay.refill(checkpoint.appended, checkpoint.entries)
        learner.restore(TrainingState(checkpoint.arrays, numbers["learner"]))
        learner.environment.episode = int(numbers["environment"]["episode"])
        learner.environment.env_steps = int(numbers["environment"]["env_steps"])


def restore_evaluation(checkpoint: Checkpoint, evaluation: Evaluation) -> None:
    """Put the evaluation where the checkpoint was taken. Raises CheckpointError as `restore`."""
    with _of_this_training():
        evaluation.restore(checkpoint.numbers["evaluation"])


@contextlib.contextmanager
def _of_this_training() -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CheckpointError(
            f"the checkpoint is not of this training: {type(error).__name__}: {str(error)[:200]}. "
            f"Start the run anew."
        ) from error


def cut_logs(directory: RunDirectory, checkpoint: Checkpoint) -> None:
    """Cut the run's logs back to the checkpoint: what came after it is done again.

    Raises:
        CheckpointError: a log has lost what it held at the checkpoint.
    """
    sizes = checkpoint.numbers.get("logs")
    for path in (directory.log_file, directory.evaluation_file):
        size = sizes.get(path.name, 0) if isinstance(sizes, dict) else None
        if type(size) is not int or size < 0 or (size and not path.exists()):
            raise CheckpointError(f"{path} is missing, or the checkpoint does not know its length.")
        if not path.exists():
            continue
        if path.stat().st_size < size:
            raise CheckpointError(
                f"{path} is shorter than at the checkpoint: {size} bytes were expected. Put it "
                f"back from a copy, or start the run anew."
            )
        try:
            os.truncate(path, size)
        except OSError as error:
            raise RunError(
                f"cannot write {path}: {error.strerror}. Let it be written to."
            ) from error
