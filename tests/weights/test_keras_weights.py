"""Weights and configurations between Keras models and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kerasrl_runner.errors import WeightsError
from kerasrl_runner.parts.model import build_q_network
from kerasrl_runner.vendor import keras
from kerasrl_runner.weights.configuration import add_rescaling, check_same_network
from kerasrl_runner.weights.file import WeightsFile, read_weights, write_weights
from kerasrl_runner.weights.keras_weights import config_of, layers_of, load_model, set_layers

DENSE = ("Dense", {"units": 4, "activation": "relu"})
STATES = np.random.default_rng(0).normal(size=(9, 1, 3)).astype(np.float32)  # [B, W, 3]


@pytest.fixture(autouse=True)
def _eager() -> None:
    keras.Sequential()


def _network(dueling_type: str | None = None, **dense: Any) -> Any:
    return build_q_network([("Dense", {**DENSE[1], **dense})], (1, 3), 2, dueling_type)


def _file(model: Any) -> WeightsFile:
    return WeightsFile(layers_of(model), config_of(model), {})


@pytest.mark.parametrize("pair", [("avg", None), (None, "avg"), ("naive", None), (None, "naive")])
def test_dueling_weights_fold_into_a_plain_network_and_back(pair: Any) -> None:
    source, target = map(_network, pair)
    set_layers(target, _file(source))
    np.testing.assert_allclose(
        target.predict_on_batch(STATES), source.predict_on_batch(STATES), atol=1e-6
    )


def test_a_max_dueling_head_is_kept_as_it_is() -> None:
    dueling, other = _network("max"), _network("max")
    assert layers_of(dueling)[-1].weights[0][1].shape == (4, 3)
    set_layers(other, _file(dueling))
    np.testing.assert_array_equal(other.predict_on_batch(STATES), dueling.predict_on_batch(STATES))
    with pytest.raises(WeightsError, match="another architecture"):
        set_layers(_network(), _file(dueling))


@pytest.mark.parametrize("units", [3, 5])
def test_weights_are_put_in_all_or_none(units: int) -> None:
    model = _network()
    before = model.get_weights()
    with pytest.raises(WeightsError, match=r"expected shapes .*\(3, 4\).*received .*\(3, "):
        set_layers(model, _file(_network(units=units)))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_what_is_not_trained_is_kept_too() -> None:
    def network() -> Any:
        return build_q_network([DENSE, ("BatchNormalization", {})], (1, 3), 2)

    model, other = network(), network()
    model.layers[2].set_weights([np.full(4, value, np.float32) for value in (2, 3, 4, 5)])
    set_layers(other, _file(model))
    np.testing.assert_array_equal(other.predict_on_batch(STATES), model.predict_on_batch(STATES))


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([DENSE], (1, 3)),
        ([("Conv1D", {"filters": 2, "kernel_size": 2}), DENSE], (3, 4)),
        ([("TimeDistributed", {"layer": {"Dense": {"units": 2}}}), ("GRU", {"units": 3})], (3, 4)),
        ([DENSE, ("Dropout", {"rate": 0.5}), ("BatchNormalization", {})], (1, 3)),
        ([("SpectralNormalization", {"layer": {"Dense": {"units": 2}}})], (1, 3)),
    ],
)
@pytest.mark.parametrize("dueling_type", [None, "avg", "max"])
def test_a_network_is_built_again_of_its_file(
    tmp_path: Path, layers: Any, shape: Any, dueling_type: str | None
) -> None:
    model = build_q_network(layers, shape, 2, dueling_type)
    path = tmp_path / "w.h5"
    scale = [2.0, 0.5, 3.0, 1.0][: shape[-1]]
    written = WeightsFile(layers_of(model), add_rescaling(config_of(model), scale), {})
    write_weights(path, written, overwrite=False)
    again = load_model(path)
    states = np.random.default_rng(1).normal(size=(5, *shape)).astype(np.float32)
    expected = model.predict_on_batch(states * np.array(scale, np.float32))
    np.testing.assert_allclose(again.predict_on_batch(states), expected, atol=1e-6)


def test_a_layer_that_names_none_of_its_weights_keeps_them_all(tmp_path: Path) -> None:
    class Nameless(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.pair = [self.add_weight(shape=(3,), initializer="ones") for _ in range(2)]

        def call(self, inputs: Any) -> Any:
            return inputs * self.pair[0] + self.pair[1]

    def network() -> Any:
        return keras.Sequential([keras.layers.InputLayer(input_shape=(3,)), Nameless()])

    model, other = network(), network()
    model.set_weights([np.full(3, 2.0), np.full(3, 5.0)])
    write_weights(tmp_path / "w.h5", _file(model), overwrite=False)
    set_layers(other, read_weights(tmp_path / "w.h5"))
    for mine, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def _lambda_model() -> Any:
    return keras.Sequential([keras.layers.Lambda(lambda x: 2 * x, input_shape=(3,))])


class _Subclassed(keras.Model):
    def call(self, inputs: Any) -> Any:
        return inputs


@pytest.mark.parametrize("model", [_lambda_model, _Subclassed])
def test_a_model_without_a_plain_configuration_has_none(tmp_path: Path, model: Any) -> None:
    assert config_of(model()) is None
    write_weights(tmp_path / "w.h5", WeightsFile((), None, {}), overwrite=False)
    with pytest.raises(WeightsError, match="weights alone"):
        load_model(tmp_path / "w.h5")


def test_names_initializers_and_regularizers_make_no_other_network() -> None:
    check_same_network(
        config_of(_network(name="mine", kernel_initializer="zeros", kernel_regularizer="l2")),
        config_of(_network(name="yours")),
    )


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda: _network(activation="tanh"), "activation = 'tanh' where 'relu' was expected"),
        (lambda: _network(units=5), "layer 2 has units = 5 where 4 was expected"),
        (lambda: build_q_network([DENSE], (2, 3), 2), r"the input has shape = \[\[2, 3\]\]"),
        (lambda: build_q_network([DENSE, DENSE], (1, 3), 2), "units = 4 where 2 was expected"),
        (lambda: _network("max"), "class_name = 'kerasrl_runner>DuelingHead' where 'Dense'"),
    ],
)
def test_another_network_is_refused_by_its_first_difference(other: Any, words: str) -> None:
    with pytest.raises(WeightsError, match=words):
        check_same_network(config_of(_network()), config_of(other()))


def test_another_observation_scale_is_another_network() -> None:
    config = config_of(_network())
    for scale in (1.0, [1.0, 2.0, 3.0]):
        with pytest.raises(WeightsError, match=r"Rescaling|scale"):
            check_same_network(add_rescaling(config, 0.5), add_rescaling(config, scale))


@pytest.mark.parametrize("config", [{}, {"config": {"layers": [5]}}])
def test_a_broken_configuration_is_refused(config: Any) -> None:
    with pytest.raises(WeightsError, match="configuration in these weights is damaged"):
        check_same_network(config_of(_network()), {"class_name": "Sequential", **config})


def test_layers_that_hold_numpys_numbers_and_arrays_are_described_and_built_again(
    tmp_path: Path,
) -> None:
    count, slope = np.int64(3), np.float32(0.25)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Embedding(count, np.int64(2), input_length=np.int64(1)),
            layers.Reshape((np.int64(2),)),
            layers.Dense(count, kernel_initializer=keras.initializers.Constant(slope)),
            layers.Rescaling(np.ones(3, np.float32) / slope),
            layers.LeakyReLU(slope),
        ]
    )
    write_weights(tmp_path / "w.h5", _file(model), overwrite=False)
    states = np.arange(3)[:, None]  # [B, W]
    again = load_model(tmp_path / "w.h5")
    np.testing.assert_array_equal(again.predict_on_batch(states), model.predict_on_batch(states))
