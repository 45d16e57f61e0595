"""Run directories: where they are, what lies in them, their status."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasrl_runner.errors import RunError
from kerasrl_runner.files.atomic import write_json, write_text

RUNNING, FINISHED, INTERRUPTED, FAILED = "running", "finished", "interrupted", "failed"


@dataclass(frozen=True)
class RunDirectory:
    """The outputs of one run. `run.json` is only ever replaced as a whole."""

    path: Path

    @property
    def preset_file(self) -> Path:
        return self.path / "preset.toml"

    @property
    def log_file(self) -> Path:
        return self.path / "log.csv"

    @property
    def evaluation_file(self) -> Path:
        return self.path / "evaluation.csv"

    @property
    def weights_file(self) -> Path:
        return self.path / "weights.h5"

    @property
    def best_file(self) -> Path:
        return self.path / "best.h5"

    def record(self) -> dict[str, Any]:
        """What run.json says. Raises RunError where it is missing or broken."""
        try:
            record = json.loads((self.path / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"{self.path} is no run directory: run.json: {error}.") from error
        if not isinstance(record, dict):
            raise RunError(f"{self.path}/run.json: expected a JSON object.")
        return record

    def write(self, record: dict[str, Any]) -> None:
        """Replace run.json. Raises RunError where it cannot be written."""
        write_json(self.path / "run.json", record)


def runs_folder() -> Path:
    """Where runs are written: KERASRL_RUNS, or runs/ in the working folder."""
    return Path(os.environ.get("KERASRL_RUNS") or "runs")


def create_run(preset_name: str, preset_text: str, run_dir: Path | None) -> RunDirectory:
    """Make a run's own, empty folder with its preset.toml.

    Raises:
        RunError: `run_dir` exists and is not empty, or the folder cannot be written.
    """
    try:
        if run_dir is None:
            path = _new_folder(preset_name)
        else:
            path = run_dir
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise RunError(
                    f"the run directory {path} is not empty; expected a new or empty one."
                )
    except OSError as error:
        raise RunError(
            f"cannot make the run directory {error.filename}: {error.strerror}. Choose another "
            f"by --run-dir or KERASRL_RUNS."
        ) from error
    directory = RunDirectory(path)
    write_text(directory.preset_file, preset_text)
    return directory


def _new_folder(preset_name: str) -> Path:
    runs_folder().mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    number = 1
    while True:
        suffix = "" if number == 1 else f"-{number}"
        path = runs_folder() / f"{preset_name}-{stamp}{suffix}"
        try:
            path.mkdir()
            return path
        except FileExistsError:
            number += 1


def all_runs() -> Iterator[tuple[RunDirectory, dict[str, Any]]]:
    """Every readable run of the runs folder with its record, newest first."""
    found = []
    folder = runs_folder()
    if folder.is_dir():
        for path in folder.iterdir():
            try:
                record = RunDirectory(path).record()
            except RunError:
                continue
            found.append((str(record.get("started", "")), path.name, path, record))
    for _, _, path, record in sorted(found, key=lambda entry: entry[:2], reverse=True):
        yield RunDirectory(path), record


def find_run(run: str) -> RunDirectory:
    """A run by its directory, its name, a unique prefix of it, or "latest".

    Raises:
        RunError: none or several answer to it.
    """
    if os.path.isdir(run):
        directory = RunDirectory(Path(run))
        directory.record()
        return directory
    runs = [directory for directory, _ in all_runs()]
    if run == "latest" and runs:
        return runs[0]
    matches = [directory for directory in runs if directory.path.name.startswith(run)]
    exact = [directory for directory in matches if directory.path.name == run]
    if len(exact or matches) == 1:
        return (exact or matches)[0]
    names = ", ".join(directory.path.name for directory in matches or runs) or "none"
    raise RunError(
        f'"{run}" names {len(matches)} runs of {runs_folder()}; expected one. '
        f"{'These match' if matches else 'There are'}: {names}."
    )


def newest_finished(preset_name: str | None = None) -> RunDirectory | None:
    """The newest finished run, of one preset if it is named."""
    for directory, record in all_runs():
        if record.get("status") == FINISHED and preset_name in (None, record.get("preset")):
            return directory
    return None
