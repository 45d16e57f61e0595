"""run.json: what a run was asked to be, what came of it, and where its results come from."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Status = Literal["running", "finished", "interrupted", "failed"]

_PACKAGES = (
    "kerasrl-runner", "keras-rl2", "tensorflow", "tf-keras", "gymnasium", "numpy", "h5py",
)  # fmt: skip


def installed_versions() -> dict[str, str]:
    """Python's and the packages' versions, as run.json and weights files hold them."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # A source folder can be run without installing it.
            found[package] = "not installed"
    return found


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class Best(_Strict):
    """The best periodic evaluation, whose weights are kept."""

    mean_return: float
    env_steps: int
    weights: str = "best.h5"  # a file of the run directory


class RunRecord(_Strict):
    """The content of run.json."""

    status: Status
    error: str | None = None
    command: str
    preset: str  # its name
    preset_folder: str | None  # where the preset's modules are imported from
    engine: str
    seed: int
    steps: int  # env steps that the run was asked for, in all
    checkpoint_every: int  # env steps; 0: no checkpoints
    started: str  # ISO 8601 in UTC, so that sorting texts sorts times
    versions: dict[str, str]
    earlier_versions: list[dict[str, str]] = []  # of processes before, where they differed
    hardware: dict[str, Any]
    threads: dict[str, int]
    env_steps: int = 0
    episodes: int = 0
    wall_seconds: float = 0.0  # of all its processes
    env_steps_per_second: float | None = None  # of training alone, in the last process
    best: Best | None = None
