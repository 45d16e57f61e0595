"""Run directories: where they are, what lies in them, and how a run is found."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from kerasrl_runner.errors import RunError
from kerasrl_runner.files.atomic import write_text
from kerasrl_runner.files.checkpoint import CheckpointFolder
from kerasrl_runner.files.lock import LOCK_NAME, holds_lock, is_locked, locked
from kerasrl_runner.files.places import runs_folder
from kerasrl_runner.files.run_record import RunRecord


@dataclass
class RunDirectory:
    """The outputs of one run. `run.json` is only ever replaced as a whole."""

    path: Path

    def __post_init__(self) -> None:
        self.preset_file = self.path / "preset.toml"
        self.record_file = self.path / "run.json"
        self.log_file = self.path / "log.csv"
        self.evaluation_file = self.path / "evaluation.csv"
        self.weights_file = self.path / "weights.h5"
        self.best_file = self.path / "best.h5"
        self.checkpoint = CheckpointFolder(self.path / "checkpoint")

    def record(self) -> RunRecord:
        """What run.json says; `interrupted` for a run that says `running` and has no process.

        Raises:
            RunError: it is missing or broken.
        """
        # Asked first, since a run writes its end before it gives up the lock.
        has_process = is_locked(self.path)
        try:
            record = RunRecord.model_validate_json(self.record_file.read_bytes())
        except FileNotFoundError as error:
            raise RunError(
                f"{self.path} is no run directory: it has no run.json, which a run writes before "
                f"its first step. If one was stopped before that, delete the folder and begin "
                f"again."
            ) from error
        except OSError as error:
            raise RunError(f"cannot read {self.record_file}: {error.strerror}.") from error
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
            key = ".".join(map(str, wrong["loc"]))
            raise RunError(
                f"{self.record_file} is not what a run writes: {f'{key}: ' if key else ''}"
                f"{wrong['msg']}. Put it back from a copy, or begin the run anew."
            ) from error
        if record.status == "running" and not has_process:
            return record.model_copy(update={"status": "interrupted"})
        return record

    def write_record(self, record: RunRecord) -> None:
        """Replace run.json. Raises RunError where it cannot be written."""
        write_text(self.record_file, record.model_dump_json(indent=2) + "\n")

    def check_held(self) -> None:
        """Raises RunError where the folder is no longer the one whose lock this process holds."""
        if not holds_lock(self.path):
            raise RunError(
                f"the run directory {self.path} was deleted or moved while the run was going on; "
                f"nothing more is written. Put it back and resume the run, or begin it anew."
            )

    def remove_leftovers(self) -> None:
        """Remove what killed processes left; only who holds the lock knows that they are dead."""
        for path in (self.preset_file, self.record_file, self.weights_file, self.best_file):
            for leftover in self.path.glob(f".{path.stem}.*{path.suffix}"):
                with contextlib.suppress(OSError):
                    leftover.unlink()


@contextlib.contextmanager
def new_run(preset_name: str, preset_text: str, run_dir: Path | None) -> Iterator[RunDirectory]:
    """Make a run's own folder with its preset.toml, and hold its lock.

    Raises:
        RunError: `run_dir` exists and is not empty, or the folder cannot be written.
    """
    with _explain_making():
        path = _new_folder(preset_name) if run_dir is None else run_dir
        path.mkdir(parents=True, exist_ok=True)
        _check_empty(path)  # Before the lock's file comes into it.
    with locked(path):
        with _explain_making():
            _check_empty(path, but=LOCK_NAME)  # Another process may have been faster.
        directory = RunDirectory(path)
        write_text(directory.preset_file, preset_text)
        yield directory


@contextlib.contextmanager
def _explain_making() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(
            f"cannot make the run directory {error.filename}: {error.strerror}. Choose another "
            f"by --run-dir or KERASRL_RUNS."
        ) from error


def _check_empty(path: Path, but: str = "") -> None:
    if any(entry.name != but for entry in path.iterdir()):
        raise RunError(
            f"the run directory {path} is not empty; expected a new or empty one. Delete it, or "
            f"choose another."
        )


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


def all_runs() -> Iterator[tuple[RunDirectory, RunRecord]]:
    """Every readable run of the runs folder with its record, newest first."""
    found = []
    folder = runs_folder()
    if folder.is_dir():
        for path in folder.iterdir():
            with contextlib.suppress(RunError):
                found.append((RunDirectory(path), RunDirectory(path).record()))
    yield from sorted(found, key=lambda run: (run[1].started, run[0].path.name), reverse=True)


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
        if record.status == "finished" and preset_name in (None, record.preset):
            return directory
    return None
