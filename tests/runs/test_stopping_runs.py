"""Ctrl-C and SIGTERM at any moment: once, twice, in a step that takes minutes, while it writes."""

from __future__ import annotations

import os
import random
import signal
import time

import hard_presets
import pytest
from commands import Outcome, finish
from commands import start as start_process
from forked_runs import Fault, results_of, run, start

from kerasrl_runner.cli.signals import Interrupted, interruptible
from kerasrl_runner.files.run_directory import RunDirectory
from kerasrl_runner.weights.file import read_weights

SIGNALS = [signal.SIGINT, signal.SIGTERM]
HINT = "Stopping when the environment's step has ended; a second Ctrl-C stops at once."

slow = pytest.mark.slow


def seconds(limit: float) -> float:
    """`limit` on an idle machine; the processes that others run take their share of it."""
    return limit * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def check_interrupted(outcome: Outcome, directory: RunDirectory) -> None:
    """Exit 130, and on disk: weights, logs, a checkpoint, a record that agrees with them."""
    assert outcome.code == 130, outcome.stderr
    assert "Traceback" not in outcome.stderr
    record = directory.record()
    assert (record.status, record.error) == ("interrupted", None)
    weights = read_weights(directory.weights_file)
    assert weights.attributes["env_steps"] == record.env_steps > 0
    assert directory.log_file.read_text().endswith("\n")
    directory.checkpoint.read()
    assert not list(directory.path.glob(".*"))


def begin(folder, world, engine="reference", **changes):
    preset = hard_presets.write(folder, world, **changes)
    return ["fit", "--engine", engine, "--preset", preset, "--run-dir", "run"]


def test_a_library_that_a_signal_cuts_off_may_fail_in_its_own_way():
    @interruptible()
    def cut_off():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        finally:  # as TensorFlow does while it traces
            raise AssertionError("Concurrent access?")

    with pytest.raises(Interrupted):
        cut_off()


# Each needs a process of its own, and with TensorFlow its five seconds of imports.
PROCESSES = [
    ("reference", signal.SIGINT),
    ("reference", signal.SIGTERM),
    ("compiled", signal.SIGINT),
    pytest.param("compiled", signal.SIGTERM, marks=slow),
    pytest.param("keras-rl", signal.SIGINT, marks=slow),
]


@pytest.mark.parametrize(("engine", "number"), PROCESSES)
def test_one_signal_ends_a_process_within_two_seconds(engine, number, tmp_path):
    child = start_process(
        *("fit", "--engine", engine, "--run-dir", "run", "--checkpoint-every", 100),
        *("--set", "agent.nb_steps_warmup=50"),
        folder=tmp_path,
    )
    directory = RunDirectory(tmp_path / "run")
    try:
        deadline = time.monotonic() + 120
        while not (directory.log_file.exists() and directory.log_file.read_text().count("\n") > 9):
            assert child.poll() is None, child.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        child.send_signal(number)
        sent = time.monotonic()
        outcome = finish(child, timeout=60)
        took = time.monotonic() - sent
    finally:
        child.kill()
    check_interrupted(outcome, directory)
    assert took < seconds(2)
    assert "Go on:   kerasrl-run fit --resume run" in outcome.stdout


@pytest.mark.parametrize("fault", ["sleeps", "computes in C", "catches everything"])
@pytest.mark.parametrize("engine", ["reference", pytest.param("compiled", marks=slow)])
def test_in_a_step_of_minutes_the_first_signal_says_so_and_the_second_ends_it(
    engine, fault, tmp_path
):
    arguments = begin(tmp_path, "Slow", engine, env={"kwargs": {"fault": fault, "at": 60}})
    child = start(*arguments, "--checkpoint-every", 20, folder=tmp_path)
    child.wait_for((tmp_path / "slow").exists)
    time.sleep(0.2)
    child.send(signal.SIGINT)
    child.wait_for(lambda: HINT in child.said("stderr"), limit=seconds(3))
    assert child.running()
    sent = child.send(signal.SIGINT)
    outcome = child.finish(limit=30)
    assert time.monotonic() - sent < seconds(2)
    assert outcome.code == 130
    assert "Traceback" not in outcome.stderr
    directory = RunDirectory(tmp_path / "run")
    assert directory.record().status == "interrupted"
    assert directory.checkpoint.read().scalars["environment"]["env_steps"] == 60
    if fault == "sleeps":  # Python was heeded
        check_interrupted(outcome, directory)


def test_the_hint_is_not_given_where_the_step_ends_soon(tmp_path):
    arguments = begin(tmp_path, "Slow", env={"kwargs": {"fault": "takes a little"}})
    child = start(*arguments, "--json", folder=tmp_path)
    child.wait_for((tmp_path / "slow").exists)
    child.send(signal.SIGINT)
    outcome = child.finish(limit=20)
    directory = RunDirectory(tmp_path / "run")
    check_interrupted(outcome, directory)
    assert outcome.stderr == ""
    record = directory.record()
    printed = tuple(outcome.json[key] for key in ("status", "env_steps", "episodes"))
    assert printed == (record.status, record.env_steps, record.episodes)


