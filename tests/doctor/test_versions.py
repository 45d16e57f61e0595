"""Installed packages against what was tried."""

from __future__ import annotations

import sys
from configparser import ConfigParser

import pytest
from commands import REPOSITORY
from fakes import fake_package
from packaging.requirements import Requirement

from kerasrl_runner.doctor import examine, versions


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Let a package of this version be found before any other."""

    def install(name: str, version: str, more: str = "") -> None:
        place = fake_package(tmp_path / f"{name}-{version}", name, version, more)
        monkeypatch.syspath_prepend(str(place))

    return install


def test_what_was_tried_is_what_setup_cfg_says(install):
    config = ConfigParser()
    config.read(REPOSITORY / "setup.cfg")
    stated = [
        line
        for line in config["options"]["install_requires"].strip().splitlines()
        if not line.startswith("#")
    ]
    lines = [f"Requires-Dist: {line}\n" for line in stated]
    lines += ["Provides-Extra: test\n", "Requires-Dist: sickgone; extra == 'test'\n"]
    install("kerasrl-runner", "9.9", "".join(lines))
    assert list(versions.read_requirements().values()) == list(map(Requirement, stated)), (
        "no extras"
    )
    assert versions.check_installation().found.startswith("9.9 in ")


@pytest.mark.parametrize(
    ("version", "status"),
    [("2.1", "warning"), ("2.2rc1", "warning"), ("2.2", "ok"), ("2.3.1", "ok"), ("3.0", "warning")],
)
def test_a_version_outside_the_tried_range_is_a_warning(install, version, status):
    install("sickpackage", version)
    finding = versions.check_package(Requirement("sickpackage >= 2.2, < 3"))
    assert finding.status == status
    if status == "warning":
        assert finding.found == f"{version} (tried: >=2.2, <3)"
        assert str(finding.remedy).endswith("-m pip install 'sickpackage<3,>=2.2'")


def test_a_missing_package_is_broken_with_the_command_that_installs_it():
    status, found, remedy = versions.check_package(Requirement("sickgone >= 1"))
    assert (status, found) == ("broken", "not installed")
    assert remedy == f"Install it: {sys.executable} -m pip install 'sickgone>=1'"


@pytest.mark.parametrize(
    ("tensorflow", "tf_keras", "status"),
    [("2.20.0", "2.20.1", "ok"), ("2.21.0", "2.20.1", "broken"), ("2.20.0", "2.21.0", "broken")],
)
def test_tf_keras_is_of_the_minor_version_of_tensorflow(install, tensorflow, tf_keras, status):
    install("tensorflow", tensorflow)
    install("tf-keras", tf_keras)
    finding = versions.check_package(Requirement("tf-keras >= 2.19, < 2.22"))
    assert finding.status == status
    if status == "broken":
        minor = tensorflow.rpartition(".")[0]
        assert finding.found == f"{tf_keras} does not belong to TensorFlow {minor}"
        assert str(finding.remedy).endswith(f"pip install 'tf-keras=={minor}.*'")


def test_the_old_keras_rl_beside_keras_rl2_is_a_warning(install):
    required = Requirement("keras-rl2 == 1.0.5")
    install("keras-rl2", "1.0.5")
    assert versions.check_package(required) == ("ok", "1.0.5", None)
    install("keras-rl", "0.4.2")
    status, found, remedy = versions.check_package(required)
    assert status == "warning"
    assert found.startswith("1.0.5, and the old keras-rl 0.4.2 beside it")
    assert "pip uninstall --yes keras-rl && " in str(remedy)
    assert "--force-reinstall --no-deps keras-rl2==1.0.5" in str(remedy)


def test_another_machine_is_a_warning_in_honest_words(monkeypatch):
    assert versions.check_python().status == "ok"
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    finding = versions.check_python()
    assert finding.status == "warning"
    assert finding.found.endswith(" on Linux aarch64 (tried: CPython on Linux x86_64)")
    assert "It may well work" in str(finding.remedy)


@pytest.mark.parametrize("fault", ["not installed", "no packaging", "damaged metadata"])
def test_a_machine_where_versions_cannot_be_compared_is_examined_all_the_same(
    monkeypatch, install, fault
):
    if fault == "not installed":
        monkeypatch.setattr(versions, "PROJECT", "sickgone")
    elif fault == "no packaging":
        monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    else:
        install("kerasrl-runner", "9.9", "Requires-Dist: ?\n")
    checks = examine()
    name, finding = next(checks)
    assert name == versions.PROJECT
    assert finding.status in ("warning", "broken")
    assert finding.remedy
    assert [next(checks)[0], next(checks)[0]] == ["Python", "runs folder"]
