"""`kerasrl-run doctor`: what it prints, what it returns, and what it leaves behind."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest
from commands import REPOSITORY, finish, python, start
from fakes import HANG, assert_ended, fake_module

from kerasrl_runner.doctor.findings import broken, ok, warning

NAMES = """
kerasrl-runner / Python / keras-rl2 / tensorflow / tf-keras / gymnasium / numpy / h5py / click /
pydantic / tomli-w / tqdm / imageio / imageio-ffmpeg / packaging / runs folder / display /
video encoder / training
""".split("/")
NAMES = [name.strip() for name in NAMES]
COMMAND = """
import sys
from kerasrl_runner.cli import main
main(["doctor"])
print("HEAVY", *{"tensorflow", "tf_keras", "keras", "rl", "gymnasium", "numpy"} & set(sys.modules))
"""
FINDINGS = {
    "second": ok("well"),
    "third": warning("old", "renew it\nby hand"),
    "fourth": ok("well"),
}


@pytest.fixture
def find(monkeypatch):
    """Let the command find these."""

    def find(findings) -> None:
        def examine(announce):
            for name, finding in findings.items():
                announce(name)
                yield name, finding

        monkeypatch.setattr("kerasrl_runner.cli.doctor.examine", examine)

    return find


def test_this_machine_is_well_and_its_training_is_real(tmp_path):
    (tmp_path / "tmp").mkdir()
    lines = python(COMMAND, tmp_path, TMPDIR=str(tmp_path / "tmp")).splitlines()
    assert lines.pop() == "HEAVY", "the command itself imports nothing of the stack"
    matches = [re.fullmatch(r"(ok     |warning)  (.{14})  (\S.*)", line) for line in lines]
    checks = {match[2].strip(): match for match in matches if match}
    assert list(checks) == NAMES
    assert checks["display"][3] == "none: neither DISPLAY nor WAYLAND_DISPLAY is set"
    assert re.fullmatch(r"ffmpeg \S+ wrote a frame", checks["video encoder"][3])
    rate = re.fullmatch(
        r"TensorFlow and keras-rl import in \d+\.\d s; cartpole trains at (\d+) env steps/s",
        checks["training"][3],
    )
    assert rate
    assert int(rate[1]) > 0
    assert [path.name for path in tmp_path.rglob("*")] == ["tmp"], "nothing is left behind"


def test_each_check_has_one_line_and_its_remedy_below(find, invoke):
    find(FINDINGS)
    outcome = invoke("doctor")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.stdout == (
        "ok       second          well\n"
        "warning  third           old\n"
        "                         renew it\n"
        "                         by hand\n"
        "ok       fourth          well\n"
        "\n"
        "Nothing is broken, 1 warning.\n"
    )


def test_what_is_broken_is_counted_and_ends_in_exit_code_1(find, invoke):
    find({"first": broken("gone", "get it"), "second": ok("well")})
    outcome = invoke("doctor")
    assert outcome.code == 1
    assert outcome.stdout.endswith("\n1 broken, no warnings.\n")


def test_json_has_the_same(find, invoke):
    find({"first": broken("gone", "get it"), **FINDINGS})
    outcome = invoke("doctor", "--json")
    assert outcome.code == 1
    assert outcome.json["ok"] is False
    first, _, third, _ = outcome.json["checks"]
    assert first == {"name": "first", "status": "broken", "found": "gone", "remedy": "get it"}
    assert third == {
        "name": "third",
        "status": "warning",
        "found": "old",
        "remedy": "renew it\nby hand",
    }


def test_a_terminal_shows_the_check_that_runs(find, monkeypatch, capsys):
    from kerasrl_runner.cli.doctor import command

    find(FINDINGS)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    command.main([], standalone_mode=False)
    shown = [f"         {name} …\r\033[K" for name in FINDINGS]
    assert capsys.readouterr().err == "".join(shown) + "\r\033[K"


def test_a_signal_ends_the_doctor_and_its_training(tmp_path):
    note = tmp_path / "pid"
    code = f"import os; open({str(note)!r}, 'w').write(str(os.getpid())); {HANG}"
    path = fake_module(tmp_path, "tensorflow", code)
    child = start("doctor", folder=tmp_path, PYTHONPATH=f"{path}{os.pathsep}{REPOSITORY}")
    try:
        deadline = time.monotonic() + 60
        while not (note.exists() and note.read_text()):
            assert child.poll() is None, child.communicate()
            assert time.monotonic() < deadline, "no training began"
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        outcome = finish(child, timeout=30)
    finally:
        child.kill()
    assert (outcome.code, outcome.stderr.strip()) == (130, "interrupted")
    assert_ended(int(note.read_text()))
