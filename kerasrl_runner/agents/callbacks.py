"""The vendor's callbacks for scripts, corrected (D7b, D28, D29 of docs/defects.md)."""

from __future__ import annotations

import json
import math
import numbers
import re
from pathlib import Path
from typing import Any

import numpy as np

from kerasrl_runner.files.atomic import write_text
from kerasrl_runner.vendor import rl_callbacks
from kerasrl_runner.weights.file import check_suffix


class TrainIntervalLogger(rl_callbacks.TrainIntervalLogger):
    """rl.callbacks.TrainIntervalLogger that reports what is a number in an interval's first info,
    averaged over the steps that have it (D7, D7b)."""

    def on_step_end(self, step: int, logs: dict[str, Any]) -> None:
        info = logs["info"] if isinstance(logs["info"], dict) else {}
        known = {k: float(v) for k, v in info.items() if isinstance(v, numbers.Real)}
        names = known if self.info_names is None else self.info_names
        super().on_step_end(step, {**logs, "info": {k: known.get(k, math.nan) for k in names}})


class FileLogger(rl_callbacks.FileLogger):
    """rl.callbacks.FileLogger that writes strict JSON, whole or not at all (D28).

    An entry an episode, of any number of fits and tests, null where there is no number. Raises
    RunError where it cannot be written.
    """

    def on_train_begin(self, logs: Any) -> None:
        super().on_train_begin(logs)
        # Else the episode that the last fit left open is in the way.
        self.metrics.clear()
        self.starts.clear()

    def on_step_end(self, step: int, logs: dict[str, Any]) -> None:
        if "metrics" in logs:  # A test has none.
            super().on_step_end(step, logs)

    def on_episode_end(self, episode: int, logs: dict[str, Any]) -> None:
        # A test has them as nb_steps.
        super().on_episode_end(episode, {"nb_episode_steps": logs["nb_steps"], **logs})

    def save_data(self) -> None:
        """Write all episodes so far."""
        columns = {name: np.array(column).tolist() for name, column in self.data.items()}
        data = {k: [v if math.isfinite(v) else None for v in c] for k, c in columns.items()}
        write_text(Path(self.filepath), json.dumps(data))


class _PathTemplate(str):
    """A text whose `format` leaves braces that hold no field as they are."""

    def format(self, *_: object, **fields: object) -> str:
        return re.sub(
            r"{(\w+).*?}", lambda m: m[0].format(**fields) if m[1] in fields else m[0], self
        )


class ModelIntervalCheckpoint(rl_callbacks.ModelIntervalCheckpoint):
    """rl.callbacks.ModelIntervalCheckpoint for any path (D29).

    Raises:
        WeightsError: the file's suffix, before anything is trained.
    """

    def __init__(self, filepath: str | Path, interval: int, verbose: int = 0) -> None:
        check_suffix(Path(filepath))
        super().__init__(_PathTemplate(filepath), interval, verbose)
