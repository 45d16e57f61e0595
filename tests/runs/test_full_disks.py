"""A disk that is full or read-only: a clear error, a whole checkpoint, and the same end later."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from commands import Outcome, finish
from commands import start as start_process
from disks import fill_disk
from forked_runs import Fault, results_of, run, start

from kerasrl_runner.files.run_directory import RunDirectory

BEGIN = """
fit --engine reference --steps 1500 --checkpoint-every 100 --run-dir disk/run
--set agent.nb_steps_warmup=200 --set evaluate.every_steps=200 --set evaluate.episodes=2
--set evaluate.stop_at_return=600 --set memory.limit=1000
""".split()
RESUME = ["fit", "--resume", "disk/run"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    assert run(*BEGIN, folder=folder).code == 0
    return folder


@pytest.fixture(scope="module")
def whole(uninterrupted):
    """What it left."""
    return results_of(uninterrupted / "disk" / "run")


@pytest.fixture(scope="module")
def calls(uninterrupted):
    """What it called how often."""
    (file,) = uninterrupted.glob("calls-*")
    return json.loads(file.read_text())


def check_reported(outcome: Outcome, *words: str) -> None:
    """One error with its cause, a remedy, and nothing of Python's."""
    assert outcome.code == 1, outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert "Exception ignored" not in outcome.stderr
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("error: cannot write ")
    for word in words:
        assert word in line


def check_goes_on(whole: dict[str, bytes], folder: Path, begin: bool = False) -> None:
    if begin:
        shutil.rmtree(folder / "disk" / "run", ignore_errors=True)
    again = run(*(BEGIN if begin else RESUME), folder=folder)
    assert (again.code, again.stderr) == (0, "")
    assert results_of(folder / "disk" / "run") == whole
    assert not [path for path in (folder / "disk" / "run").iterdir() if path.name[0] == "."]


def test_a_disk_that_fills_up_stops_the_process_and_leaves_the_checkpoint_whole(
    disk, whole, tmp_path
):
    child = start_process(*BEGIN, folder=tmp_path)
    log = disk / "run" / "log.csv"
    while not (log.exists() and log.read_text().count("\n") > 12):
        assert child.poll() is None, child.communicate()
    filler = fill_disk(disk)
    outcome = finish(child, timeout=60)
    check_reported(outcome, "No space left on device", "--resume disk/run")
    directory = RunDirectory(disk / "run")
    assert directory.record().status in ("failed", "interrupted")
    assert directory.checkpoint.read().scalars["learner"]["env_step"] > 0
    filler.unlink()
    check_goes_on(whole, tmp_path)


def test_a_full_disk_at_the_start_is_reported_and_the_same_command_begins_later(
    disk, whole, tmp_path
):
    filler = fill_disk(disk)
    check_reported(run(*BEGIN, folder=tmp_path), "No space left on device", "disk/run/preset.toml")
    filler.unlink()
    check_goes_on(whole, tmp_path, begin=True)


# In order: preset.toml, checkpoint.json and run.json as the run begins, then checkpoints.
PLACES = {
    Fault("text", 1, "before", "ENOSPC"): "preset.toml",
    Fault("text", 2, "middle", "ENOSPC"): "checkpoint.json",
    Fault("text", 3, "middle", "ENOSPC"): "run.json",
    Fault("array", 20, "middle", "ENOSPC"): "checkpoint/",
    Fault("bytes", 1, "middle", "ENOSPC"): "best.h5",
    Fault("row", 10, "before", "ENOSPC"): "log.csv",
    Fault("fsync", 21, "before", "ENOSPC"): "",
    Fault("replace", 11, "before", "ENOSPC"): "",
}


@pytest.mark.parametrize("fault", PLACES, ids=lambda f: f"{f.call}-{f.number}-{f.moment}")
def test_wherever_the_space_ends_the_first_error_is_reported_and_the_run_goes_on(
    fault, whole, tmp_path
):
    outcome = run(*BEGIN, folder=tmp_path, fault=fault)
    check_reported(outcome, "No space left on device", PLACES[fault])
    directory = RunDirectory(tmp_path / "disk" / "run")
    begun = directory.record_file.exists()
    if begun:
        assert directory.record().status in ("failed", "interrupted")
        directory.checkpoint.read()
    assert ("--resume disk/run" in outcome.stderr) == begun
    check_goes_on(whole, tmp_path, begin=not begun)


@pytest.mark.parametrize(("call", "file"), [("bytes", "weights.h5"), ("text", "run.json")])
def test_a_result_that_cannot_be_written_is_an_error(call, file, whole, calls, tmp_path):
    outcome = run(*BEGIN, folder=tmp_path, fault=Fault(call, calls[call], "middle", "ENOSPC"))
    check_reported(outcome, "No space left on device", file, "--resume disk/run")
    assert outcome.stdout == ""
    assert RunDirectory(tmp_path / "disk" / "run").record().status == "interrupted"
    check_goes_on(whole, tmp_path)


def test_a_read_only_folder_is_reported_and_left_alone(disk, tmp_path):
    assert run(*BEGIN, "--steps", 300, folder=tmp_path).code == 0
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    begun = run(*BEGIN[:-2], "--run-dir", "disk/other", folder=tmp_path)
    assert (begun.code, begun.stdout) == (1, "")
    assert begun.stderr.startswith("error: cannot make the run directory disk/other: Read-only")
    resumed = run(*RESUME, "--steps", 600, folder=tmp_path)
    assert (resumed.code, resumed.stdout) == (1, "")
    assert resumed.stderr.startswith("error: cannot write into disk/run: Read-only file system.")
    assert RunDirectory(disk / "run").record().status == "finished"


def test_a_folder_that_becomes_read_only_stops_the_run_with_its_checkpoint_whole(whole, tmp_path):
    child = start(*BEGIN, folder=tmp_path)
    checkpoint = tmp_path / "disk" / "run" / "checkpoint"
    log = tmp_path / "disk" / "run" / "log.csv"
    child.wait_for(lambda: log.exists() and log.read_text().count("\n") > 12)
    if subprocess.run(["chattr", "+i", str(checkpoint)], capture_output=True).returncode:
        child.finish()
        pytest.skip("this file system or process cannot make a folder immutable")
    try:
        outcome = child.finish()
    finally:
        subprocess.run(["chattr", "-i", str(checkpoint)], check=True)
    check_reported(outcome, "Operation not permitted", "checkpoint", "--resume disk/run")
    assert RunDirectory(tmp_path / "disk" / "run").record().status == "failed"
    check_goes_on(whole, tmp_path)
