"""Run directories: where they are, what lies in them, their status."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasrl_runner.errors import RunError
from kerasrl_runner.files.atomic import leftovers, write_json, write_text
from kerasrl_runner.files.checkpoint import CheckpointFolder
from kerasrl_runner.files.lock import LOCK_NAME, is_locked, locked
from kerasrl_runner.files.places import runs_folder

RUNNING, FINISHED, INTERRUPTED, FAILED = "running", "finished", "interrupted", "failed"


@dataclass(frozen=True)
class RunDirectory:
    """The outputs of one run. `run.json` is only ever replaced as a whole."""

    path: Path

    @property
    def preset_file(self) -> Path:
        return self.path / "preset.toml"

    @property
    def record_file(self) -> Path:
        return self.path / "run.json"

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

    @property
    def checkpoint(self) -> CheckpointFolder:
        return CheckpointFolder(self.path / "checkpoint")

    def record(self) -> dict[str, Any]:
        """What run.json says; `interrupted` for a run that says `running` and has no process.

        Raises:
            RunError: it is missing or broken.
        """
        has_process = is_locked(self.path)  # asked first: a run may end while its record is read,
        try:
            record = json.loads(self.record_file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise RunError(
                f"{self.path} is no run directory: it has no run.json, which a run writes before "
                f"its first step. If one was stopped before that, begin it again."
            ) from error
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"{self.path} is no run directory: run.json: {error}.") from error
        if not isinstance(record, dict):
            raise RunError(f"{self.path}/run.json: expected a JSON object.")
        has_process = has_process or is_locked(self.path)  # and afterwards: or just have begun
        if record.get("status") == RUNNING and not has_process:
            record["status"] = INTERRUPTED
        return record

    def write(self, record: dict[str, Any]) -> None:
        """Replace run.json. Raises RunError where it cannot be written."""
        write_json(self.record_file, record)

    def leftovers(self) -> list[Path]:
        """What killed processes left; only who holds the lock knows that they are dead."""
        own = (self.preset_file, self.record_file, self.weights_file, self.best_file)
        return [leftover for path in own for leftover in leftovers(path)]

    def remove_leftovers(self) -> None:
        """Remove them. The checkpoint's go with the next one."""
        for leftover in self.leftovers():
            with contextlib.suppress(OSError):
                leftover.unlink()


@contextlib.contextmanager
def new_run(preset_name: str, preset_text: str, run_dir: Path | None) -> Iterator[RunDirectory]:
    """Make a run's own folder with its preset.toml, and hold its lock.

    A folder in which a run was stopped before it began counts as empty.

    Raises:
        RunError: `run_dir` exists and is not empty, or the folder cannot be written.
    """
    with _making_explained():
        path = _new_folder(preset_name) if run_dir is None else run_dir
        path.mkdir(parents=True, exist_ok=True)
        _check_unused(path)  # before the lock's file comes into it
    directory = RunDirectory(path)
    with locked(path):
        with _making_explained():
            _check_unused(path)  # another process may have been faster
            directory.remove_leftovers()
            directory.log_file.unlink(missing_ok=True)
            directory.evaluation_file.unlink(missing_ok=True)
            shutil.rmtree(directory.checkpoint.path, ignore_errors=True)
        write_text(directory.preset_file, preset_text)
        yield directory


@contextlib.contextmanager
def _making_explained() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(
            f"cannot make the run directory {error.filename}: {error.strerror}. Choose another "
            f"by --run-dir or KERASRL_RUNS."
        ) from error


def _check_unused(path: Path) -> None:
    """Raises RunError where anything lies that a run stopped before it began does not leave."""
    directory = RunDirectory(path)
    own = {LOCK_NAME, "preset.toml", "log.csv", "evaluation.csv", "checkpoint"}
    own |= {leftover.name for leftover in directory.leftovers()}
    names = {entry.name for entry in path.iterdir()}
    if names and (LOCK_NAME not in names or names - own or not directory.checkpoint.is_blank()):
        raise RunError(f"the run directory {path} is not empty; expected a new or empty one.")


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
