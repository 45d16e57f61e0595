"""Weights and architectures between Keras models and files."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from kerasrl_runner.errors import WeightsError
from kerasrl_runner.parts.model import build_q_network
from kerasrl_runner.vendor import keras
from kerasrl_runner.weights.architecture import architecture_of, model_of
from kerasrl_runner.weights.comparison import check_same
from kerasrl_runner.weights.file import WeightsFile
from kerasrl_runner.weights.keras_weights import layers_of, set_layers

DENSE = ("Dense", {"units": 4, "activation": "relu"})
STATES = np.random.default_rng(0).normal(size=(9, 1, 3)).astype(np.float32)  # [B, W, 3]


@pytest.fixture(autouse=True)
def _eager() -> None:
    keras.Sequential()


def _network(dueling_type: str | None = None, **dense: Any) -> Any:
    return build_q_network([("Dense", {**DENSE[1], **dense})], (1, 3), 2, dueling_type)


def _file(model: Any) -> WeightsFile:
    return WeightsFile(layers_of(model), {})


@pytest.mark.parametrize("dueling_type", ["avg", "naive"])
def test_a_dueling_head_folds_into_a_plain_network_of_equal_q_values(dueling_type: str) -> None:
    dueling, plain = _network(dueling_type), _network()
    set_layers(plain, _file(dueling))
    np.testing.assert_allclose(
        plain.predict_on_batch(STATES), dueling.predict_on_batch(STATES), atol=1e-6
    )


@pytest.mark.parametrize("dueling_type", ["avg", "naive"])
def test_plain_weights_unfold_into_a_dueling_network_of_equal_q_values(dueling_type: str) -> None:
    plain, dueling = _network(), _network(dueling_type)
    set_layers(dueling, _file(plain))
    np.testing.assert_allclose(
        dueling.predict_on_batch(STATES), plain.predict_on_batch(STATES), atol=1e-6
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
    ],
)
@pytest.mark.parametrize("dueling_type", [None, "avg", "max"])
def test_an_architecture_survives_json_and_is_built_again(
    layers: Any, shape: Any, dueling_type: str | None
) -> None:
    model = build_q_network(layers, shape, 2, dueling_type)
    told = json.loads(json.dumps(architecture_of(model)))
    check_same(architecture_of(model), told)
    again = model_of(told, 10_000)
    set_layers(again, _file(model))
    states = np.random.default_rng(1).normal(size=(5, *shape)).astype(np.float32)
    np.testing.assert_allclose(
        again.predict_on_batch(states), model.predict_on_batch(states), atol=1e-6
    )


def test_names_and_initializers_make_no_other_architecture() -> None:
    check_same(
        architecture_of(_network(name="mine", kernel_initializer="zeros")),
        architecture_of(_network(name="yours")),
    )


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (lambda: _network(activation="tanh"), "activation = 'tanh' where 'relu' was expected"),
        (lambda: _network(units=5), "units = 5 where 4 was expected"),
        (lambda: build_q_network([DENSE], (2, 3), 2), "input_shape"),
        (lambda: build_q_network([DENSE, DENSE], (1, 3), 2), "units = 4 where 2 was expected"),
    ],
)
def test_another_architecture_is_refused_by_its_first_difference(other: Any, told: str) -> None:
    with pytest.raises(WeightsError, match=told):
        check_same(architecture_of(_network()), architecture_of(other()))


def _told(layer: dict[str, Any]) -> dict[str, Any]:
    return {"input_shape": [2, 3], "layers": [layer]}


@pytest.mark.parametrize("nested", [False, True], ids=["alone", "wrapped"])
def test_a_lambda_in_a_file_is_never_built(nested: bool) -> None:
    code = keras.layers.Lambda(lambda x: 2 * x).get_config()
    layer = {"class": "Lambda", "config": code}
    if nested:
        inner = {"class_name": "Lambda", "config": code}
        layer = {"class": "TimeDistributed", "config": {"name": "t", "layer": inner}}
    with pytest.raises(WeightsError, match="cannot be built"):
        model_of(json.loads(json.dumps(_told(layer))), 10_000)


@pytest.mark.parametrize(
    "told", [{}, {"input_shape": 5, "layers": []}, _told({"class": "Dense", "config": {"x": 1}})]
)
def test_a_broken_description_is_refused(told: Any) -> None:
    with pytest.raises(WeightsError, match="cannot be built"):
        model_of(told, 10_000)
