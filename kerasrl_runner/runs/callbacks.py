"""Listeners of a run: the CSV log, the progress line, the clock."""

from __future__ import annotations

import csv
import os
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from kerasrl_runner.engines.learner import EpisodeEvent, Listener, StepEvent
from kerasrl_runner.files.atomic import explain_writing


class CsvFile:
    """A CSV file that grows by whole rows, each on its way to the disk as soon as it is known.

    Raises:
        RunError: a row cannot be written (a full disk).
    """

    def __init__(self, path: Path, header: Sequence[str]) -> None:
        """Begin the file, or go on where an earlier process of the same run left it."""
        self._path = path
        with explain_writing(path):
            self._file = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        if self._file.tell() == 0:
            self.write(header)

    def write(self, row: Sequence[Any]) -> None:
        """Add a row."""
        with explain_writing(self._path):
            self._writer.writerow(row)
            self._file.flush()

    def synced_size(self) -> int:
        """The file's length in bytes, all of them on disk."""
        with explain_writing(self._path):
            os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        with explain_writing(self._path):
            self._file.close()


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
                event.epsilon,  # None makes an empty cell.
                event.loss,
            ]
        )

    def close(self) -> None:
        self._file.close()


class Progress(Listener):
    """One line on stderr that a person can follow."""

    def __init__(self, env_steps: int, done: int) -> None:
        self._bar = tqdm(total=env_steps, initial=done, unit=" steps", dynamic_ncols=True)
        self._returns: deque[float] = deque(maxlen=20)

    def on_step(self, event: StepEvent) -> None:
        self._bar.update(1)

    def on_episode(self, event: EpisodeEvent) -> None:
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
    """Seconds and env steps of training alone, from the first learn step on: that one builds the
    vendor's graph."""

    def __init__(self) -> None:
        self._has_learned = False
        self._env_steps = 0
        self._seconds = self._last = 0.0

    def on_step(self, event: StepEvent) -> None:
        before = self._last
        self.leave_out()
        if self._has_learned:
            self._env_steps += 1
            self._seconds += self._last - before
        self._has_learned = self._has_learned or event.loss is not None

    def leave_out(self) -> None:
        """Leave out the seconds since the last step."""
        self._last = time.perf_counter()

    @property
    def env_steps_per_second(self) -> float | None:
        """None before two learn steps were seen."""
        return self._env_steps / self._seconds if self._env_steps else None
