"""A trained network gives the same Q values in tf_keras, in Keras 3 and in plain NumPy."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
from commands import python

from kerasrl_runner.engines import build
from kerasrl_runner.errors import WeightsError
from kerasrl_runner.preset import load_preset
from kerasrl_runner.vendor import keras
from kerasrl_runner.weights.file import read_weights
from kerasrl_runner.weights.keras_weights import layers_of, set_layers

OBSERVATIONS = np.random.default_rng(3).normal(size=(8, 4)).astype(np.float32)  # [B, 4]

KERAS_3 = """
import json, keras, numpy as np
model = keras.Sequential([
    keras.Input((1, 4)), keras.layers.Flatten(),
    keras.layers.Dense(24, "relu"), keras.layers.Dense(24, "relu"), keras.layers.Dense(2),
])
model.load_weights("trained.h5")
states = np.array(json.load(open("observations.json")), np.float32)[:, None]
print(json.dumps([keras.__version__, model.predict(states, verbose=0).tolist()]))
try:
    model.save_weights("theirs.h5")
except ValueError:
    model.save_weights("theirs.weights.h5")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def q_values(folder):
    """[B, 2] of an agent that has learned a little and then wrote trained.h5."""
    preset = load_preset("cartpole", ["agent.nb_steps_warmup=50"])
    environment, agent = build(preset, seed=5)
    agent.fit(environment, 120, verbose=0)
    environment.close()
    agent.save_weights(folder / "trained.h5")
    return agent.compute_batch_q_values([[row] for row in OBSERVATIONS])


def sequential():
    layers = keras.layers
    return keras.Sequential(
        [
            layers.InputLayer(input_shape=(1, 4)),
            layers.Flatten(),
            layers.Dense(24, "relu"),
            layers.Dense(24, "relu"),
            layers.Dense(2),
        ]
    )


def test_in_tf_keras(folder, q_values):
    model = sequential()
    model.load_weights(folder / "trained.h5")
    np.testing.assert_allclose(model(OBSERVATIONS[:, None]), q_values, rtol=1e-5)


def test_with_h5py_and_numpy(folder, q_values):
    with h5py.File(folder / "trained.h5") as file:
        arrays = [
            file[layer][weight][()]
            for layer in file.attrs["layer_names"]
            for weight in file[layer].attrs["weight_names"]
        ]
    first, second, head = arrays[0:2], arrays[2:4], arrays[4:6]
    hidden = np.maximum(OBSERVATIONS @ first[0] + first[1], 0)  # [B, 24]
    hidden = np.maximum(hidden @ second[0] + second[1], 0)  # [B, 24]
    np.testing.assert_allclose(hidden @ head[0] + head[1], q_values, rtol=1e-5)


def test_in_keras_3_and_back(folder, q_values):
    (folder / "observations.json").write_text(json.dumps(OBSERVATIONS.tolist()))
    version, received = json.loads(python(KERAS_3, folder).splitlines()[-1])
    assert version.startswith("3.")
    np.testing.assert_allclose(received, q_values, rtol=1e-5)
    if (folder / "theirs.h5").exists():
        model = sequential()
        set_layers(model, read_weights(folder / "theirs.h5"))
        np.testing.assert_allclose(model(OBSERVATIONS[:, None]), q_values, rtol=1e-5)
    else:
        with pytest.raises(WeightsError, match=r"Name it \.h5"):
            read_weights(folder / "theirs.weights.h5")


@pytest.mark.parametrize("save", ["save_weights", "save"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_file_of_tf_keras_is_read(tmp_path, save):
    model = sequential()
    getattr(model, save)(tmp_path / "theirs.h5")
    weights = read_weights(tmp_path / "theirs.h5")
    for mine, theirs in zip(layers_of(model), weights.layers, strict=True):
        assert [name for name, _ in mine.weights] == [name for name, _ in theirs.weights]
        for (_, one), (_, other) in zip(mine.weights, theirs.weights, strict=True):
            np.testing.assert_array_equal(one, other)
