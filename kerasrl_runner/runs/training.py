"""One training run, from a preset to its run directory."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kerasrl_runner.build import build, build_environment, tensorflow_threads
from kerasrl_runner.environments.seeds import EVALUATION, check_seed
from kerasrl_runner.errors import RunnerError, UsageError, WeightsError, nearest
from kerasrl_runner.files.run_directory import (
    FAILED,
    FINISHED,
    INTERRUPTED,
    RUNNING,
    create_run,
)
from kerasrl_runner.files.weights_file import WeightsFile, write_weights
from kerasrl_runner.preset import Preset, preset_to_toml
from kerasrl_runner.runs.bridge import EventBridge
from kerasrl_runner.runs.callbacks import CsvLog, Progress, TrainingClock
from kerasrl_runner.runs.evaluation import Evaluation, Score
from kerasrl_runner.runs.events import Listener
from kerasrl_runner.runs.record import command, hardware, versions
from kerasrl_runner.runs.signals import stopping

ENGINES = ("compiled", "keras-rl")


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
    weights: str | None  # the last ones; None where they were lost to NaN before any were kept
    best: dict[str, Any] | None  # weights, mean_return, env_steps

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def train(
    preset: Preset,
    *,
    seed: int = 0,
    steps: int | None = None,
    engine: str = ENGINES[0],
    run_dir: Path | None = None,
    render: bool = False,
    progress: bool = False,
) -> FitResult:
    """Train a preset into a new run directory.

    Args:
        steps: env steps instead of the preset's `fit.nb_steps`.
        render: show the training in a window.
        progress: a progress line on stderr, where that is a terminal.

    Raises:
        RunnerError: for all that a user can cause; where training had begun, the run's status is
            `failed` and its best weights are kept.
    """
    _check(engine, steps, seed)
    run = _Run(preset, seed, steps or preset.fit.nb_steps, engine, run_dir, render, progress)
    return run.train()


def _check(engine: str, steps: int | None, seed: int) -> None:
    if engine not in ENGINES:
        raise UsageError(
            f'there is no engine "{engine}".{nearest(engine, list(ENGINES))} '
            f"Known: {', '.join(ENGINES)}."
        )
    if steps is not None and steps < 1:
        raise UsageError(f"--steps: expected 1 or more env steps, received {steps}.")
    check_seed(seed)


class _Run:
    """The parts of one training run while it lasts."""

    def __init__(
        self,
        preset: Preset,
        seed: int,
        steps: int,
        engine: str,
        run_dir: Path | None,
        render: bool,
        progress: bool,
    ) -> None:
        self.preset, self.seed, self.steps, self.engine = preset, seed, steps, engine
        self.environment, self.agent = build(preset, seed, engine, "human" if render else None)
        self.clock = TrainingClock()
        evaluation_environment = (
            build_environment(preset, seed, EVALUATION) if preset.evaluate.every_steps else None
        )
        # All that could be refused was refused: from here on there is something on disk.
        self.directory = create_run(preset.name, preset_to_toml(preset), run_dir)
        self.listeners: list[Listener] = [CsvLog(self.directory.log_file), self.clock]
        if progress:
            self.listeners.append(Progress(steps))
        self.evaluation = None
        if evaluation_environment is not None:
            self.evaluation = Evaluation(
                preset.evaluate,
                steps,
                self.agent,
                evaluation_environment,
                self.clock,
                self.directory.evaluation_file,
                self._save_best,
            )
            self.listeners.append(self.evaluation)
        self.bridge = EventBridge(self.agent, self.environment, self.listeners)
        self.interrupted = False
        self.best: dict[str, Any] | None = None
        self.started = time.perf_counter()
        self.record: dict[str, Any] = {
            "status": RUNNING,
            "command": command(),
            "preset": preset.name,
            "preset_folder": str(preset.folder) if preset.folder else None,
            "engine": engine,
            "seed": seed,
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "process": os.getpid(),
            "versions": versions(),
            "hardware": hardware(),
            "threads": tensorflow_threads(),
        }

    def train(self) -> FitResult:
        with stopping(self._stop):  # also while the weights are written
            self._write_record(RUNNING)
            status, saved = self._train()
        return self._result(status, saved)

    def _train(self) -> tuple[str, bool]:
        status, error = FAILED, None
        try:
            try:
                self.agent.fit(self.environment, self.steps, callbacks=[self.bridge], verbose=0)
            finally:
                self._close()
            status = INTERRUPTED if self.interrupted or self.agent.interrupted else FINISHED
        except KeyboardInterrupt:
            status = INTERRUPTED
        except RunnerError as failure:
            error = str(failure)
            raise
        except Exception as failure:
            error = f"{type(failure).__name__}: {failure}"
            raise
        finally:
            try:
                saved = self._save_last()
            finally:
                self._write_record(status, error)
        return status, saved

    def _close(self) -> None:
        for listener in self.listeners:
            listener.close()
        self.environment.close()

    def _stop(self) -> None:
        self.interrupted = True
        self.agent.stop_training = True

    def _save_best(self, env_steps: int, score: Score) -> None:
        self.best = {
            "weights": str(self.directory.best_file),
            "mean_return": score.mean_return,
            "env_steps": env_steps,
        }
        self._write_weights(self.directory.best_file, env_steps, score)

    def _save_last(self) -> bool:
        """Whether the last weights could be kept; diverged ones never replace anything."""
        try:
            self._write_weights(self.directory.weights_file, self.agent.step, None)
        except WeightsError:
            return self.directory.weights_file.exists()
        return True

    def _write_weights(self, path: Path, env_steps: int, score: Score | None) -> None:
        exported = self.agent.exported_weights()
        attributes: dict[str, Any] = {
            **exported.attributes,
            "preset": preset_to_toml(self.preset),
            "engine": self.engine,
            "seed": self.seed,
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

    def _write_record(self, status: str, error: str | None = None) -> None:
        self.record.update(
            status=status,
            error=error,
            env_steps=self.agent.step,
            episodes=self.bridge.episodes,
            wall_seconds=time.perf_counter() - self.started,
            env_steps_per_second=self.clock.env_steps_per_second,
            best=self.best,
        )
        self.directory.write(self.record)

    def _result(self, status: str, saved: bool) -> FitResult:
        return FitResult(
            run=str(self.directory.path),
            status=status,
            preset=self.preset.name,
            engine=self.engine,
            seed=self.seed,
            env_steps=self.agent.step,
            episodes=self.bridge.episodes,
            wall_seconds=self.record["wall_seconds"],
            env_steps_per_second=self.record["env_steps_per_second"],
            weights=str(self.directory.weights_file) if saved else None,
            best=self.best,
        )
