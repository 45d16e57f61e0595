"""A trained network gives the same Q values in each engine, tf_keras, Keras 3 and plain NumPy."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from commands import python

from kerasrl_runner.engines import build, build_learner
from kerasrl_runner.errors import WeightsError
from kerasrl_runner.preset import load_preset
from kerasrl_runner.vendor import keras
from kerasrl_runner.weights.file import read_weights, write_weights
from kerasrl_runner.weights.keras_weights import load_model, set_layers

STATES = np.random.default_rng(3).normal(size=(8, 2, 4)).astype(np.float32)  # [B, W, 4]
SCALE = np.array([0.4166667, 0.5, 4.7619048, 0.5], np.float32)
ENGINES = ("compiled", "keras-rl", "reference")

# Loads what the engines wrote, writes a file of its own, and tries what strangers write.
KERAS_3 = """
import json, keras, numpy as np
states = np.load("states.npy")
q_values = {}
for engine in ("compiled", "keras-rl", "reference", "recurrent"):
    model = keras.models.load_model(f"{engine}.h5")
    q_values[engine] = model.predict(states, verbose=0).tolist()
    model.load_weights(f"{engine}.h5")
theirs = keras.Sequential([
    keras.Input((2, 4)), keras.layers.Flatten(),
    keras.layers.Dense(24, "relu"), keras.layers.Dense(24, "relu"), keras.layers.Dense(2),
])
theirs.save("theirs.h5")
q_values["theirs"] = theirs.predict(states, verbose=0).tolist()
print(json.dumps([keras.__version__, q_values]))
"""


def preset(**sections):
    memory = {"window_length": 2}
    return load_preset("cartpole", ["agent.nb_steps_warmup=50"], {"memory": memory, **sections})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("elsewhere")
    np.save(folder / "states.npy", STATES)
    return folder


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[str, np.ndarray]:
    """Name -> Q values [B, 2] of learners that have trained a little and wrote name.h5."""
    layers = [
        {"TimeDistributed": {"layer": {"Dense": {"units": 3}}}},
        {"LSTM": {"units": 4}},
        {"BatchNormalization": {}},
    ]
    jobs = [(engine, engine, preset()) for engine in ENGINES]
    jobs.append(("recurrent", "compiled", preset(model={"layers": layers})))
    q_values = {}
    for name, engine, settings in jobs:
        learner = build_learner(settings, 5, engine)
        learner.train(80, [])
        weights = learner.exported_weights()
        write_weights(folder / f"{name}.h5", weights, overwrite=False)
        q_values[name] = np.stack([learner.q_values(list(state * SCALE)) for state in STATES])
        learner.environment.close()
    return q_values


@pytest.fixture(scope="module")
def keras_3(folder, expected):
    version, q_values = json.loads(python(KERAS_3, folder).splitlines()[-1])
    assert version.startswith("3.")
    return {name: np.array(values) for name, values in q_values.items()}


@pytest.mark.parametrize("name", [*ENGINES, "recurrent"])
def test_keras_3_and_tf_keras_load_the_network_for_raw_observations(
    folder, expected, keras_3, name
):
    theirs = keras.models.load_model(folder / f"{name}.h5", compile=False)
    ours = load_model(folder / f"{name}.h5")
    for q_values in (
        keras_3[name],
        theirs.predict_on_batch(STATES),
        ours.predict_on_batch(STATES),
    ):
        np.testing.assert_allclose(q_values, expected[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("writer", ENGINES)
@pytest.mark.parametrize("reader", ENGINES)
def test_each_engine_reads_the_file_of_each(folder, expected, writer, reader):
    learner = build_learner(preset(), 6, reader)
    learner.set_weights(read_weights(folder / f"{writer}.h5"))
    q_values = np.stack([learner.q_values(list(state * SCALE)) for state in STATES])
    np.testing.assert_allclose(q_values, expected[writer], rtol=1e-5, atol=1e-6)
    learner.environment.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_for_another_observation_scale_change_nothing(folder, expected, engine):
    learner = build_learner(preset(env={"observation_scale": 0.5}), 6, engine)
    before = learner.q_values(list(STATES[0]))
    with pytest.raises(WeightsError, match=r"scale = \[0.41.* where 0.5 was expected"):
        learner.set_weights(read_weights(folder / "compiled.h5"))
    np.testing.assert_array_equal(learner.q_values(list(STATES[0])), before)
    learner.environment.close()


def test_h5py_and_numpy_are_enough(folder, expected):
    with h5py.File(folder / "compiled.h5") as file:
        root = file["model_weights"]
        arrays = [
            root[layer][weight][()]
            for layer in root.attrs["layer_names"]
            for weight in root[layer].attrs["weight_names"]
        ]
    x = (STATES * SCALE).reshape(len(STATES), -1)  # [B, W * 4]
    for kernel, bias in (arrays[0:2], arrays[2:4]):
        x = np.maximum(x @ kernel + bias, 0)  # [B, 24]
    x = x @ arrays[4] + arrays[5]  # [B, 2]
    np.testing.assert_allclose(x, expected["compiled"], rtol=1e-5, atol=1e-6)


def sequential():
    keras.Sequential()
    dense = keras.layers.Dense
    layers = [keras.layers.Flatten(input_shape=(2, 4)), dense(24, "relu"), dense(24, "relu")]
    return keras.Sequential([*layers, dense(2)])


def test_a_model_file_of_keras_3_is_read(folder, keras_3):
    model = sequential()
    set_layers(model, read_weights(folder / "theirs.h5"))
    np.testing.assert_allclose(model.predict_on_batch(STATES), keras_3["theirs"], rtol=1e-5)
    environment, agent = build(preset(env={"observation_scale": 1.0}))
    agent.load_weights(folder / "theirs.h5")
    q_values = agent.compute_batch_q_values(list(STATES))
    np.testing.assert_allclose(q_values, keras_3["theirs"], rtol=1e-5, atol=1e-6)
    environment.close()


@pytest.mark.parametrize("save", ["save_weights", "save"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_file_of_tf_keras_is_read(tmp_path, save):
    model = sequential()
    getattr(model, save)(tmp_path / "theirs.h5")
    environment, agent = build(preset(env={"observation_scale": 1.0}))
    agent.load_weights(tmp_path / "theirs.h5")
    q_values = agent.compute_batch_q_values(list(STATES))
    np.testing.assert_allclose(q_values, model.predict_on_batch(STATES), rtol=1e-5, atol=1e-6)
    environment.close()
