"""One training run while it lasts: a learner, its listeners, and what is written of it."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np

from kerasrl_runner.engines import build_learner
from kerasrl_runner.engines.learner import EpisodeEvent, Learner, Listener, StepEvent
from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.environments.make import build_environment
from kerasrl_runner.environments.seeds import EVALUATION, TRAINING
from kerasrl_runner.errors import EnvironmentFailed, RunnerError, TrainingDiverged
from kerasrl_runner.files.checkpoint import Checkpoint, copy_file
from kerasrl_runner.files.run_directory import RunDirectory
from kerasrl_runner.files.run_record import RunRecord, Status, installed_versions
from kerasrl_runner.preset import preset_to_toml
from kerasrl_runner.runs.callbacks import CsvFile, CsvLog, Progress, TrainingClock
from kerasrl_runner.runs.checkpoint import (
    Checkpoints,
    check_files,
    explain_other_training,
    restore,
    restore_files,
)
from kerasrl_runner.runs.evaluation import Evaluation
from kerasrl_runner.runs.host import Console
from kerasrl_runner.runs.kept_weights import KeptWeights
from kerasrl_runner.runs.settings import RunSettings
from kerasrl_runner.weights.file import read_weights


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


class Attempts:
    """Runs one act after the other, whatever failed before, and keeps the first error.

    The errors after the first may only be its consequences.
    """

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.interrupted = False

    def run(self, act: Callable[[], None]) -> bool:
        """Run `act`; returns whether it came to its end."""
        try:
            act()
        except KeyboardInterrupt:
            self.interrupted = True
        except Exception as error:
            self.error = self.error or error
        else:
            return True
        return False


class Run(Listener):
    """One run: made of its settings, then executed in its run directory."""

    def __init__(self, settings: RunSettings, console: Console) -> None:
        """Make all that the run needs. What can be refused is refused here: nothing is on disk.

        Raises:
            PresetError, EnvironmentFailed: the preset names what cannot be made.
            WeightsError: the initial weights cannot be read, or are of another network.
        """
        self._settings = settings
        self._console = console
        preset, seed, path = settings.preset, settings.seed, settings.initial_weights
        initial_weights = None if path is None else read_weights(path)
        render_mode = "human" if console.render else None
        environment = build_environment(preset, seed, TRAINING, render_mode)
        self.learner: Learner = build_learner(preset, seed, settings.engine, environment)
        self.learner.prepare()
        if initial_weights is not None:
            self.learner.set_weights(initial_weights)
        self._evaluation_environment: KerasRLEnvironment | None = (
            build_environment(preset, seed, EVALUATION) if preset.evaluate.every_steps else None
        )
        if self._evaluation_environment is not None:  # The engine chose what its agent sees.
            self._evaluation_environment.encode = environment.encode
        self._evaluation: Evaluation | None = None
        self._clock = TrainingClock()
        self._listeners: list[Listener] = [self]
        self._stopped = False

    def execute(self, directory: RunDirectory, before: RunRecord | None = None) -> FitResult:
        """Train to the end, to a stop or to a failure, and write what came of it.

        Args:
            directory: the run's, whose lock the caller holds.
            before: the run's record, where it goes on from its checkpoint.

        Raises:
            RunnerError: for all that a user can cause. The status is then `failed`, unless the
                run could not even begin: then what was there before stays.
            KeyboardInterrupt: Ctrl-C that `console.stopping` left alone, or a second one. All
                that could be written was written before.
        """
        process = os.getpid()
        # Absolute, since an environment may change the working folder.
        self._files = RunDirectory(directory.path.absolute())
        attempts = Attempts()
        with self._console.stopping(self._stop):  # Also while the results are written.
            began = attempts.run(partial(self._begin, before))
            if began:
                attempts.run(self._train)
            if os.getpid() != process and attempts.error is not None:
                # The environment forked, and this is its child, which ends: the run is the
                # parent's. A child that called sys.exit ends with that exit code.
                cause = attempts.error.__cause__
                raise cause if isinstance(cause, SystemExit) else attempts.error
            for listener in self._listeners:
                attempts.run(listener.close)
            if began:
                self._update_record()
                attempts.run(lambda: self._weights.save_last(attempts.error))
                attempts.run(lambda: self._write_end(attempts))
            written_error = attempts.error
            # The environments are closed last, since that may hang.
            for environment in (self.learner.environment, self._evaluation_environment):
                if environment is not None:
                    attempts.run(environment.close)
            if began and attempts.error is not written_error:
                attempts.run(lambda: self._write_end(attempts))
        if attempts.error is not None and self._end_status(attempts) == "failed":
            raise self._add_advice(attempts.error, directory)
        if attempts.interrupted or self.learner.interrupted:
            raise KeyboardInterrupt
        return result_of(directory, self._record)

    def on_step(self, event: StepEvent) -> None:
        if self._stopped:  # The signal may have come before the training began.
            self.learner.stop_training = True

    def on_episode(self, event: EpisodeEvent) -> None:
        if self._has_all_episodes:
            self.learner.stop_training = True

    @property
    def _has_all_episodes(self) -> bool:
        limit = self._settings.preset.fit.nb_episodes
        return limit is not None and self.learner.episodes >= limit

    def _begin(self, before: RunRecord | None) -> None:
        """Put all in place; run.json comes last: a folder that has one has something to go on from.

        Raises:
            CheckpointError: the checkpoint is missing, damaged or of another training.
            RunError: a file cannot be written.
        """
        settings, files = self._settings, self._files
        checkpoint = None
        if before is not None:
            files.remove_leftovers()
            checkpoint = files.checkpoint.read()
            files.checkpoint.remove_leftovers()
            restore(checkpoint, self.learner)
            check_files(checkpoint, files)
            self._keep_best_of_last_step(before)
            # Killed from here on, the run goes on to these steps.
            changes = {"status": "running", "steps": settings.steps}
            files.write_record(before.model_copy(update=changes))
            restore_files(checkpoint, files)
        versions = installed_versions()
        origin = {
            "preset": preset_to_toml(settings.preset),
            "engine": settings.engine,
            "seed": settings.seed,
            "versions": versions,
        }
        self._weights = KeptWeights(files, self.learner, origin)
        self._add_listeners(checkpoint)
        earlier_versions = before.earlier_versions if before else []
        if before and before.versions != versions:
            earlier_versions = [*earlier_versions, before.versions]
        self._began = time.perf_counter() - (before.wall_seconds if before else 0.0)
        self._record = RunRecord(
            status="running",
            command=shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]]),
            preset=settings.preset.name,
            preset_folder=str(settings.preset.folder or "") or None,
            engine=settings.engine,
            seed=settings.seed,
            steps=settings.steps,
            checkpoint_every=settings.checkpoint_every,
            started=datetime.now(UTC).isoformat(timespec="microseconds"),
            versions=versions,
            earlier_versions=earlier_versions,
            hardware={
                "machine": platform.machine(),
                "system": platform.system(),
                "cores": os.cpu_count(),
            },
            threads=self.learner.threads,
        )
        self._update_record()
        files.write_record(self._record)

    def _keep_best_of_last_step(self, before: RunRecord) -> None:
        """Keep best weights that a run of more steps does not have, under another name.

        The evaluation at a run's last step is none of a longer run's, unless it is due there
        anyway: going on to more steps takes it back.
        """
        best, every = before.best, self._settings.preset.evaluate.every_steps
        if self._settings.steps == before.steps or best is None or best.env_steps % every == 0:
            return
        kept = self._files.path / f"best-{best.env_steps}.h5"
        if not kept.exists():
            copy_file(self._files.best_file, kept)
            self._console.say(
                f"The best weights so far (mean return {best.mean_return:.1f}) are of the former "
                f"last step, which is not evaluated in a run of more steps; kept as {kept.name}."
            )

    def _add_listeners(self, checkpoint: Checkpoint | None) -> None:
        settings, files = self._settings, self._files
        logs = {files.log_file.name: CsvFile(files.log_file, CsvLog.FIELDS)}
        self._listeners += [CsvLog(logs[files.log_file.name]), self._clock]
        if self._console.progress and sys.stderr.isatty():
            self._listeners.append(Progress(settings.steps, self.learner.env_steps))
        if self._evaluation_environment is not None:
            log = CsvFile(files.evaluation_file, Evaluation.FIELDS)
            logs[files.evaluation_file.name] = log
            self._evaluation = Evaluation(
                settings.preset.evaluate,
                self.learner,
                self._evaluation_environment,
                self._clock,
                log,
                self._weights.save_best,
            )
            self._listeners.append(self._evaluation)
            if checkpoint:
                with explain_other_training():
                    self._evaluation.restore(checkpoint.scalars["evaluation"])
        if settings.checkpoint_every:
            checkpoints = Checkpoints(
                files, self.learner, self._evaluation, logs, settings.checkpoint_every
            )
            if not checkpoint:
                checkpoints.write()  # From the first step on there is something to go on from.
            self._listeners.append(checkpoints)  # The last: it keeps what the others made of it.

    def _train(self) -> None:
        learner, steps, evaluation = self.learner, self._settings.steps, self._evaluation
        # A resumed run may have been killed between its last checkpoint and its end.
        at_end = learner.env_steps >= steps or (evaluation is not None and evaluation.goal_reached)
        at_end = at_end or self._has_all_episodes
        # What overflows shows in the loss or the Q values, which raise TrainingDiverged.
        with np.errstate(over="ignore", invalid="ignore"):
            if not at_end:
                learner.train(steps, self._listeners)
            at_end = learner.env_steps == steps
            if self._has_all_episodes:
                at_end, learner.stop_training = True, self._stopped  # it may evaluate once more
            if evaluation is not None and at_end and not learner.interrupted:
                evaluation.evaluate_last_step()

    def _stop(self) -> None:
        self._stopped = True
        self.learner.stop_training = True

    def _update_record(self) -> None:
        """Note how far the run has come."""
        changes = {
            "env_steps": self.learner.env_steps,
            "episodes": self.learner.episodes,
            "wall_seconds": time.perf_counter() - self._began,
            "env_steps_per_second": self._clock.env_steps_per_second,
            "best": self._evaluation.best if self._evaluation else None,
        }
        self._record = self._record.model_copy(update=changes)

    def _write_end(self, attempts: Attempts) -> None:
        error = attempts.error
        text = str(error) if isinstance(error, RunnerError) else f"{type(error).__name__}: {error}"
        changes = {"status": self._end_status(attempts), "error": None if error is None else text}
        self._record = self._record.model_copy(update=changes)
        self._files.check_held()
        self._files.write_record(self._record)

    def _end_status(self, attempts: Attempts) -> Status:
        interrupted = self._stopped or attempts.interrupted or self.learner.interrupted
        # Ctrl-C on a terminal reaches a simulator too: that it fails then is no failure.
        only_interrupted = interrupted and isinstance(attempts.error, EnvironmentFailed)
        if attempts.error is not None and not only_interrupted:
            return "failed"
        return "interrupted" if interrupted else "finished"

    def _add_advice(self, error: Exception, directory: RunDirectory) -> Exception:
        """The error, with how to go on where that could help."""
        is_hopeless = isinstance(error, TrainingDiverged) or not isinstance(error, RunnerError)
        has_begun = self._files.record_file.exists() and self._files.checkpoint.exists()
        if is_hopeless or not has_begun:
            return error
        advised = type(error)(f"{error} Then go on: kerasrl-run fit --resume {directory.path}")
        return advised.with_traceback(error.__traceback__)


def result_of(directory: RunDirectory, record: RunRecord) -> FitResult:
    """The result of a run, from its record."""
    best = None
    if record.best:
        best = {**record.best.model_dump(), "weights": str(directory.path / record.best.weights)}
    equal = "status preset engine seed env_steps episodes wall_seconds env_steps_per_second"
    return FitResult(
        run=str(directory.path),
        weights=str(directory.weights_file) if directory.weights_file.exists() else None,
        best=best,
        **record.model_dump(include=set(equal.split())),
    )
