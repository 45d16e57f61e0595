"""Whatever a machine lacks is a finding with its remedy, and never a traceback or a hang."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest
from commands import COMMAND, child_environment, finish, python, start
from sick_machines import (
    HANG,
    IMPORT_ERROR,
    bare_checkout,
    by_name,
    doctor,
    environment_without,
    fake_module,
    fake_package,
)

TRAINING = """
from kerasrl_runner.doctor.probes import training
from kerasrl_runner.doctor.tried import Tried
print(*training(Tried(), {limit}), sep="\\n")
"""


def assert_ended(process: int) -> None:
    """It is gone, or dead and not yet reaped by whoever inherited it."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return
    assert state == "Z"


@pytest.fixture(scope="module")
def broken_folder(tmp_path_factory):
    """On the path it hides TensorFlow behind one that cannot be imported."""
    return fake_module(tmp_path_factory.mktemp("broken"), "tensorflow", IMPORT_ERROR)


@pytest.fixture(scope="module")
def sick(tmp_path_factory, broken_folder):
    """Many things wrong at once."""
    folder = tmp_path_factory.mktemp("sick")
    (folder / "file").write_text("in the way")
    old = fake_package(fake_package(folder / "old", "gym", "0.26.2"), "h5py", "3.14.0")
    (old / "h5py-3.14.0.dist-info" / "RECORD").write_bytes(b"\xff")  # a damaged disk
    return by_name(
        doctor(
            "--json",
            folder=folder,
            path=[old, broken_folder],
            KERASRL_RUNS="file/below",
            KERASRL_THREADS="x",
            TF_USE_LEGACY_KERAS="false",
            IMAGEIO_FFMPEG_EXE="/bin/false",
            DISPLAY=":77",
        )
    )


@pytest.mark.parametrize(
    ("name", "status", "found", "remedy"),
    [
        ("TensorFlow", "warning", "Python imports another tensorflow, from", "PYTHONPATH"),
        ("h5py", "broken", "cannot be checked: UnicodeDecodeError", "new virtual environment"),
        ("old Gym", "warning", "gym 0.26.2 is installed", "pip uninstall --yes gym"),
        ("TF_USE_LEGACY_KERAS", "warning", '"false"', "export TF_USE_LEGACY_KERAS=1"),
        ("KERASRL_THREADS", "broken", 'received "x"', "unset KERASRL_THREADS"),
        ("runs folder", "broken", "file is no folder", "KERASRL_RUNS or --run-dir"),
        ("display", "warning", "DISPLAY=:77, and no window opens", "writes a video instead"),
        ("video encoder", "broken", "IMAGEIO_FFMPEG_EXE=/bin/false", "unset IMAGEIO_FFMPEG_EXE"),
        (
            "training",
            "broken",
            "importing TensorFlow and keras-rl: ImportError: broken on purpose",
            "--force-reinstall 'tensorflow<",
        ),
    ],
)
def test_a_fault_is_found_and_its_remedy_named(sick, name, status, found, remedy):
    assert sick[name]["status"] == status
    assert found in sick[name]["found"]
    assert remedy in sick[name]["remedy"]


def test_what_is_well_is_found_well_beside_it(sick):
    bad = {name for name, check in sick.items() if check["status"] == "broken"}
    assert bad == {"h5py", "KERASRL_THREADS", "runs folder", "video encoder", "training"}
    assert sick["NumPy"]["status"] == "ok"


def test_a_pipe_reads_the_same(tmp_path, broken_folder):
    outcome = doctor(folder=tmp_path, path=[broken_folder])
    assert (outcome.code, outcome.stderr) == (1, "")
    lines = outcome.stdout.splitlines()
    (line,) = (line for line in lines if line.startswith("broken"))
    assert line.startswith(
        "broken   training             importing TensorFlow and keras-rl: Import"
    )
    assert lines[-1].startswith("1 broken, ")


def test_a_terminal_has_colours_and_the_name_of_the_check_that_runs(tmp_path, broken_folder):
    ours, theirs = os.openpty()
    path = os.pathsep.join([str(broken_folder), child_environment()["PYTHONPATH"]])
    child = subprocess.Popen(
        [*COMMAND, "doctor"],
        cwd=tmp_path,
        env=child_environment(PYTHONPATH=path),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):  # Linux' way to say that the other end was closed
        while read := os.read(ours, 65536):
            said += read
    os.close(ours)
    assert child.wait(60) == 1
    line = "         training …\r\033[K\033[31mbroken \033[0m  training             importing"
    assert line in said.decode()


@pytest.mark.parametrize(
    ("code", "found", "remedy"),
    [
        ("import ctypes; ctypes.string_at(0)", "killed by SIGSEGV", "install the stack again"),
        ("import os; os.abort()", "killed by SIGABRT", "install the stack again"),
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL", "memory ran out"),
        ("import os; os.kill(os.getpid(), 4)", "killed by SIGILL", "AVX"),
        ("import sys; sys.exit(3)", "exit code 3", "install the stack again"),
        (HANG, "no answer within 3 s", "install the stack again"),
        ("from tensorflow import nothing", "ImportError: cannot import name 'nothing'", "install"),
        (
            "try:\n    import ctypes; ctypes.CDLL('libgone.so')\nexcept OSError as error:\n"
            "    raise ImportError('A page of advice\\nand more') from error",
            "OSError: libgone.so: cannot open shared object file",
            "install the stack again",
        ),
    ],
)
def test_a_tensorflow_that_crashes_or_hangs_is_a_finding(tmp_path, code, found, remedy):
    fake_module(tmp_path, "tensorflow", code)
    begun = time.monotonic()
    said = python(
        f"import sys\nsys.path.insert(0, {str(tmp_path)!r}){TRAINING.format(limit=3)}", tmp_path
    )
    assert time.monotonic() - begun < 20
    status, what, *how = said.splitlines()
    assert status == "broken"
    assert what.startswith("importing TensorFlow and keras-rl: ")
    assert found in what
    assert remedy in "\n".join(how)


