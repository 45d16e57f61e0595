"""From a preset's layers to a network of Q values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kerasrl_runner.errors import PresetError
from kerasrl_runner.parts.model import build_q_network, with_dueling_head
from kerasrl_runner.vendor import keras

DENSE = ("Dense", {"units": 4, "activation": "relu"})


@pytest.fixture(autouse=True)
def _eager() -> None:
    keras.Sequential()  # an agent of another test may have left Keras in graph mode


def _layers(model: Any) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


def test_flatten_is_put_before_the_first_dense() -> None:
    model = build_q_network([DENSE, DENSE], (3, 4), 2)
    assert _layers(model) == ["Flatten", "Dense", "Dense", "Dense"]
    assert model.input_shape == (None, 3, 4)
    assert model.output_shape == (None, 2)
    assert model.layers[-1].activation is keras.activations.linear


def test_flatten_is_put_before_the_head_where_nothing_else_flattens() -> None:
    assert _layers(build_q_network([], (1, 4), 2)) == ["Flatten", "Dense"]
    convolution = ("Conv1D", {"filters": 2, "kernel_size": 2})
    assert _layers(build_q_network([convolution], (3, 4), 2)) == ["Conv1D", "Flatten", "Dense"]


def test_no_second_flatten_is_put() -> None:
    layers = [("Flatten", {}), DENSE]
    assert _layers(build_q_network(layers, (1, 4), 2)) == ["Flatten", "Dense", "Dense"]
    layers = [("LSTM", {"units": 3}), DENSE]
    assert _layers(build_q_network(layers, (3, 4), 2)) == ["LSTM", "Dense", "Dense"]


@pytest.mark.parametrize(
    ("dueling_type", "q_values"),
    [
        # V = 10, A = (1, 2, 6): mean 3, maximum 6
        ("avg", [8.0, 9.0, 13.0]),
        ("max", [5.0, 6.0, 10.0]),
        ("naive", [11.0, 12.0, 16.0]),
    ],
)
def test_dueling_q_values_by_hand(dueling_type: str, q_values: list[float]) -> None:
    model = build_q_network([], (1, 1), 3, dueling_type)
    model.set_weights([np.array([[10.0, 1.0, 2.0, 6.0]]), np.zeros(4)])
    np.testing.assert_allclose(model.predict_on_batch(np.ones((1, 1, 1))), [q_values], rtol=1e-6)


def test_a_model_without_a_dense_end_gets_no_dueling_head() -> None:
    model = keras.Sequential([keras.layers.Flatten(input_shape=(1, 2))])
    with pytest.raises(ValueError, match="ends in Dense"):
        with_dueling_head(model, "avg")


def test_wrapped_layers_are_built_inside_out() -> None:
    layers = [
        ("TimeDistributed", {"layer": {"Dense": {"units": 5}}}),
        ("Bidirectional", {"layer": {"LSTM": {"units": 3}}, "merge_mode": "sum"}),
    ]
    model = build_q_network(layers, (2, 4), 2)
    assert model.layers[0].output_shape == (None, 2, 5)
    assert model.layers[1].output_shape == (None, 3)
    nested = {"TimeDistributed": {"layer": {"Dense": {"units": 5}}}}
    model = build_q_network([("TimeDistributed", {"layer": nested})], (2, 3, 4), 2)
    assert model.layers[0].output_shape == (None, 2, 3, 5)


def test_a_layer_of_ones_own_is_named_by_module_and_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_layers.py").write_text(
        "from kerasrl_runner.vendor import keras\n"
        "class Doubled(keras.layers.Layer):\n"
        "    def call(self, inputs):\n"
        "        return 2 * inputs\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    model = build_q_network([("own_layers:Doubled", {})], (1, 1), 1)
    model.layers[-1].set_weights([np.array([[3.0]]), np.zeros(1)])
    assert model.predict_on_batch(np.ones((1, 1, 1))).tolist() == [[6.0]]


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (("no_module:Layer", {}), 'cannot import "no_module:Layer"'),
        (("pathlib:Path", {}), '"pathlib:Path" is not a Layer class'),
        (("pathlib:NoClass", {}), 'cannot import "pathlib:NoClass"'),
        (("TimeDistributed", {"layer": {"Dense": {}}}), r"\.layer: Keras refuses these"),
        (("Dense", {"units": -1}), "Keras refuses these arguments: .*units"),
        (("Dense", {"units": 4, "activation": "rellu"}), "Keras refuses these arguments"),
        (("Dense", {"unit": 4}), "Keras refuses these arguments: .*unit"),
        (("Conv2D", {"filters": 4, "kernel_size": 3}), r"cannot put this layer after.*\(None, 1"),
        (("Embedding", {"input_dim": 0, "output_dim": 2}), "Keras refuses these arguments"),
    ],
)
def test_what_keras_refuses_names_the_layer(layer: Any, told: str) -> None:
    with pytest.raises(PresetError, match=told) as refused:
        build_q_network([DENSE, layer] if layer[0] == "Dense" else [layer], (1, 4), 2)
    assert f"model.layers.{int(layer[0] == 'Dense')} ({layer[0]})" in str(refused.value)
