"""What was tried: stated once, in setup.cfg, and carried here by the installed metadata."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from kerasrl_runner.doctor.findings import Finding, broken, pip, warning

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PROJECT = "kerasrl-runner"
_PYTHON = "Programming Language :: Python :: "


@dataclass(frozen=True)
class Tried:
    """What the installed metadata says was tried; empty, with the reason, where there is none."""

    pythons: tuple[str, ...] = ()
    requirements: dict[str, Requirement] = field(default_factory=dict)  # by package
    extras: dict[str, list[Requirement]] = field(default_factory=dict)
    problem: Finding | None = None


def what_was_tried() -> Tried:
    """Read the metadata of this project and of what it requires."""
    try:
        about = metadata.metadata(PROJECT)
        wanted = _requirements(PROJECT)
        # Keras 3 is TensorFlow's requirement; keras-rl2 never sees it.
        wanted += [entry for entry in _requirements("tensorflow") if entry.name == "keras"]
        extras = {
            name: _requirements(PROJECT, name) for name in about.get_all("Provides-Extra", [])
        }
    except metadata.PackageNotFoundError:
        return Tried(problem=_not_installed())
    except Exception as error:  # packaging is missing, or half written metadata
        return Tried(
            problem=broken(
                f"what was tried cannot be read: {type(error).__name__}: {error}",
                f"Install this project again: {pip('install', '--editable', _source())}",
            )
        )
    classifiers = about.get_all("Classifier", [])
    pythons = tuple(line.removeprefix(_PYTHON) for line in classifiers if line.startswith(_PYTHON))
    return Tried(pythons, {entry.name: entry for entry in wanted}, extras)


def _not_installed() -> Finding:
    return warning(
        f"runs from {project_folder()} without being installed: what was tried is not known "
        f"here, and versions are not compared with it",
        f"Install it: {pip('install', '--editable', _source())}",
    )


def project_folder() -> Path:
    """The folder kerasrl_runner that runs, wherever it was installed from."""
    return Path(__file__).parents[1]


def _source() -> str:
    root = project_folder().parent
    return str(root) if (root / "setup.cfg").is_file() else "FOLDER_OF_KERASRL_RUNNER"


def _requirements(package: str, extra: str = "") -> list[Requirement]:
    """What a package requires, by itself or for one extra, and what those extras require."""
    from packaging.requirements import Requirement

    try:
        lines = metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        if package == PROJECT:
            raise
        return []  # it is missing, and its own line says so
    found = []
    for entry in map(Requirement, lines):
        always = entry.marker is None or entry.marker.evaluate({"extra": ""})
        chosen = entry.marker is not None and entry.marker.evaluate({"extra": extra})
        if (chosen and not always) if extra else always:
            found.append(entry)
            for nested in sorted(entry.extras):
                found += _requirements(entry.name, nested)
    return found
