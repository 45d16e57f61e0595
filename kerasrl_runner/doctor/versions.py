"""Python and the installed packages against what was tried, without importing any of them.

setup.cfg states once what was tried, and the installed metadata carries it here.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from kerasrl_runner.doctor.findings import Finding, broken, ok, pip_command, warning

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PROJECT = "kerasrl-runner"
_PYTHON = "Programming Language :: Python :: "
_MACHINE = "CPython", "Linux", "x86_64"


@dataclass(frozen=True)
class Tried:
    """The tried versions of Python, and the required packages with their tried ranges."""

    pythons: tuple[str, ...] = ()
    requirements: dict[str, Requirement] = field(default_factory=dict)  # by package


def read_tried() -> Tried:
    """What the installed metadata of this project says, without its extras.

    Raises:
        importlib.metadata.PackageNotFoundError: the project runs without being installed.
        ImportError: the package `packaging` is missing.
    """
    from packaging.requirements import Requirement

    classifiers = metadata.metadata(PROJECT).get_all("Classifier", [])
    pythons = (line.removeprefix(_PYTHON) for line in classifiers if line.startswith(_PYTHON))
    required = map(Requirement, metadata.requires(PROJECT) or [])
    needed = [entry for entry in required if not entry.marker or entry.marker.evaluate()]
    return Tried(tuple(pythons), {entry.name: entry for entry in needed})


def check_installation() -> Finding:
    """Whether the project is installed, so that versions can be compared."""
    folder = Path(__file__).parents[1]
    try:
        read_tried()
    except (metadata.PackageNotFoundError, ImportError) as error:
        return warning(
            f"{folder}: versions cannot be compared with those that were tried: {error}",
            f"Install it: {pip_command('install', str(folder.parent))}",
        )
    return ok(f"{metadata.version(PROJECT)} in {folder}")


def check_python(tried: Tried) -> Finding:
    """Python and the machine it runs on."""
    machine = platform.python_implementation(), platform.system(), platform.machine()
    version = platform.python_version()
    found = "{} {} on {} {}".format(machine[0], version, *machine[1:])
    known = not tried.pythons or ".".join(version.split(".")[:2]) in tried.pythons
    if known and machine == _MACHINE:
        return ok(found)
    pythons = f" {', '.join(tried.pythons)}" if tried.pythons else ""
    return warning(
        f"{found} (tried: {_MACHINE[0]}{pythons} on {' '.join(_MACHINE[1:])})",
        "It may well work: the check of the training below says. Where it does not, use what was "
        "tried.",
    )


def check_package(required: Requirement) -> Finding:
    """Whether a required package is installed, in a tried version."""
    version = _find_version(required.name)
    install = pip_command("install", str(required))
    if version is None:
        return broken("not installed", f"Install it: {install}")
    if not required.specifier.contains(version, prereleases=True):
        bounds = ", ".join(sorted(map(str, required.specifier), reverse=True))  # lower bound first
        return warning(f"{version} (tried: {bounds})", f"Install a tried one: {install}")
    return ok(version)


def check_tf_keras(required: Requirement) -> Finding:
    """As `check_package`, and whether tf-keras is of TensorFlow's minor version."""
    finding = check_package(required)
    minors = [(_find_version(name) or "").split(".")[:2] for name in ("tensorflow", required.name)]
    if [""] in minors or minors[0] == minors[1]:
        return finding
    minor = ".".join(minors[0])
    return broken(
        f"{_find_version(required.name)} does not belong to TensorFlow {minor}",
        f"Install the one that does: {pip_command('install', f'tf-keras=={minor}.*')}",
    )


def check_keras_rl2(required: Requirement) -> Finding:
    """As `check_package`, and whether the old keras-rl lies beside it."""
    finding = check_package(required)
    old = _find_version("keras-rl")
    if old is None:
        return finding
    again = pip_command("install", "--force-reinstall", "--no-deps", str(required))
    return warning(
        f"{finding.found}, and the old keras-rl {old} beside it: both are the folder rl, and the "
        f"one installed last has overwritten the other",
        f"{pip_command('uninstall', '--yes', 'keras-rl')} && {again}",
    )


def _find_version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
