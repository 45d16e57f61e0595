"""What a try finds: a crash, a hang or a refusal is a finding with its remedy."""

from __future__ import annotations

import shlex

import pytest
from fakes import HANG, assert_ended, fake_module

from kerasrl_runner.doctor import probes

SEGFAULT = "import ctypes; ctypes.string_at(0)"
WRAPPED = """
try:
    import ctypes; ctypes.CDLL('libgone.so')
except OSError as error:
    raise ImportError('A page of advice\\nand more') from error
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Let a module of this name run `code` when a child imports it."""

    def fake(name: str, code: str) -> None:
        monkeypatch.syspath_prepend(str(fake_module(tmp_path / "fake", name, code)))

    return fake


@pytest.mark.parametrize(
    ("code", "found", "remedy"),
    [
        (SEGFAULT, "killed by SIGSEGV", "install the stack again"),
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL", "memory ran out"),
        ("import os; os.kill(os.getpid(), 4)", "killed by SIGILL", "AVX"),
        ("import sys; sys.exit(3)", "exit code 3", "install the stack again"),
        (HANG, "no answer within 2 s", "--force-reinstall tensorflow tf-keras keras-rl2"),
        (WRAPPED, "OSError: libgone.so: cannot open shared object file", "install the stack again"),
    ],
    ids=["segfault", "killed", "illegal instruction", "exit", "hang", "wrapped import error"],
)
def test_a_tensorflow_that_crashes_or_hangs_is_a_finding(fake, code, found, remedy):
    fake("tensorflow", code)
    finding = probes.check_training({}, limit_seconds=2 if code == HANG else 60)
    assert finding.status == "broken"
    assert finding.found.startswith(f"importing TensorFlow and keras-rl: {found}")
    assert remedy in str(finding.remedy)


def test_a_training_that_fails_later_says_why_in_the_words_of_the_command(monkeypatch):
    ended = probes.Ended("UsageError: KERASRL_THREADS: expected", ["training cartpole"])
    monkeypatch.setattr(probes, "run_child", lambda *arguments, **options: ended)
    status, found, remedy = probes.check_training({}, limit_seconds=1)
    assert (status, found) == ("broken", "training cartpole: UsageError: KERASRL_THREADS: expected")
    assert str(remedy).startswith("Repair what this and the lines above name.")


def test_a_window_is_opened_after_tensorflow_whose_libraries_may_crash_it(fake, monkeypatch):
    """As a run does: alone it would open."""
    monkeypatch.setenv("DISPLAY", ":77")
    fake("tensorflow", SEGFAULT)
    status, found, remedy = probes.check_display(limit_seconds=60)
    assert (status, found) == (
        "warning",
        "DISPLAY=:77: no window can be opened: killed by SIGSEGV",
    )
    assert str(remedy).startswith("--visualize writes a video instead")


@pytest.mark.parametrize(("answer", "status"), [("True", "ok"), ("False", "warning")])
def test_a_display_is_well_where_a_window_opens(monkeypatch, answer, status):
    monkeypatch.setenv("DISPLAY", ":77")
    monkeypatch.setattr(probes, "run_child", lambda *_, **options: probes.Ended(None, [answer]))
    assert probes.check_display(limit_seconds=1).status == status


def test_an_encoder_that_hangs_is_stopped_with_its_program(tmp_path, monkeypatch):
    note, program = tmp_path / "pid", tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\necho $$ > {shlex.quote(str(note))}\nsleep 600\n")
    program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    status, found, remedy = probes.check_encoder(limit_seconds=3)
    assert status == "broken"
    assert found == "no video can be written: no answer within 3 s"
    assert "a .gif needs no ffmpeg" in str(remedy)
    assert_ended(int(note.read_text()))


def test_a_try_imports_from_where_the_command_does(fake, tmp_path, monkeypatch):
    """The working folder is not on the console script's path, and python -c would add it."""
    monkeypatch.chdir(fake_module(tmp_path, "imageio", "raise ImportError('of the folder')"))
    assert probes.check_encoder(limit_seconds=60).status == "ok"
    fake("imageio", "raise ImportError('of the path')")
    assert probes.check_encoder(limit_seconds=60).found.endswith("ImportError: of the path")


def test_a_runs_folder_that_leads_nowhere_is_broken_and_none_is_made(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(tmp_path / "unmounted")
    (tmp_path / "file").write_text("in the way")
    for place, status in [("link", "broken"), ("file/below", "broken"), ("new/below", "ok")]:
        monkeypatch.setenv("KERASRL_RUNS", str(tmp_path / place))
        finding = probes.check_runs_folder()
        assert finding.status == status
        assert str(tmp_path / place) in finding.found
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]
