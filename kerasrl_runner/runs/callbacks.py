"""Listeners of a run: the CSV log, the progress line, the clock."""

from __future__ import annotations

import contextlib
import csv
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from kerasrl_runner.engines.learner import EpisodeEvent, Listener, StepEvent
from kerasrl_runner.errors import RunError


class CsvFile:
    """A CSV file that grows by whole rows, each on its way to the disk as soon as it is known.

    Raises:
        RunError: a row cannot be written (a full disk).
    """

    def __init__(self, path: Path, header: Sequence[str]) -> None:
        """Begin the file, or go on where an earlier process of the same run left it."""
        self._path = path
        with self._explained():
            self._file = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        if self._file.tell() == 0:
            self.write(header)

    def write(self, row: Sequence[Any]) -> None:
        """Add a row."""
        with self._explained():
            self._writer.writerow(row)
            self._file.flush()

    def synced_size(self) -> int:
        """The file's length in bytes, all of them on disk."""
        with self._explained():
            os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        with self._explained():
            self._file.close()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunError(
                f"cannot write {self._path}: {error.strerror or error}. Free some space, or make "
                f"the file writable."
            ) from error


class CsvLog(Listener):
    """log.csv: a row an episode."""

    FIELDS = ("episode", "env_steps", "return", "length", "end", "epsilon", "loss")

    def __init__(self, file: CsvFile) -> None:
        self._file = file

    def on_episode(self, event: EpisodeEvent) -> None:
        self._file.write(
            [
                event.episode,
                event.env_steps,
                event.episode_return,
                event.episode_length,
                "terminated" if event.terminated else "truncated",
                "" if event.epsilon is None else event.epsilon,
                "" if event.loss is None else event.loss,
            ]
        )

    def close(self) -> None:
        self._file.close()


class Progress(Listener):
    """One line on stderr that a person can follow; nothing where stderr is no terminal."""

    def __init__(self, env_steps: int, done: int) -> None:
        self._bar = tqdm(
            total=env_steps,
            initial=done,
            unit=" steps",
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
        )
        self._returns: deque[float] = deque(maxlen=20)

    def on_step(self, event: StepEvent) -> None:
        self._bar.update(1)

    def on_episode(self, event: EpisodeEvent) -> None:
        if self._bar.disable:
            return
        self._returns.append(event.episode_return)
        shown: dict[str, Any] = {
            "episodes": event.episode + 1,
            "mean return of 20": f"{sum(self._returns) / len(self._returns):.1f}",
        }
        if event.epsilon is not None:
            shown["epsilon"] = f"{event.epsilon:.3f}"
        self._bar.set_postfix(shown, refresh=False)

    def close(self) -> None:
        self._bar.close()


class TrainingClock(Listener):
    """Seconds and env steps of training alone.

    It starts after the first learn step, which builds the vendor's graph, and stands still while
    it is paused for an evaluation.
    """

    def __init__(self) -> None:
        self._started: float | None = None
        self._first = self._last = 0
        self._now = 0.0
        self._paused = 0.0  # seconds before the last step
        self._pause = 0.0  # seconds after it

    def on_step(self, event: StepEvent) -> None:
        self._now = time.perf_counter()
        self._paused, self._pause = self._paused + self._pause, 0.0
        self._last = event.env_steps
        if self._started is None and event.loss is not None:
            self._started, self._first = self._now, event.env_steps

    def pause(self, seconds: float) -> None:
        """Leave out `seconds` that just went by, once a further step was taken."""
        if self._started is not None:
            self._pause += seconds

    @property
    def env_steps_per_second(self) -> float | None:
        """None before two learn steps were seen."""
        if self._started is None or self._last == self._first:
            return None
        return (self._last - self._first) / (self._now - self._started - self._paused)
