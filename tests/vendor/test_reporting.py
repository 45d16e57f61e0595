"""What is stored, measured and reported (D4, D15, D28, D29)."""

from __future__ import annotations

import csv
import json
import math
from collections import deque
from pathlib import Path

import numpy as np
import pytest
from agents.support import constant, make_agent

from kerasrl_runner.agents.compiled import CompiledDQNAgent
from kerasrl_runner.errors import WeightsError
from kerasrl_runner.keras_rl import (
    Callback,
    FileLogger,
    GreedyQPolicy,
    ModelIntervalCheckpoint,
    SequentialMemory,
    keras,
)
from kerasrl_runner.preset import load_preset
from kerasrl_runner.runs.training import fit
from kerasrl_runner.vendor import rl_callbacks, rl_memory
from kerasrl_runner.weights.file import read_weights


def test_D4_the_vendors_memory_is_made_of_deques():
    """A deque is walked from its end to each of the entries that are drawn."""
    memory = rl_memory.SequentialMemory(limit=10, window_length=1)
    assert all(isinstance(part, deque) for part in (memory.observations, memory.rewards))


def test_D4_a_sample_is_one_look_up_in_contiguous_entries():
    memory = SequentialMemory(1_000, 1, generator=np.random.default_rng(0))
    memory.append(np.zeros(4, np.float32), 0, 0.0, False)
    assert memory._entries.shape == (1_000,)
    assert memory._entries.flags.c_contiguous
    assert memory._entries["observation"].base is memory._entries  # an entry's fields lie together


def test_D15_the_td_error_is_that_of_the_taken_action():
    """On one transition over and over each TD error is the same, so the loss tells its size."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.layers.Flatten(input_shape=(1, 2)), keras.layers.Dense(7)])
    agent = CompiledDQNAgent(
        model,
        GreedyQPolicy(),
        nb_actions=7,
        memory=SequentialMemory(50, 1),
        batch_size=8,
        nb_steps_warmup=8,
        target_model_update=0.1,
    )
    agent.compile(keras.optimizers.SGD(learning_rate=1e-6), metrics=["mae"])
    agent.training = True
    metrics: list[float] = [math.nan]
    while math.isnan(metrics[0]):
        agent.recent_observation, agent.recent_action = np.ones(2, np.float32), 3
        metrics = agent.backward(2.0, False)
        agent.step += 1
    assert agent.metrics_names == ["loss", "mae", "mean_q"]
    assert metrics[1] == pytest.approx(math.sqrt(2 * metrics[0]), rel=1e-4)


def test_D28_the_vendors_file_logger_writes_what_is_no_json(tmp_path):
    logger = rl_callbacks.FileLogger(str(tmp_path / "log.json"))
    logger.data = {"episode": [0], "loss": [math.nan]}
    logger.save_data()
    with pytest.raises(ValueError, match="NaN"):
        json.loads((tmp_path / "log.json").read_text(), parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(constant)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run in a folder whose name has braces."""
    folder = tmp_path_factory.mktemp("runs") / "a {b} {step}"
    sections = {"evaluate": {"every_steps": 50, "episodes": 1}}
    preset = load_preset("cartpole", sections=sections)
    fit(preset, engine="reference", steps=120, run_dir=folder)
    return folder


def test_D28_the_file_logger_writes_strict_json_through_fits_and_tests(tmp_path):
    agent = make_agent(nb_steps_warmup=10)
    logger = FileLogger(tmp_path / "new" / "log.json", interval=1)
    for loop, count in ((agent.fit, 25), (agent.fit, 12), (agent.test, 2)):
        loop(constant(), count, callbacks=[logger], verbose=0, nb_max_episode_steps=8)
    text = (tmp_path / "new" / "log.json").read_text()
    data = json.loads(text, parse_constant=_refuse)
    assert data["episode"] == [0, 1, 2, 0, 0, 1]
    assert data["nb_episode_steps"] == [8] * 6
    assert data["episode_reward"] == [8.0] * 6
    learned = [loss is not None for loss in data["loss"]]
    assert learned == [False, True, True, True, False, False]
    assert {len(column) for column in data.values()} == {6}


def test_D28_the_file_logger_writes_at_its_interval_and_at_the_end(tmp_path):
    path, episodes = tmp_path / "log.json", []

    class Reading(Callback):
        def on_episode_end(self, episode, logs=None):
            data = json.loads(path.read_text()) if path.exists() else {"episode": []}
            episodes.append(data["episode"])

    logger = FileLogger(str(path), interval=2)
    make_agent().fit(
        constant(), 12, callbacks=[logger, Reading()], verbose=0, nb_max_episode_steps=3
    )
    assert episodes == [[0], [0], [0, 1, 2], [0, 1, 2]]
    assert json.loads(path.read_text())["episode"] == [0, 1, 2, 3]


def test_D28_logs_hold_numbers_and_nothing_where_there_is_none(run):
    rows = list(csv.DictReader((run / "log.csv").open()))
    assert rows
    for row in rows:
        assert row["loss"] == ""  # nothing was learned during the warm-up
        assert math.isfinite(float(row["return"]))
    json.loads((run / "run.json").read_text(), parse_constant=_refuse)


def test_D29_the_vendors_checkpoints_take_no_path_and_no_braces():
    callback = rl_callbacks.ModelIntervalCheckpoint(Path("weights.h5"), interval=1)
    with pytest.raises(AttributeError, match="format"):
        callback.on_step_end(0)
    callback = rl_callbacks.ModelIntervalCheckpoint("{mine}.h5", interval=1)
    with pytest.raises(KeyError, match="mine"):
        callback.on_step_end(0)


def test_D29_weights_are_written_under_any_path(run):
    assert read_weights(run / "weights.h5").attributes["env_steps"] == 120
    assert read_weights(run / "best.h5").layers


def test_D29_checkpoints_are_written_to_any_path_and_again(tmp_path, capsys):
    agent = make_agent()
    path = tmp_path / "a {b}" / "w_{step}_{reward:.1f}.h5"
    for template in (path, str(path)):
        callback = ModelIntervalCheckpoint(template, interval=5, verbose=1)
        agent.fit(constant(), 11, callbacks=[callback], verbose=0)
    names = sorted(file.name for file in (tmp_path / "a {b}").iterdir())
    assert names == ["w_10_1.0.h5", "w_5_1.0.h5"]
    agent.load_weights(tmp_path / "a {b}" / "w_10_1.0.h5")
    assert f"Step 5: saving model to {tmp_path}" in capsys.readouterr().out


def test_D11_a_checkpoints_suffix_is_refused_before_training():
    with pytest.raises(WeightsError, match=r"\.weights\.h5"):
        ModelIntervalCheckpoint("{step}.weights.h5", interval=5)