def test_a_training_that_fails_says_why_in_the_words_of_the_command(tmp_path):
    checks = by_name(doctor("--json", folder=tmp_path, KERASRL_THREADS="two"))
    assert checks["KERASRL_THREADS"]["status"] == "broken"
    assert checks["training"] == {
        "name": "training",
        "status": "broken",
        "found": "training cartpole: KERASRL_THREADS: expected a number of threads up to 256, "
        "received two.",
        "remedy": "Mend what this and the lines above name, then run kerasrl-run doctor again.",
    }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_ends_the_doctor_and_the_training_with_it(tmp_path, number):
    note = tmp_path / "pid"
    code = f"import os; open({str(note)!r}, 'w').write(str(os.getpid())); {HANG}"
    fake_module(tmp_path, "tensorflow", code)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    child = start("doctor", folder=tmp_path, PYTHONPATH=path)
    try:
        waiting = time.monotonic() + 60
        while not (note.exists() and note.read_text()):
            assert child.poll() is None, child.communicate()
            assert time.monotonic() < waiting, "no training began"
            time.sleep(0.05)
        child.send_signal(number)
        outcome = finish(child, timeout=30)
    finally:
        child.kill()
    assert (outcome.code, outcome.stderr.strip()) == (130, "interrupted")
    assert_ended(int(note.read_text()))


def test_a_grandchild_that_hangs_is_stopped_too(tmp_path):
    note, program = tmp_path / "pid", tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\necho $$ > {shlex.quote(str(note))}\nsleep 600\n")
    program.chmod(0o755)
    code = "from kerasrl_runner.doctor.probes import encoder; print(*encoder(5), sep='\\n')"
    status, found, _ = python(code, tmp_path, IMAGEIO_FFMPEG_EXE=str(program)).splitlines()
    assert status == "broken"
    assert found.endswith("no answer within 5 s")
    assert_ended(int(note.read_text()))


def test_missing_packages_are_broken_with_the_command_that_mends_them(tmp_path):
    python_file = environment_without(tmp_path / "env", ["h5py", "tqdm", "pygame"])
    checks = by_name(doctor("--json", folder=tmp_path, python=python_file))
    mend = f"{python_file} -m pip install"
    assert checks["h5py"]["found"] == "not installed"
    assert checks["h5py"]["status"] == checks["dependencies"]["status"] == "broken"
    assert checks["h5py"]["remedy"] == f"Install it: {mend} 'h5py<4,>=3.14'"
    assert checks["dependencies"]["found"] == "pygame-ce is not installed, tqdm is not installed"
    assert checks["dependencies"]["remedy"].startswith(f"Install: {mend} 'pygame-ce>=")
    assert checks["training"]["status"] == "broken"
    assert "ModuleNotFoundError: No module named 'h5py'" in checks["training"]["found"]


def test_without_numpy_the_doctor_itself_still_works(tmp_path):
    python_file = environment_without(tmp_path / "env", ["numpy"])
    checks = by_name(doctor("--json", folder=tmp_path, python=python_file))
    bad = {name for name, check in checks.items() if check["status"] == "broken"}
    assert bad == {"NumPy", "video encoder", "training"}
    assert "No module named 'numpy'" in checks["video encoder"]["found"]


def test_without_packaging_the_rest_is_still_checked(tmp_path, broken_folder):
    python_file = environment_without(tmp_path / "env", ["packaging"])
    checks = by_name(doctor("--json", folder=tmp_path, python=python_file, path=[broken_folder]))
    assert checks["kerasrl-runner"]["status"] == "broken"
    assert "No module named 'packaging'" in checks["kerasrl-runner"]["found"]
    assert checks["NumPy"]["status"] == "ok"


def test_a_bare_checkout_is_warned_that_nothing_is_compared(tmp_path, broken_folder):
    (tmp_path / "checkout").mkdir()
    folder = bare_checkout(tmp_path / "checkout")
    python_file = environment_without(tmp_path / "env", ["kerasrl_runner", "__editable__"])
    path = os.pathsep.join([str(folder), str(broken_folder)])
    checks = by_name(doctor("--json", folder=tmp_path, python=python_file, PYTHONPATH=path))
    assert checks["kerasrl-runner"]["status"] == "warning"
    assert f"runs from {folder / 'kerasrl_runner'} without" in checks["kerasrl-runner"]["found"]
    assert checks["kerasrl-runner"]["remedy"].endswith(f"pip install --editable {folder}")
    assert (checks["dependencies"]["found"], checks["NumPy"]["status"]) == ("not known", "ok")


def test_a_try_imports_from_where_the_command_does(tmp_path):
    """The working folder is not on the console script's path, and python -c would add it."""
    fake_module(tmp_path, "imageio", IMPORT_ERROR)
    code = "from kerasrl_runner.doctor.probes import encoder; print(*encoder(60), sep='\\n')"
    assert python(f"import sys; sys.path.remove(''); {code}", tmp_path).startswith("ok\n")
    assert python(code, tmp_path).splitlines()[1].endswith("ImportError: broken on purpose")
