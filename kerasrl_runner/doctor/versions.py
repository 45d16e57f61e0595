"""Python and the installed packages against what was tried, without importing any of them.

setup.cfg states once what was tried, and the installed metadata carries it here.
"""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from kerasrl_runner.doctor.findings import Finding, broken, ok, pip_command, warning

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PROJECT = "kerasrl-runner"
_MACHINE = "CPython", "Linux", "x86_64"


def read_requirements() -> dict[str, Requirement]:
    """The required packages with their tried ranges, by name, from the installed metadata.

    Raises:
        importlib.metadata.PackageNotFoundError: the project runs without being installed.
        ImportError: the package `packaging` is missing.
    """
    from packaging.requirements import Requirement

    required = map(Requirement, metadata.requires(PROJECT) or [])
    # The extras' markers are false.
    return {r.name: r for r in required if not r.marker or r.marker.evaluate()}


def check_installation() -> Finding:
    """Whether the project is installed, so that versions can be compared."""
    folder = Path(__file__).parents[1]
    try:
        read_requirements()
    except (metadata.PackageNotFoundError, ImportError) as error:
        return warning(
            f"{folder}: versions cannot be compared with those that were tried: {error}",
            f"Install it: {pip_command('install', str(folder.parent))}",
        )
    return ok(f"{metadata.version(PROJECT)} in {folder}")


def check_python() -> Finding:
    """Python and the machine it runs on; pip refuses other versions of Python."""
    machine = platform.python_implementation(), platform.system(), platform.machine()
    found = "{} {} on {} {}".format(machine[0], platform.python_version(), *machine[1:])
    if machine == _MACHINE:
        return ok(found)
    return warning(
        f"{found} (tried: {_MACHINE[0]} on {' '.join(_MACHINE[1:])})",
        "It may well work: the check of the training below says. Where it does not, use what was "
        "tried.",
    )


def check_package(required: Requirement) -> Finding:
    """Whether a required package is installed, in a tried version, and fits its neighbours."""
    version = _find_version(required.name)
    install = pip_command("install", str(required))
    if version is None:
        return broken("not installed", f"Install it: {install}")
    tensorflow = (_find_version("tensorflow") or version).split(".")
    if required.name == "tf-keras" and tensorflow[:2] != version.split(".")[:2]:
        minor = ".".join(tensorflow[:2])
        return broken(
            f"{version} does not belong to TensorFlow {minor}",
            f"Install the one that does: {pip_command('install', f'tf-keras=={minor}.*')}",
        )
    old = _find_version("keras-rl")
    if required.name == "keras-rl2" and old is not None:
        again = pip_command("install", "--force-reinstall", "--no-deps", str(required))
        return warning(
            f"{version}, and the old keras-rl {old} beside it: both are the folder rl, and the "
            f"one installed last has overwritten the other",
            f"{pip_command('uninstall', '--yes', 'keras-rl')} && {again}",
        )
    if not required.specifier.contains(version, prereleases=True):
        bounds = ", ".join(sorted(map(str, required.specifier), reverse=True))  # lower bound first
        return warning(f"{version} (tried: {bounds})", f"Install a tried one: {install}")
    return ok(version)


def _find_version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
