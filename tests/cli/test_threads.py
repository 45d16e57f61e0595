"""The threads of NumPy and of TensorFlow in a process of `kerasrl-run`."""

from __future__ import annotations

import json
import os

import pytest
from commands import python, run

CODE = """
import os, time
from kerasrl_runner.cli import main
try:
    main(["presets", "list"])
except SystemExit:
    pass
import numpy
# The command's own thread, which heeds signals, has ended, and may be listed for a moment yet.
deadline = time.monotonic() + 10
while len(os.listdir("/proc/self/task")) > EXPECTED and time.monotonic() < deadline:
    pass
print(len(os.listdir("/proc/self/task")))
"""


@pytest.mark.parametrize(
    ("environment", "threads"),
    [
        ({}, 1),
        ({"KERASRL_THREADS": "2"}, 2),
        ({"KERASRL_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}, 1),
    ],
)
def test_numpy_computes_on_as_many_threads_as_tensorflow(tmp_path, environment, threads):
    asked = {"KERASRL_THREADS": "", "OPENBLAS_NUM_THREADS": "", **environment}
    expected = min(threads, os.cpu_count() or 1)
    code = CODE.replace("EXPECTED", str(expected))
    assert int(python(code, tmp_path, **asked).splitlines()[-1]) == expected


SHORT = ["--steps", "120", "--set", "agent.nb_steps_warmup=60", "--set", "evaluate.every_steps=0"]


def train(preset, name, folder, **environment):
    """The run directory of a short training on as many threads as it chooses."""
    asked = {"KERASRL_THREADS": "", **environment}
    outcome = run("fit", "--preset", preset, "--run-dir", name, *SHORT, folder=folder, **asked)
    assert outcome.code == 0, outcome.stderr
    return folder / name


def threads_of(run_directory):
    return set(json.loads((run_directory / "run.json").read_text())["threads"].values())


def test_convolutions_over_screens_use_all_cores_and_compute_the_same_twice(tmp_path):
    first, second = (train("atari-breakout", name, tmp_path) for name in ("first", "second"))
    assert threads_of(first) == {len(os.sched_getaffinity(0))}
    assert (first / "weights.h5").read_bytes() == (second / "weights.h5").read_bytes()


def test_small_networks_use_one_thread_and_a_run_that_goes_on_with_more_says_so(tmp_path):
    begun = train("minatar-breakout", "begun", tmp_path)
    assert threads_of(begun) == {1}
    outcome = run("fit", "--resume", begun, "--steps", "200", folder=tmp_path, KERASRL_THREADS="2")
    assert outcome.code == 0, outcome.stderr
    said = outcome.stdout + outcome.stderr
    assert "{'intra_op': 1, 'inter_op': 1}, and goes on with {'intra_op': 2, 'inter_op': 2}" in said
