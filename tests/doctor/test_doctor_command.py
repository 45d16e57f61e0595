"""`kerasrl-run doctor` on a machine that is well."""

from __future__ import annotations

import re

import pytest
from commands import python
from sick_machines import by_name, doctor

NAMES = """
kerasrl-runner / Python / TensorFlow / tf-keras / Keras / NumPy / Gymnasium / h5py / keras-rl2 /
dependencies / extras / old Gym / TF_USE_LEGACY_KERAS / KERASRL_THREADS / runs folder / memory /
display / video encoder / training
""".split("/")
NAMES = [name.strip() for name in NAMES]
COMMAND = """
import sys
from kerasrl_runner.cli import main
main(["doctor"])
print("HEAVY", *{"tensorflow", "tf_keras", "keras", "rl", "gymnasium", "numpy"} & set(sys.modules))
"""


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    """Its lines, from a process that then says what it had to import, and its folder."""
    folder = tmp_path_factory.mktemp("healthy")
    (folder / "tmp").mkdir()
    return python(COMMAND, folder, TMPDIR=str(folder / "tmp")).splitlines(), folder


@pytest.fixture(scope="module")
def as_json(tmp_path_factory):
    """The same as JSON, in a shell that asks TensorFlow for Keras 3."""
    folder = tmp_path_factory.mktemp("json")
    return by_name(doctor("--json", folder=folder, TF_USE_LEGACY_KERAS="0"))


def test_each_check_has_one_line_and_what_can_be_mended_an_indented_remedy(healthy):
    lines = healthy[0][:-3]
    checks = [re.fullmatch(r"(ok     |warning)  (.{19})  (\S.*)", line) for line in lines]
    assert [check[2].strip() for check in checks if check] == NAMES
    for check, line in zip(checks, lines, strict=True):
        assert check or line.startswith(" " * 30), line
    assert not [line for line in lines if "\033" in line], "colours are for terminals"


def test_the_last_line_counts(healthy):
    lines = healthy[0]
    warnings = sum(line.startswith("warning") for line in lines)
    assert lines[-2] == f"Nothing is broken, {warnings} warning{'s' * (warnings > 1)}."


def test_it_imports_nothing_of_the_stack_itself(healthy):
    assert healthy[0][-1] == "HEAVY"


def test_it_leaves_nothing_behind(healthy):
    assert [path.name for path in healthy[1].rglob("*")] == ["tmp"]


def test_a_real_training_is_reported_with_its_rate(as_json):
    said = re.fullmatch(
        r"TensorFlow and keras-rl import in (\d+\.\d) s; cartpole trains at (\d+) env steps/s",
        as_json["training"]["found"],
    )
    assert as_json["training"]["status"] == "ok"
    assert said
    assert int(said[2]) > 0


def test_json_has_the_same_checks(as_json):
    assert list(as_json) == NAMES
    assert {frozenset(check) for check in as_json.values()} == {
        frozenset(("name", "status", "found", "remedy"))
    }
    assert as_json["TensorFlow"]["status"] == "ok"
    assert as_json["TensorFlow"]["remedy"] is None


def test_a_frame_is_really_encoded(as_json):
    assert as_json["video encoder"]["status"] == "ok"
    assert re.fullmatch(r"ffmpeg \S+ wrote a frame", as_json["video encoder"]["found"])


def test_no_display_is_a_warning_only(as_json):
    assert as_json["display"]["status"] == "warning"
    assert "neither DISPLAY nor WAYLAND_DISPLAY" in as_json["display"]["found"]
    assert "writes a video instead" in as_json["display"]["remedy"]


def test_a_shell_that_asks_for_keras_3_is_warned_and_the_training_runs_all_the_same(as_json):
    assert as_json["TF_USE_LEGACY_KERAS"]["status"] == "warning"
    assert as_json["TF_USE_LEGACY_KERAS"]["found"].startswith('"0"')
    assert as_json["TF_USE_LEGACY_KERAS"]["remedy"].startswith("unset TF_USE_LEGACY_KERAS")
    assert as_json["training"]["status"] == "ok"
