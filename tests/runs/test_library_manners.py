"""`import kerasrl_runner` in a program of one's own: what fit leaves to its host, and as it was."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

import hard_presets
import hard_worlds
import numpy as np
import pytest
from commands import python
from forked_runs import run

import kerasrl_runner
from kerasrl_runner.engines import build_learner
from kerasrl_runner.engines.learner import Listener, StepEvent
from kerasrl_runner.errors import RunError, UsageError
from kerasrl_runner.files.run_directory import RunDirectory, find_run
from kerasrl_runner.preset import load_preset
from kerasrl_runner.weights.file import WeightsFile, read_weights

slow = pytest.mark.slow


@pytest.fixture
def at_step_150() -> Iterator[Any]:
    """Set what the environment Calls calls in its 150th env step."""
    kept = hard_worlds.Calls.function

    def set_function(function: Any) -> None:
        hard_worlds.Calls.function = staticmethod(function)

    yield set_function
    hard_worlds.Calls.function = staticmethod(kept)


def interrupt() -> None:
    """What Ctrl-C does to a program without signal handlers of its own."""
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("engine", ["reference", "compiled", pytest.param("keras-rl", marks=slow)])
def test_ctrl_c_writes_everything_and_ends_the_loop_of_the_host(engine, at_step_150, tmp_path):
    at_step_150(interrupt)
    preset = tmp_path / hard_presets.write(tmp_path, "Calls", evaluate={"every_steps": 0})
    begun = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        for seed in range(3):
            begun.append(seed)
            run_dir = tmp_path / f"run-{seed}"
            kerasrl_runner.fit(
                preset, engine=engine, seed=seed, run_dir=run_dir, checkpoint_every=40
            )
    assert begun == [0]
    directory = RunDirectory(tmp_path / "run-0")
    record = directory.record()
    assert (record.status, record.error, record.env_steps) == ("interrupted", None, 150)
    assert read_weights(directory.weights_file).attributes["env_steps"] == 150
    assert directory.log_file.read_text().count("\n") == 16
    at_step_150(lambda: None)
    assert kerasrl_runner.resume(directory.path).env_steps == 400


def arrays_of(weights: WeightsFile) -> bytes:
    return b"".join(value.tobytes() for layer in weights.layers for _, value in layer.weights)


class WholeUpdates(Listener):
    """Collects the weights between two env steps."""

    def __init__(self, learner: Any) -> None:
        self.learner = learner
        self.seen = {arrays_of(learner.exported_weights())}

    def on_step(self, event: StepEvent) -> None:
        self.seen.add(arrays_of(self.learner.exported_weights()))


class InterruptInUpdate:
    """A trace function: Ctrl-C at the `number`th line that an optimizer of `reference` runs."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        in_optimizer = code.co_filename.endswith("/reference/optimizers.py")
        return self.count_lines if in_optimizer and code.co_name != "__post_init__" else None

    def count_lines(self, frame: FrameType, event: str, argument: Any) -> Any:
        self.left -= event == "line"
        if self.left == 0:
            sys.settrace(None)
            raise KeyboardInterrupt
        return self.count_lines


@pytest.mark.parametrize("optimizer", [{"Adam": {}}, {"RMSprop": {"momentum": 0.5}}, {"SGD": {}}])
def test_no_update_of_the_reference_is_left_half_done(optimizer, tmp_path):
    changes = {"evaluate": {"every_steps": 0}, "optimizer": optimizer}
    path = tmp_path / hard_presets.write(tmp_path, "Walk", **changes)
    learner = build_learner(load_preset(path), 0, "reference")
    whole = WholeUpdates(learner)
    learner.train(60, [whole])
    tracing = sys.gettrace()
    for number in range(1, 25):  # More than the lines of an update.
        directory = RunDirectory(tmp_path / str(number))
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012
            sys.settrace(InterruptInUpdate(number))
            try:
                kerasrl_runner.fit(path, engine="reference", steps=60, run_dir=directory.path)
            finally:
                sys.settrace(tracing)
        weights = read_weights(directory.weights_file)
        assert arrays_of(weights) in whole.seen
        assert weights.attributes["env_steps"] == directory.record().env_steps > 30


def test_sigterm_is_left_to_the_host(at_step_150, tmp_path):
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        at_step_150(lambda: os.kill(os.getpid(), signal.SIGTERM))
        preset = tmp_path / hard_presets.write(tmp_path, "Calls", evaluate={"every_steps": 0})
        result = kerasrl_runner.fit(preset, engine="reference", run_dir=tmp_path / "run")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (received, result.status) == ([signal.SIGTERM], "finished")


def test_the_random_streams_of_the_host_stay_as_they_were(tmp_path):
    preset = tmp_path / hard_presets.write(tmp_path, "Walk")
    failing = tmp_path / hard_presets.write(
        tmp_path, "Broken", "failing", env={"kwargs": {"fault": "step raises", "at": 20}}
    )

    def draw() -> tuple[float, float]:
        return random.random(), float(np.random.random())

    random.seed(1)
    np.random.seed(1)
    expected = [draw() for _ in range(4)]
    random.seed(1)
    np.random.seed(1)
    drawn = [draw()]
    kerasrl_runner.fit(preset, steps=50, run_dir=tmp_path / "run")
    drawn.append(draw())
    kerasrl_runner.test(run=str(tmp_path / "run"), episodes=1)
    drawn.append(draw())
    with pytest.raises(kerasrl_runner.errors.RunnerError):
        kerasrl_runner.fit(failing, steps=50, run_dir=tmp_path / "failed")
    drawn.append(draw())
    assert drawn == expected


