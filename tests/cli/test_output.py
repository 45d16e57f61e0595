"""stdout: one JSON object where that is asked for, and an error where it cannot be written."""

from __future__ import annotations

import os
import subprocess

import pytest
from commands import COMMAND, child_environment, run
from test_own_environments import PRESET, copy_worlds

SHORT = ["--engine", "reference", "--steps", 40, "--set", "evaluate.every_steps=0"]


def test_json_is_alone_on_stdout_whatever_the_environment_prints(tmp_path):
    copy_worlds(tmp_path)
    (tmp_path / "mine.toml").write_text(PRESET.format(id="worlds:Printing-v0"))
    for arguments in (["fit", "--preset", "mine.toml", *SHORT], ["test", "--episodes", 1]):
        outcome = run(*arguments, "--json", folder=tmp_path)
        assert outcome.code == 0, outcome.stderr
        assert (outcome.json["preset"], outcome.json["engine"]) == ("mine", "reference")
        for way in ("Python", "C", "a child process"):
            assert f"printed by {way}\n" in outcome.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["presets", "list"],
        ["fit", *SHORT],
        ["test", "--engine", "reference", "--episodes", 1, "--json"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_full_stdout_is_an_error_in_one_line(arguments, tmp_path):
    with open("/dev/full", "w", encoding="ascii") as full:
        ended = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            cwd=tmp_path,
            env=child_environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    *before, last = ended.stderr.splitlines()
    assert last == "error: cannot write the output: No space left on device"
    assert [line for line in before if not line.startswith("Testing ")] == []


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    child = subprocess.Popen(
        [*COMMAND, "presets", "show", "cartpole"],
        cwd=tmp_path,
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    child.stdout.close()
    assert child.stderr.read() == ""
    assert child.wait() == 1


@pytest.mark.parametrize("command", ["fit", "runs"])
def test_a_working_folder_that_was_deleted_is_an_error_in_one_line(
    command, invoke, tmp_path, monkeypatch
):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    os.rmdir(tmp_path / "gone")
    outcome = invoke(*command.split())
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr.startswith("error: the working folder was deleted.")
    assert outcome.stderr.count("\n") == 1
