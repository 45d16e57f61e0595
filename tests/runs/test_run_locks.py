"""One writer a run directory, and no run that says `running` without a process."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time

import hard_presets
import pytest
from forked_runs import start

from kerasrl_runner.errors import RunError
from kerasrl_runner.files.lock import is_locked, locked
from kerasrl_runner.files.run_directory import RunDirectory, all_runs, find_run


@pytest.fixture
def running(tmp_path, monkeypatch):
    """A run of minutes under runs/, with a checkpoint."""
    monkeypatch.setenv("KERASRL_RUNS", str(tmp_path / "runs"))
    preset = hard_presets.write(tmp_path, "Slow", env={"kwargs": {"fault": "takes a little"}})
    arguments = ["fit", "--engine", "reference", "--preset", preset, "--run-dir", "runs/slow-1"]
    child = start(*arguments, "--checkpoint-every", 20, folder=tmp_path)
    child.wait_for((tmp_path / "slow").exists)
    yield child
    if child.running():
        child.send(signal.SIGKILL)


def refused(child, *words):
    outcome = child.finish(limit=20)
    assert (outcome.code, outcome.stdout) == (1, "")
    for word in words:
        assert word in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_run_with_a_process_is_running_and_without_it_interrupted(running, tmp_path):
    directory = RunDirectory(tmp_path / "runs" / "slow-1")
    assert directory.record().status == "running"
    assert [record.status for _, record in all_runs()] == ["running"]
    running.send(signal.SIGKILL)
    running.finish()
    assert directory.record().status == "interrupted"
    assert [record.status for _, record in all_runs()] == ["interrupted"]
    assert find_run("latest").record().status == "interrupted"
    assert find_run("slow").record().status == "interrupted"


def test_a_second_process_is_refused_and_the_first_goes_on(running, tmp_path):
    directory = RunDirectory(tmp_path / "runs" / "slow-1")
    preset, record = directory.preset_file.stat(), directory.record_file.stat()
    second = start("fit", "--resume", "runs/slow-1", folder=tmp_path)
    refused(second, "runs/slow-1 is being written by another process. Wait for it, or stop it.")
    third = start("fit", "--run-dir", "runs/slow-1", folder=tmp_path)
    refused(third, "the run directory runs/slow-1 is not empty")
    assert directory.preset_file.stat().st_ino == preset.st_ino
    assert directory.record_file.stat().st_ino == record.st_ino
    rows = directory.log_file.read_text().count("\n")
    running.wait_for(lambda: directory.log_file.read_text().count("\n") > rows)


def test_of_two_that_begin_in_one_folder_one_does(tmp_path):
    preset = hard_presets.write(tmp_path, "Walk", evaluate={"every_steps": 0})
    arguments = ["fit", "--engine", "reference", "--preset", preset, "--steps", 100]
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        children = [
            start(*arguments, "--seed", seed, "--run-dir", number, folder=tmp_path)
            for seed in (1, 2)
        ]
        outcomes = [child.finish() for child in children]
        assert sorted(outcome.code for outcome in outcomes) == [0, 1]
        winner = [outcome.code for outcome in outcomes].index(0) + 1
        assert RunDirectory(tmp_path / str(number)).record().seed == winner
        assert (
            "not empty" in outcomes[2 - winner].stderr or "another" in outcomes[2 - winner].stderr
        )


def test_a_worker_that_outlives_its_run_does_not_hold_the_lock(tmp_path):
    preset = hard_presets.write(tmp_path, "Worker", env={"kwargs": {"orphan": True}})
    arguments = ["fit", "--engine", "reference", "--preset", preset, "--run-dir", "run"]
    child = start(*arguments, folder=tmp_path)
    pid_file = tmp_path / "worker"
    child.wait_for(lambda: pid_file.exists() and pid_file.read_text())
    worker = int(pid_file.read_text())
    try:
        assert is_locked(tmp_path / "run")
        child.send(signal.SIGKILL)
        child.finish()
        os.kill(worker, 0)  # it lives
        assert not is_locked(tmp_path / "run")
        assert RunDirectory(tmp_path / "run").record().status == "interrupted"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)


def test_asking_for_the_status_keeps_nobody_from_writing(tmp_path):
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            is_locked(tmp_path)

    with locked(tmp_path):
        pass
    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    try:
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            with locked(tmp_path):
                pass
    finally:
        over.set()
        for asker in askers:
            asker.join()


def test_the_own_lock_is_seen_and_ends_with_an_error_too(tmp_path):
    assert not is_locked(tmp_path)

    def fail_within() -> None:
        with locked(tmp_path):
            assert is_locked(tmp_path)
            with pytest.raises(RunError, match="another process"), locked(tmp_path):
                pass
            assert is_locked(tmp_path)
            raise KeyError

    with pytest.raises(KeyError):
        fail_within()
    assert not is_locked(tmp_path)


def test_a_folder_that_is_not_there_is_a_run_error_and_not_locked(tmp_path):
    with pytest.raises(RunError, match="cannot write into"), locked(tmp_path / "nowhere"):
        pass
    assert not is_locked(tmp_path / "nowhere")
