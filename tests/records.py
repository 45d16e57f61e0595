"""Records of runs that never took place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kerasrl_runner.files.run_directory import RunDirectory
from kerasrl_runner.files.run_record import RunRecord

RECORD: dict[str, Any] = {
    "status": "finished",
    "command": "kerasrl-run fit",
    "preset": "cartpole",
    "preset_folder": None,
    "engine": "compiled",
    "seed": 3,
    "steps": 5000,
    "checkpoint_every": 5000,
    "started": "2026-01-01T10:00:00.000000+00:00",
    "versions": {},
    "hardware": {},
    "threads": {},
}


def write_record(path: Path, **changes: Any) -> RunDirectory:
    """A run directory at `path` with nothing but its record."""
    directory = RunDirectory(path)
    directory.write_record(RunRecord(**{**RECORD, **changes}))
    return directory
