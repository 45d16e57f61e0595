"""One training run while it lasts: a learner, its listeners, and what is written of it."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kerasrl_runner.build import build_environment
from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.environments.seeds import EVALUATION
from kerasrl_runner.errors import CheckpointError, RunnerError, WeightsError
from kerasrl_runner.files.checkpoint_folder import Checkpoint
from kerasrl_runner.files.run_directory import (
    FAILED,
    FINISHED,
    INTERRUPTED,
    RUNNING,
    RunDirectory,
)
from kerasrl_runner.files.weights_file import WeightsFile, write_weights
from kerasrl_runner.preset import Preset, preset_to_toml
from kerasrl_runner.runs.callbacks import CsvFile, CsvLog, Progress, TrainingClock
from kerasrl_runner.runs.checkpoint import Checkpoints, cut_logs, restore, restore_evaluation
from kerasrl_runner.runs.evaluation import Evaluation, Score
from kerasrl_runner.runs.events import Listener, StepEvent
from kerasrl_runner.runs.learner import Learner, build_learner
from kerasrl_runner.runs.record import command, hardware, versions
from kerasrl_runner.runs.signals import stopping


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
    ) -> None:
        """
        Args:
            before: the run's record where it goes on; its checkpoint is restored here.

        Raises:
            CheckpointError: the checkpoint is missing, damaged or of another training.
        """
        self.settings, self.learner, self.directory = parts.settings, parts.learner, directory
        checkpoint = directory.checkpoint.read() if before else None
        if checkpoint:
            restore(checkpoint, self.learner)
            cut_logs(directory, checkpoint)
        self.best: dict[str, Any] | None = None
        self._interrupted = False
        self._started = time.perf_counter()
        self._wall_seconds = float((before or {}).get("wall_seconds") or 0.0)
        self._clock = TrainingClock()
        self._listeners = self._make_listeners(parts, checkpoint, progress)
        if before and before.get("best") and self.directory.best_file.exists():
            self.best = before["best"]
        self._record: dict[str, Any] = {
            "status": RUNNING,
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

    def train(self) -> FitResult:
        """Train to the end, to a signal or to a failure.

        Raises:
            RunnerError: for all that a user can cause; the status is then `failed`.
        """
        with stopping(self._stop):  # also while the weights are written
            self._write_record(RUNNING)
            status = self._train()
        return result_of(self.directory, self._record, status)

    def on_step(self, event: StepEvent) -> None:
        if self._interrupted:  # a signal may have come before the loop began
            self.learner.stop_training = True

    def _make_listeners(
        self, parts: Parts, checkpoint: Checkpoint | None, progress: bool
    ) -> list[Listener]:
        settings, directory = self.settings, self.directory
        logs = {directory.log_file.name: CsvFile(directory.log_file, CsvLog.FIELDS)}
        listeners: list[Listener] = [self, CsvLog(logs[directory.log_file.name]), self._clock]
        if progress:
            listeners.append(Progress(settings.steps, self.learner.env_steps))
        evaluation = None
        if parts.evaluation_environment is not None:
            log = CsvFile(directory.evaluation_file, Evaluation.FIELDS)
            logs[directory.evaluation_file.name] = log
            evaluation = Evaluation(
                settings.preset.evaluate,
                settings.steps,
                self.learner,
                parts.evaluation_environment,
                self._clock,
                log,
                self._save_best,
            )
            if checkpoint:
                restore_evaluation(checkpoint, evaluation)
            listeners.append(evaluation)
        if settings.checkpoint_every:
            checkpoints = Checkpoints(
                directory, self.learner, evaluation, logs, settings.checkpoint_every
            )
            if not checkpoint:
                checkpoints.write()  # from the first step on there is something to go on from
            listeners.append(checkpoints)  # the last: it keeps what the others made of an event
        return listeners

    def _train(self) -> str:
        status, error = FAILED, None
        try:
            try:
                self.learner.train(self.settings.steps, self._listeners)
            finally:
                self._close()
            stopped = self._interrupted or self.learner.interrupted
            status = INTERRUPTED if stopped else FINISHED
        except KeyboardInterrupt:
            status = INTERRUPTED
        except RunnerError as failure:
            error = str(failure)
            raise
        except Exception as failure:
            error = f"{type(failure).__name__}: {failure}"
            raise
        finally:
            done = {"env_steps": self.learner.env_steps, "episodes": self.learner.episodes}
            try:
                self._save_last()
            finally:
                self._write_record(status, error, **done)
        return status

    def _close(self) -> None:
        for listener in self._listeners:
            listener.close()
        self.learner.environment.close()

    def _stop(self) -> None:
        self._interrupted = True
        self.learner.stop_training = True

    def _save_best(self, env_steps: int, score: Score) -> None:
        self._write_weights(self.directory.best_file, env_steps, score)
        self.best = {
            "weights": str(self.directory.best_file),
            "mean_return": score.mean_return,
            "env_steps": env_steps,
        }

    def _save_last(self) -> None:
        """Write the last weights; those of the last checkpoint where they are NaN or infinite."""
        try:
            self._write_weights(self.directory.weights_file, self.learner.env_steps, None)
        except WeightsError:
            try:
                restore(self.directory.checkpoint.read(), self.learner)
            except CheckpointError:  # the run has none: what was written before stays
                return
            self._write_weights(self.directory.weights_file, self.learner.env_steps, None)

    def _write_weights(self, path: Path, env_steps: int, score: Score | None) -> None:
        exported = self.learner.exported_weights()
        attributes: dict[str, Any] = {
            **exported.attributes,
            "preset": preset_to_toml(self.settings.preset),
            "engine": self.settings.engine,
            "seed": self.settings.seed,
            "env_steps": env_steps,
            "versions": versions(),
        }
        if score is not None:
            attributes["score"] = {
                "mean_return": score.mean_return,
                "std_return": score.std_return,
                "episodes": len(score.episodes),
            }
        write_weights(path, WeightsFile(exported.layers, attributes), overwrite=True)

    def _write_record(self, status: str, error: str | None = None, **done: int) -> None:
        self._record.update(
            status=status,
            error=error,
            env_steps=done.get("env_steps", self.learner.env_steps),
            episodes=done.get("episodes", self.learner.episodes),
            wall_seconds=self._wall_seconds + time.perf_counter() - self._started,
            env_steps_per_second=self._clock.env_steps_per_second,
            best=self.best,
        )
        self.directory.write(self._record)


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