def test_a_close_that_hangs_costs_a_second_signal_and_no_weights(tmp_path):
    arguments = begin(tmp_path, "Slow", env={"kwargs": {"fault": "close sleeps"}})
    child = start(*arguments, "--steps", 100, folder=tmp_path)
    child.wait_for((tmp_path / "closing").exists)
    directory = RunDirectory(tmp_path / "run")
    assert read_weights(directory.weights_file).attributes["env_steps"] == 100
    child.send(signal.SIGTERM)
    time.sleep(0.2)
    sent = child.send(signal.SIGTERM)
    outcome = child.finish(limit=20)
    assert time.monotonic() - sent < seconds(2)
    assert "Traceback" not in outcome.stderr
    # The training itself was done.
    assert (outcome.code, directory.record().status) == (130, "finished")


@pytest.mark.parametrize("engine", ["reference", pytest.param("compiled", marks=slow)])
def test_a_signal_during_an_evaluation_ends_it(engine, tmp_path):
    evaluate = {"every_steps": 50, "episodes": 10**6, "nb_max_episode_steps": 10}
    child = start(*begin(tmp_path, "Walk", engine, evaluate=evaluate), folder=tmp_path)
    log = tmp_path / "run" / "log.csv"
    # The fifth episode ends with the evaluation.
    child.wait_for(lambda: log.exists() and log.read_text().count("\n") == 5)
    time.sleep(0.3)
    sent = child.send(signal.SIGTERM)
    outcome = child.finish(limit=30)
    assert time.monotonic() - sent < seconds(2)
    directory = RunDirectory(tmp_path / "run")
    check_interrupted(outcome, directory)
    assert directory.record().env_steps == 50
    assert directory.evaluation_file.read_text().count("\n") == 1  # no score of fewer episodes


@pytest.mark.parametrize("twice", [False, pytest.param(True, marks=slow)], ids=["once", "twice"])
@pytest.mark.parametrize(
    "place",
    [("array", 30, "before"), ("fsync", 33, "after"), ("replace", 12, "before"),
     ("unlink", 14, "before"), ("text", 5, "middle")],
    ids=lambda p: f"{p[0]}-{p[1]}-{p[2]}",
)  # fmt: skip
def test_a_signal_while_the_checkpoint_is_written_leaves_a_whole_one(
    place, twice, whole_walk, tmp_path
):
    fault = Fault(*place, "SIGINT SIGINT" if twice else "SIGTERM")
    arguments = [*begin(tmp_path, "Walk"), "--checkpoint-every", 30]
    outcome = run(*arguments, folder=tmp_path, fault=fault)
    check_interrupted(outcome, RunDirectory(tmp_path / "run"))
    again = run("fit", "--resume", "run", folder=tmp_path)
    assert (again.code, again.stderr) == (0, "")
    assert results_of(tmp_path / "run") == whole_walk
    left = {path.name.split("-")[0] for path in (tmp_path / "run" / "checkpoint").iterdir()}
    assert left == {"best", "checkpoint.json", "replay", "state"}


@pytest.fixture(scope="module")
def whole_walk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("walk")
    assert run(*begin(folder, "Walk"), "--checkpoint-every", 30, folder=folder).code == 0
    return results_of(folder / "run")


MOMENTS = [pytest.param(n, marks=[slow] if n else []) for n in range(30)]


@pytest.mark.parametrize("number", MOMENTS)
def test_a_signal_before_the_training_ends_the_command_at_once(number, tmp_path):
    rng = random.Random(number)
    endless = ("--steps", 10**6, "--set", "evaluate.every_steps=0")
    child = start_process("fit", "--run-dir", "run", *endless, folder=tmp_path)
    try:
        # From the first import on: before it there is no Python to answer.
        time.sleep(rng.uniform(0.3, 6.0))
        child.send_signal(rng.choice(SIGNALS))
        sent = time.monotonic()
        outcome = finish(child, timeout=60)
        took = time.monotonic() - sent
    finally:
        child.kill()
    assert outcome.code == 130, outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert "Exception ignored" not in outcome.stderr
    assert took < seconds(2)
    directory = RunDirectory(tmp_path / "run")
    if directory.record_file.exists():
        check_interrupted(outcome, directory)


@pytest.mark.parametrize("number", SIGNALS, ids=lambda n: n.name)
def test_a_worker_of_the_environment_ends_where_it_is_told_to(number, tmp_path):
    arguments = begin(tmp_path, "Worker")
    child = start(*arguments, "--steps", 10_000, folder=tmp_path)
    log = tmp_path / "run" / "log.csv"
    child.wait_for(lambda: log.exists() and log.read_text().count("\n") > 3)
    child.send(number)
    outcome = child.finish(limit=20)  # close() waits for the worker
    check_interrupted(outcome, RunDirectory(tmp_path / "run"))
    assert outcome.stderr == ""


def test_an_environment_that_fails_of_the_signal_is_no_failure(tmp_path):
    kwargs = {"fault": "step signal", "at": 150}
    outcome = run(*begin(tmp_path, "Broken", env={"kwargs": kwargs}), folder=tmp_path)
    assert outcome.code == 130, outcome.stderr
    record = RunDirectory(tmp_path / "run").record()
    assert record.status == "interrupted"
    assert "BrokenPipeError" in (record.error or "")
    assert read_weights(tmp_path / "run" / "weights.h5").attributes["env_steps"] > 100
