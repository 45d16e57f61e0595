"""Installed packages against what was tried, without importing any of them."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from kerasrl_runner.doctor.findings import BROKEN, OK, WARNING, Finding, broken, ok, pip, warning
from kerasrl_runner.doctor.tried import PROJECT, Tried, project_folder

if TYPE_CHECKING:
    from packaging.requirements import Requirement

# The packages with a line of their own.
TITLES = {
    "tensorflow": "TensorFlow",
    "tf-keras": "tf-keras",
    "keras": "Keras",
    "numpy": "NumPy",
    "gymnasium": "Gymnasium",
    "h5py": "h5py",
}
_MODULES = {"keras-rl2": "rl", "tf-keras": "tf_keras"}


def installation(tried: Tried) -> Finding:
    """Whether this project itself is installed."""
    return tried.problem or ok(f"{_version(PROJECT)} in {project_folder()}")


def package(tried: Tried, name: str) -> Finding:
    """Whether a package is there, is what Python would import, and was tried in this version."""
    requirement = tried.requirements.get(name)
    module = _MODULES.get(name, name)
    version, place = _version(name), _place(module)
    if version is None and place is None:
        return broken("not installed", f"Install it: {_install(requirement or name)}")
    if version is None:
        return warning(
            f"version unknown: the module {module} lies in {place}, and no package {name} is "
            f"installed",
            f"Where that folder is not meant, remove it; install the package: "
            f"{_install(requirement or name)}",
        )
    if place is None:
        return broken(
            f"{version}, but its module {module} is gone",
            f"Install it again: {_reinstall(requirement or name)}",
        )
    own = _own_folder(name, module)
    if own is not None and place.resolve() != own.resolve():
        return warning(
            f"{version}, but Python imports another {module}, from {place}",
            "Rename or remove that one, or take its folder out of PYTHONPATH.",
        )
    if requirement is not None and not _in_range(version, requirement):
        return warning(
            f"{version} ({_range(requirement)})", f"Install a tried one: {_install(requirement)}"
        )
    return ok(version)


def keras_rl2(tried: Tried) -> Finding:
    """As `package`, and whether rl/ is still keras-rl2's: the old keras-rl writes over it."""
    finding = package(tried, "keras-rl2")
    if finding.status != OK:
        return finding
    old, changed = _version("keras-rl"), list(_changed_files("keras-rl2"))
    wanted = tried.requirements.get("keras-rl2") or "keras-rl2"
    again = _reinstall(wanted)
    if old is not None:
        both = (
            f"{finding.found}, and the old keras-rl {old} beside it, which has the same folder rl"
        )
        remedy = f"{pip('uninstall', '--yes', 'keras-rl')} && {again}"
        if changed:
            return broken(f"{both}: {_some(changed)} not keras-rl2's", remedy)
        return warning(f"{both}: whichever is installed last wins", remedy)
    if changed:
        return warning(f"{finding.found}, but {_some(changed)} changed by hand", again)
    return finding


def _changed_files(name: str) -> Iterator[str]:
    """A package's modules that are not as its RECORD says."""
    for file in metadata.files(name) or []:
        if file.suffix != ".py" or file.hash is None:
            continue
        try:
            digest = hashlib.new(file.hash.mode, Path(str(file.locate())).read_bytes()).digest()
        except OSError:  # gone: `pip uninstall keras-rl` takes what both have
            digest = b""
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
            yield str(file)


def _some(files: list[str]) -> str:
    more = f" and {len(files) - 1} more are" if len(files) > 1 else " is"
    return f"{files[0]}{more}"


def dependencies(tried: Tried) -> Finding:
    """All that is required and has no line of its own."""
    own_lines = (*TITLES, "keras-rl2")
    wanted = [entry for name, entry in tried.requirements.items() if name not in own_lines]
    return _together(wanted) if wanted else ok("not known")


def _together(wanted: list[Requirement]) -> Finding:
    """One finding for many packages: the bad ones, or all where none is."""
    missing = [entry for entry in wanted if _version(entry.name) is None]
    present = [(entry, str(_version(entry.name))) for entry in wanted if entry not in missing]
    untried = [(entry, version) for entry, version in present if not _in_range(version, entry)]
    if not missing and not untried:
        return ok(", ".join(f"{entry.name} {version}" for entry, version in present))
    said = [f"{entry.name} is not installed" for entry in missing]
    said += [f"{entry.name} {version} ({_range(entry)})" for entry, version in untried]
    remedy = f"Install: {_install(*missing, *(entry for entry, _ in untried))}"
    return Finding(BROKEN if missing else WARNING, ", ".join(said), remedy)


def extras(tried: Tried) -> Finding:
    """Which optional groups of packages are complete. None of them has to be."""
    findings = {name: _together(wanted) for name, wanted in tried.extras.items()}
    if not findings:
        return ok("none known")
    named = {
        status: [name for name, finding in findings.items() if finding.status == status]
        for status in (OK, BROKEN, WARNING)
    }
    said = [f"installed: {', '.join(named[OK])}"] if named[OK] else []
    said += [f"not installed: {', '.join(named[BROKEN])}"] if named[BROKEN] else []
    said += [f"{name}: {findings[name].found}" for name in named[WARNING]]
    remedies = [f"For {name}: {findings[name].remedy}" for name in named[BROKEN] + named[WARNING]]
    return Finding(WARNING if named[WARNING] else OK, "; ".join(said), "\n".join(remedies) or None)


def old_gym() -> Finding:
    """Whether Gym, which Gymnasium replaced, lies beside it."""
    version = _version("gym")
    if version is None:
        return ok("not installed, and not needed")
    return warning(
        f"gym {version} is installed; what it registers, Gymnasium does not see",
        f"Import gymnasium instead of gym in your environments, then: "
        f"{pip('uninstall', '--yes', 'gym')}",
    )


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _place(module: str) -> Path | None:
    """The folder or file that Python would import a top-level module from."""
    spec = importlib.util.find_spec(module)
    if spec is None:
        return None
    origins = [spec.origin] if spec.origin else list(spec.submodule_search_locations or [])
    place = Path(origins[0])
    return place.parent if place.name == "__init__.py" else place


def _own_folder(name: str, module: str) -> Path | None:
    """Where a package put its module; None where it was installed without (editable)."""
    for file in metadata.files(name) or []:
        if file.parts == (module, "__init__.py"):
            return Path(str(file.locate())).parent
    return None


def _in_range(version: str, requirement: Requirement) -> bool:
    return requirement.specifier.contains(version, prereleases=True)


def _range(requirement: Requirement) -> str:
    bounds = sorted(map(str, requirement.specifier), reverse=True)  # the lower one first
    verb = "TensorFlow asks for" if requirement.name == "keras" else "tried:"
    return f"{verb} {', '.join(bounds)}"


def _install(*wanted: Requirement | str) -> str:
    return pip("install", *map(_spelled, wanted))


def _reinstall(wanted: Requirement | str) -> str:
    return pip("install", "--force-reinstall", "--no-deps", _spelled(wanted))


def reinstall_stack(tried: Tried) -> str:
    """The pip command that puts TensorFlow, tf-keras and keras-rl2 back as they were tried."""
    stack = (tried.requirements.get(name, name) for name in ("tensorflow", "tf-keras", "keras-rl2"))
    return pip("install", "--force-reinstall", *map(_spelled, stack))


def _spelled(wanted: Requirement | str) -> str:
    """A requirement as pip takes it, without the marker of its extra."""
    return str(wanted).partition(";")[0].strip()