def test_a_second_training_at_the_same_time_is_refused(at_step_150, tmp_path):
    stepping, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        stepping.set()
        assert go_on.wait(60)

    at_step_150(wait)
    preset = tmp_path / hard_presets.write(tmp_path, "Calls", evaluate={"every_steps": 0})
    results = []
    first = threading.Thread(
        target=lambda: results.append(
            kerasrl_runner.fit(preset, engine="reference", run_dir=tmp_path / "first")
        )
    )
    first.start()
    try:
        assert stepping.wait(60)
        for second in (
            lambda: kerasrl_runner.fit(preset, engine="reference", run_dir=tmp_path / "second"),
            lambda: kerasrl_runner.resume(tmp_path / "first"),
            lambda: kerasrl_runner.test(run=str(tmp_path / "first")),
        ):
            with pytest.raises(RunError, match="another training or test is going on"):
                second()
    finally:
        go_on.set()
        first.join()
    assert results[0].status == "finished"
    assert not (tmp_path / "second").exists()


def test_the_reference_engine_imports_no_tensorflow(tmp_path):
    code = """
import sys
import kerasrl_runner
kerasrl_runner.fit("cartpole", engine="reference", steps=400, run_dir="run")
kerasrl_runner.resume("run", steps=600)
print([name for name in ("tensorflow", "keras", "tf_keras", "rl") if name in sys.modules])
"""
    assert python(code, tmp_path).strip() == "[]"


def test_integers_of_numpy_are_integers(tmp_path):
    result = kerasrl_runner.fit(
        "cartpole",
        engine="reference",
        seed=np.int64(1),
        steps=np.int32(60),
        checkpoint_every=np.uint8(20),
        run_dir=tmp_path / "run",
    )
    assert (result.seed, result.env_steps) == (1, 60)
    assert kerasrl_runner.resume(tmp_path / "run", steps=np.int64(80)).env_steps == 80
    tested = kerasrl_runner.test(weights=result.weights, episodes=np.int64(1), seed=np.int64(3))
    assert len(tested.score.episodes) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("steps", 600.0), ("steps", "600"), ("seed", 1.0), ("seed", None), ("checkpoint_every", 5.5)],
)
def test_what_is_no_whole_number_is_refused_before_anything_is_made(name, value, tmp_path):
    with pytest.raises(UsageError, match=f"expected a whole number, received {value!r}"):
        kerasrl_runner.fit("cartpole", engine="reference", **{name: value})
    assert not (tmp_path / "runs").exists()


def test_wrong_engines_are_refused_before_anything_is_made(tmp_path):
    for call in (kerasrl_runner.fit, kerasrl_runner.build):
        with pytest.raises(UsageError, match='no engine "compield"'):
            call("cartpole", engine="compield")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("engine", ["reference", pytest.param("compiled", marks=slow)])
def test_a_forked_child_that_ends_by_sys_exit_leaves_the_run_to_its_parent(engine, tmp_path):
    results = []
    for world in ("Walk", "Forks"):
        folder = tmp_path / world
        folder.mkdir()
        preset = hard_presets.write(folder, world, evaluate={"every_steps": 0})
        done = run("fit", "--engine", engine, "--preset", preset, "--run-dir", "run", folder=folder)
        assert (done.code, done.stderr) == (0, "")
        directory = RunDirectory(folder / "run")
        record = directory.record()
        assert (record.status, record.error, record.env_steps) == ("finished", None, 400)
        results.append(arrays_of(read_weights(directory.weights_file)))
    assert results[0] == results[1]
    assert (tmp_path / "Forks" / "code").read_text() == "7"


@pytest.mark.parametrize("checkpoint_every", [40, 0])
def test_a_run_whose_folder_was_deleted_says_so_and_does_not_make_it_again(
    checkpoint_every, tmp_path
):
    run_dir = tmp_path / "run"
    preset = tmp_path / hard_presets.write(
        tmp_path, "Deletes", env={"kwargs": {"folder": str(run_dir)}}, evaluate={"every_steps": 0}
    )
    with pytest.raises(RunError, match="was deleted or moved while the run was going on"):
        kerasrl_runner.fit(
            preset, engine="reference", run_dir=run_dir, checkpoint_every=checkpoint_every
        )
    assert not run_dir.exists()


def test_latest_is_the_newest_whatever_the_time_zone_of_the_shell(monkeypatch):
    """The second is begun where it is earlier in the day."""
    with monkeypatch.context() as patch:
        for zone in ("Asia/Tokyo", "America/New_York"):
            patch.setenv("TZ", zone)
            time.tzset()
            newest = kerasrl_runner.fit(
                "cartpole", engine="reference", steps=1050, evaluate={"every_steps": 0}
            ).run
    time.tzset()
    assert str(find_run("latest").path) == newest
