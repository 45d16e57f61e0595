"""One training run while it lasts: a learner, its listeners, and what is written of it."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kerasrl_runner.engines import build_learner
from kerasrl_runner.engines.greedy import Score
from kerasrl_runner.engines.learner import Learner, Listener, StepEvent
from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.environments.make import build_environment
from kerasrl_runner.environments.seeds import EVALUATION
from kerasrl_runner.errors import EnvironmentFailed, RunnerError, TrainingDiverged
from kerasrl_runner.files.checkpoint import Checkpoint
from kerasrl_runner.files.run_directory import (
    FAILED,
    FINISHED,
    INTERRUPTED,
    RUNNING,
    RunDirectory,
)
from kerasrl_runner.preset import Preset, preset_to_toml
from kerasrl_runner.runs.callbacks import CsvFile, CsvLog, Progress, TrainingClock
from kerasrl_runner.runs.checkpoint import Checkpoints, cut_logs, restore, restore_evaluation
from kerasrl_runner.runs.evaluation import Evaluation
from kerasrl_runner.runs.failures import FirstFailure
from kerasrl_runner.runs.kept_weights import KeptWeights
from kerasrl_runner.runs.record import command, hardware, versions
from kerasrl_runner.runs.stopping import Stopping, without_signals


@dataclass(frozen=True)
class RunSettings:
    """What a run was asked to be."""

    preset: Preset
    seed: int
    engine: str
    steps: int  # env steps in all
    checkpoint_every: int  # env steps; 0: no checkpoints


@dataclass(frozen=True)
class FitResult:
    """What `fit` leaves. Paths are strings, so that it is JSON as it stands."""

    run: str
    status: str
    preset: str
    engine: str
    seed: int
    env_steps: int
    episodes: int
    wall_seconds: float
    env_steps_per_second: float | None  # training alone
    weights: str | None  # the last good ones
    best: dict[str, Any] | None  # weights, mean_return, env_steps

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Parts:
    """What a run is made of before there is anything on disk: all refusals happen here."""

    def __init__(self, settings: RunSettings, render: bool = False) -> None:
        """
        Raises:
            PresetError, EnvironmentFailed: the preset names what cannot be made.
        """
        self.settings = settings
        preset, seed = settings.preset, settings.seed
        self.learner: Learner = build_learner(
            preset, seed, settings.engine, "human" if render else None
        )
        self.evaluation_environment: KerasRLEnvironment | None = (
            build_environment(preset, seed, EVALUATION) if preset.evaluate.every_steps else None
        )


class Run(Listener):
    """Trains, and keeps the run directory true; its lock is held by the caller."""

    def __init__(
        self,
        parts: Parts,
        directory: RunDirectory,
        before: dict[str, Any] | None = None,
        progress: bool = False,
        stopping: Stopping = without_signals,
    ) -> None:
        """`before`: the run's record where it goes on, from its checkpoint."""
        self.settings, self.learner, self.directory = parts.settings, parts.learner, directory
        # Absolute, since an environment may change the working folder.
        self._files = RunDirectory(directory.path.absolute())
        origin = {
            "preset": preset_to_toml(self.settings.preset),
            "engine": self.settings.engine,
            "seed": self.settings.seed,
            "versions": versions(),
        }
        self._weights = KeptWeights(self._files, self.learner, origin)
        self._parts = parts
        self._before = before or {}
        self._progress = progress
        self._stopping = stopping
        self._listeners: list[Listener] = [self]
        self._evaluation: Evaluation | None = None
        self._stopped = False
        self._best: dict[str, Any] | None = None  # mean_return, env_steps
        self._started = time.perf_counter()
        self._clock = TrainingClock()
        self._record: dict[str, Any] = {}

    def train(self) -> FitResult:
        """Train to the end, to a signal or to a failure.

        Raises:
            RunnerError: for all that a user can cause. The status is then `failed`, unless the
                run could not even begin: then what was there before stays.
        """
        first, began = FirstFailure(), False
        with self._stopping(self._stop):  # also while the weights are written
            with first:
                self._begin()
                began = True
                self._train()
            stopped = self._stopped or first.interrupted or self.learner.interrupted
            done = {"env_steps": self.learner.env_steps, "episodes": self.learner.episodes}
            for listener in self._listeners:
                with first:
                    listener.close()
            if began:
                with first:
                    self._weights.save_last(first.failure)
                with first:
                    self._write_record(_status(first.failure, stopped), first.failure, **done)
            told = first.failure
            for environment in (self.learner.environment, self._parts.evaluation_environment):
                if environment is not None:
                    with first:
                        environment.close()  # the last, since it may hang
            status = _status(first.failure, stopped)
            if began and told is None and first.failure is not None:
                with first:
                    self._write_record(status, first.failure, **done)
        if status == FAILED:
            assert first.failure is not None
            raise self._with_the_way_on(first.failure)
        if not began:
            raise KeyboardInterrupt
        return result_of(self.directory, self._record, status)

    def on_step(self, event: StepEvent) -> None:
        if self._stopped:  # a signal may have come before the loop began
            self.learner.stop_training = True

    def _begin(self) -> None:
        """Put all in place; run.json comes last: where it is, there is something to go on from.

        Raises:
            CheckpointError: the checkpoint is missing, damaged or of another training.
            RunError: a file cannot be written.
        """
        checkpoint = None
        self._files.remove_leftovers()
        if self._before:
            checkpoint = self._files.checkpoint.read()
            restore(checkpoint, self.learner)
            cut_logs(self._files, checkpoint)
            self._best = self._weights.best()
        self._listen(checkpoint)
        self._record = {
            "command": command(),
            "preset": self.settings.preset.name,
            "preset_folder": str(self.settings.preset.folder or "") or None,
            "engine": self.settings.engine,
            "seed": self.settings.seed,
            "steps": self.settings.steps,
            "checkpoint_every": self.settings.checkpoint_every,
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "process": os.getpid(),
            "versions": versions(),
            "hardware": hardware(),
            "threads": self.learner.threads,
        }
        self._write_record(RUNNING)

    def _listen(self, checkpoint: Checkpoint | None) -> None:
        settings, files = self.settings, self._files
        logs = {files.log_file.name: CsvFile(files.log_file, CsvLog.FIELDS)}
        self._listeners += [CsvLog(logs[files.log_file.name]), self._clock]
        if self._progress:
            self._listeners.append(Progress(settings.steps, self.learner.env_steps))
        if self._parts.evaluation_environment is not None:
            log = CsvFile(files.evaluation_file, Evaluation.FIELDS)
            logs[files.evaluation_file.name] = log
            self._evaluation = Evaluation(
                settings.preset.evaluate,
                settings.steps,
                self.learner,
                self._parts.evaluation_environment,
                self._clock,
                log,
                self._save_best,
            )
            self._listeners.append(self._evaluation)
            if checkpoint:
                restore_evaluation(checkpoint, self._evaluation)
        if settings.checkpoint_every:
            checkpoints = Checkpoints(
                files, self.learner, self._evaluation, logs, settings.checkpoint_every
            )
            if not checkpoint:
                checkpoints.write()  # from the first step on there is something to go on from
            self._listeners.append(checkpoints)  # the last: it keeps what the others made of it

    def _train(self) -> None:
        # A run may have been killed between its last checkpoint and its end.
        reached = self._evaluation is not None and self._evaluation.reached
        if self.learner.env_steps < self.settings.steps and not reached:
            # What overflows shows in the loss or the Q values, and is told in better words.
            with np.errstate(over="ignore", invalid="ignore"):
                self.learner.train(self.settings.steps, self._listeners)

    def _stop(self) -> None:
        self._stopped = True
        self.learner.stop_training = True

    def _save_best(self, env_steps: int, score: Score) -> None:
        self._weights.save_best(env_steps, score)
        self._best = {"mean_return": score.mean_return, "env_steps": env_steps}

    def _write_record(self, status: str, failure: Exception | None = None, **done: int) -> None:
        explained = isinstance(failure, RunnerError)
        named = f"{type(failure).__name__}: {failure}"
        best = {"weights": str(self.directory.best_file), **self._best} if self._best else None
        before = float(self._before.get("wall_seconds") or 0.0)
        self._record |= {
            "status": status,
            "error": None if failure is None else str(failure) if explained else named,
            "env_steps": done.get("env_steps", self.learner.env_steps),
            "episodes": done.get("episodes", self.learner.episodes),
            "wall_seconds": before + time.perf_counter() - self._started,
            "env_steps_per_second": self._clock.env_steps_per_second,
            "best": best,
        }
        self._files.write(self._record)

    def _with_the_way_on(self, failure: Exception) -> Exception:
        """The failure, and how to go on where that could help."""
        hopeless = isinstance(failure, TrainingDiverged) or not isinstance(failure, RunnerError)
        begun = self._files.record_file.exists() and self._files.checkpoint.exists()
        if hopeless or not begun:
            return failure
        told = type(failure)(
            f"{failure} Then go on: kerasrl-run fit --resume {self.directory.path}"
        )
        return told.with_traceback(failure.__traceback__)


def _status(failure: Exception | None, stopped: bool) -> str:
    # Ctrl-C on a terminal reaches a simulator too: that it fails then is no failure.
    if failure is not None and not (stopped and isinstance(failure, EnvironmentFailed)):
        return FAILED
    return INTERRUPTED if stopped else FINISHED


def result_of(directory: RunDirectory, record: dict[str, Any], status: str) -> FitResult:
    """The result that a run's record tells."""
    return FitResult(
        run=str(directory.path),
        status=status,
        preset=record["preset"],
        engine=record["engine"],
        seed=record["seed"],
        env_steps=record["env_steps"],
        episodes=record["episodes"],
        wall_seconds=record["wall_seconds"],
        env_steps_per_second=record["env_steps_per_second"],
        weights=str(directory.weights_file) if directory.weights_file.exists() else None,
        best=record["best"],
    )
