"""Installed packages against what was tried."""

from __future__ import annotations

import shutil
from configparser import ConfigParser
from importlib import metadata
from pathlib import Path

import pytest
from commands import REPOSITORY, python
from packaging.requirements import Requirement
from sick_machines import fake_module, fake_package

from kerasrl_runner.doctor import machine, packages
from kerasrl_runner.doctor.tried import Tried, what_was_tried

KERAS_RL2 = """
from kerasrl_runner.doctor.packages import keras_rl2
from kerasrl_runner.doctor.tried import what_was_tried
print(*keras_rl2(what_was_tried()), sep="\\n")
"""


def tried(*requirements: str, **extras: list[str]) -> Tried:
    return Tried(
        requirements={entry.name: entry for entry in map(Requirement, requirements)},
        extras={name: [Requirement(line) for line in lines] for name, lines in extras.items()},
    )


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a package with metadata and a module on the path."""

    def install(name: str, version: str) -> Path:
        place = tmp_path / f"{name}-{version}"
        fake_module(fake_package(place, name, version), name, "")
        monkeypatch.syspath_prepend(str(place))
        return place

    return install


def test_what_was_tried_is_what_setup_cfg_says(tmp_path, monkeypatch):
    """By the lines that an installation from it would leave."""
    config = ConfigParser()
    config.read(REPOSITORY / "setup.cfg")
    stated = config["options"]["install_requires"].strip().splitlines()
    classifiers = config["metadata"]["classifiers"].strip().splitlines()
    lines = [f"Classifier: {line}\n" for line in classifiers]
    lines += [f"Requires-Dist: {line}\n" for line in stated]
    lines += ["Provides-Extra: films\n", "Requires-Dist: sickgone; extra == 'films'\n"]
    place = fake_package(tmp_path, "kerasrl-runner", "9.9", "".join(lines))
    monkeypatch.syspath_prepend(str(place))
    found = what_was_tried()
    assert found.problem is None
    assert found.pythons == ("3.11",)
    assert set(map(Requirement, stated)) <= set(found.requirements.values())
    assert set(packages.TITLES) | {"keras-rl2"} <= set(found.requirements), "Keras is TensorFlow's"
    assert "pygame-ce" in found.requirements, "gymnasium[classic-control] requires it"
    assert "sickgone" not in found.requirements
    assert [entry.name for entry in found.extras["films"]] == ["sickgone"]
    assert packages.installation(found).found.startswith("9.9 in ")


@pytest.mark.parametrize(
    ("version", "status"),
    [("2.1", "warning"), ("2.2rc1", "warning"), ("2.2", "ok"), ("2.3.1", "ok"), ("3.0", "warning")],
)
def test_a_version_outside_the_tried_range_is_a_warning(install, version, status):
    install("sickpackage", version)
    finding = packages.package(tried("sickpackage >= 2.2, < 3"), "sickpackage")
    assert finding.status == status
    if status == "warning":
        assert finding.found == f"{version} (tried: >=2.2, <3)"
        assert str(finding.remedy).endswith("-m pip install 'sickpackage<3,>=2.2'")


def test_a_module_without_its_package_has_no_version(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(fake_module(tmp_path, "sickpackage", "")))
    finding = packages.package(tried(), "sickpackage")
    assert finding.status == "warning"
    assert f"the module sickpackage lies in {tmp_path / 'sickpackage'}" in finding.found


def test_a_package_whose_module_is_gone_is_broken(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(fake_package(tmp_path, "sickpackage", "1.0")))
    finding = packages.package(tried(), "sickpackage")
    assert finding.status == "broken"
    assert "--force-reinstall --no-deps sickpackage" in str(finding.remedy)


def test_of_many_dependencies_the_bad_ones_are_named(install):
    install("sickold", "1.0")
    install("sickwell", "1.0")
    finding = packages.dependencies(tried("sickold >= 2", "sickgone >= 1", "sickwell"))
    assert finding.status == "broken"
    assert finding.found == "sickgone is not installed, sickold 1.0 (tried: >=2)"
    assert str(finding.remedy).endswith("pip install 'sickgone>=1' 'sickold>=2'")
    assert packages.dependencies(tried("sickold >= 2")).status == "warning"
    assert packages.dependencies(tried("sickwell")).found == "sickwell 1.0"


def test_an_extra_that_is_not_installed_is_no_fault_and_says_how_to_add_it(install):
    install("sickwell", "1.0")
    finding = packages.extras(tried(films=["sickwell"], games=["sickgone>=1; extra == 'games'"]))
    assert finding.status == "ok"
    assert finding.found == "installed: films; not installed: games"
    assert str(finding.remedy).endswith("pip install 'sickgone>=1'")


def test_an_untried_version_in_an_extra_is_a_warning(install):
    install("sickwell", "1.0")
    finding = packages.extras(tried(films=["sickwell>=2; extra == 'films'"]))
    assert (finding.status, finding.found) == ("warning", "films: sickwell 1.0 (tried: >=2)")


@pytest.mark.parametrize(
    ("change", "neighbour", "status", "found"),
    [
        ("", "", "ok", "1.0.5"),
        ("# by hand", "", "warning", "1.0.5, but rl/core.py is changed by hand"),
        ("", "0.4.2", "warning", "the old keras-rl 0.4.2 beside it"),
        ("# the old one's", "0.4.2", "broken", "rl/core.py is not keras-rl2's"),
    ],
)
def test_the_old_keras_rl_has_the_same_folder(tmp_path, change, neighbour, status, found):
    for file in metadata.files("keras-rl2") or []:
        if "__pycache__" not in file.parts:
            copy = tmp_path / "site" / file
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(file.locate()), copy)
    with (tmp_path / "site" / "rl" / "core.py").open("a") as core:
        core.write(change)
    if neighbour:
        fake_package(tmp_path / "site", "keras-rl", neighbour)
    code = f"import sys\nsys.path.insert(0, {str(tmp_path / 'site')!r}){KERAS_RL2}"
    said = python(code, tmp_path).splitlines()
    assert said[0] == status
    assert found in said[1]
    if neighbour:
        assert "pip uninstall --yes keras-rl && " in said[2]
    if status != "ok":
        assert "--force-reinstall --no-deps keras-rl2==1.0.5" in said[2]


def test_another_python_or_processor_is_a_warning_in_honest_words(monkeypatch):
    assert machine.python(Tried(pythons=("3.11",))).status == "ok"
    finding = machine.python(Tried(pythons=("3.8", "3.9")))
    assert (finding.status, finding.found[-24:]) == ("warning", "(tried: Python 3.8, 3.9)")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    finding = machine.python(Tried(pythons=("3.11",)))
    assert finding.status == "warning"
    assert "aarch64 (tried: CPython on Linux x86_64)" in finding.found
    assert "It may well work" in str(finding.remedy)


@pytest.mark.parametrize(
    ("value", "status"),
    [(None, "ok"), ("1", "ok"), ("True", "ok"), ("TRUE", "warning"), ("", "warning")],
)
def test_the_legacy_switch_is_read_as_tensorflow_reads_it(monkeypatch, value, status):
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    if value is not None:
        monkeypatch.setenv("TF_USE_LEGACY_KERAS", value)
    assert machine.legacy_keras().status == status


@pytest.mark.parametrize(
    ("value", "status"),
    [("", "ok"), ("1", "ok"), ("0", "ok"), ("-1", "broken"), ("64", "warning")],
)
def test_threads(monkeypatch, value, status):
    monkeypatch.setenv("KERASRL_THREADS", value)
    assert machine.threads().status == status


def test_little_room_and_little_memory_are_warnings(monkeypatch):
    assert "GB are free" in machine.runs().found
    monkeypatch.setattr(machine, "_LITTLE_ROOM", 10**18)
    monkeypatch.setattr(machine, "_LITTLE_MEMORY", 10**18)
    assert machine.runs().status == machine.memory().status == "warning"


def test_a_runs_folder_that_leads_nowhere_is_broken_and_none_is_made(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(tmp_path / "unmounted")
    for place, status in [("link", "broken"), ("new/below", "ok")]:
        monkeypatch.setenv("KERASRL_RUNS", str(tmp_path / place))
        assert machine.runs().status == status
    assert [path.name for path in tmp_path.iterdir()] == ["link"]
