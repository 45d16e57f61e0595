"""From a preset's layers to a Keras Sequential that ends in Q values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasrl_runner.errors import PresetError
from kerasrl_runner.preset.modules import import_class
from kerasrl_runner.preset.names import INPUT_NAME, MODEL_NAME, Q_HEAD
from kerasrl_runner.vendor import allow_lambdas, keras, tf

MOST_WEIGHTS = 1 << 27  # half a GiB; beside it stand the target network and the optimizer's state


def check_eager_mode() -> None:
    """Raises ValueError in graph mode."""
    if not tf.executing_eagerly():
        raise ValueError(
            "expected TensorFlow's eager mode, which disable_eager_execution() turned off. "
            "Remove that call: keras-rl does not need it here."
        )


def check_legacy_keras(value: Any, kind: Any) -> None:
    """Raises ValueError if a model or an optimizer is none of legacy Keras, but of Keras 3."""
    if not isinstance(value, kind):
        raise ValueError(
            f"{value}: keras-rl needs models and optimizers of legacy Keras, this is one of "
            f"{type(value).__module__}. Write `from kerasrl_runner.keras_rl import keras` and "
            f"build it with that."
        )


@keras.utils.register_keras_serializable("kerasrl_runner")
class DuelingHead(keras.layers.Dense):
    """Features [B, F] -> Q values [B, A] by one Dense of A + 1 units; unit 0 is the value V.

    Wang et al. 2016, equation 9 (avg), 8 (max) and 7 (naive): Q = V + A - mean(A), V + A - max(A),
    V + A. The vendor's (rl/agents/dqn.py:115-136) is a Lambda, which Keras refuses to load (D13).
    """

    def __init__(self, nb_actions: int, dueling_type: str = "avg", **kwargs: Any) -> None:
        kwargs.pop("units", None)
        super().__init__(nb_actions + 1, **kwargs)
        self.nb_actions = nb_actions
        self.dueling_type = dueling_type

    def call(self, inputs: Any) -> Any:
        """[B, F] -> [B, A]."""
        outputs = super().call(inputs)  # [B, A + 1]
        value, advantage = outputs[:, :1], outputs[:, 1:]  # [B, 1], [B, A]
        if self.dueling_type == "avg":
            advantage -= tf.reduce_mean(advantage, axis=1, keepdims=True)
        elif self.dueling_type == "max":
            advantage -= tf.reduce_max(advantage, axis=1, keepdims=True)
        return value + advantage

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*tuple(input_shape)[:-1], self.nb_actions)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["units"]
        return {**config, "nb_actions": self.nb_actions, "dueling_type": self.dueling_type}


def build_q_network(
    layers: Sequence[tuple[str, dict[str, Any]]],
    input_shape: tuple[int, ...],
    nb_actions: int,
    dueling_type: str | None = None,
    head_bias: bool = True,
) -> Any:
    """A Sequential from states [B, *input_shape] to Q values [B, nb_actions].

    Args:
        layers: (name, arguments) of each layer between the input and the head.
        dueling_type: "avg", "max" or "naive" for a dueling head, None for a plain one.
        head_bias: False for a table: one weight a state and action.

    Raises:
        PresetError: Keras refuses a layer's arguments or place, or there are too many weights.
    """
    with limit_weights(MOST_WEIGHTS):
        return _build(layers, input_shape, nb_actions, dueling_type, head_bias)


def _build(
    layers: Sequence[tuple[str, dict[str, Any]]],
    input_shape: tuple[int, ...],
    nb_actions: int,
    dueling_type: str | None,
    head_bias: bool,
) -> Any:
    inputs = keras.layers.InputLayer(input_shape=input_shape, name=INPUT_NAME)
    model = keras.Sequential([inputs], name=MODEL_NAME)
    for number, (name, arguments) in enumerate(layers):
        key = f"model.layers.{number} ({name})"
        if name == "Dense":
            _flatten(model)
        # Keras counts names over the whole process; files of equal runs are to be equal.
        named = {"name": f"layer_{number}", **arguments}
        _add(model, _layer(name, named, key), key)
    _flatten(model)
    if dueling_type is None:
        head = keras.layers.Dense(nb_actions, use_bias=head_bias, name=Q_HEAD)
    else:
        head = DuelingHead(nb_actions, dueling_type, name=Q_HEAD)
    _add(model, head, "model.layers")
    return model


def with_dueling_head(model: Any, dueling_type: str) -> Any:
    """`model` with its Q head replaced by a dueling one on the same features.

    The vendor takes the second last layer, which for a head of Dense and Activation is the
    Dense's A-unit *output* (D13b); here all that belongs to the head is left behind.

    Raises:
        ValueError: `dueling_type` is unknown, or the model does not end in a Dense.
    """
    if dueling_type not in ("avg", "max", "naive"):
        raise ValueError(f'dueling_type: expected "avg", "max" or "naive", got {dueling_type!r}')
    layers = list(model.layers)
    while layers and isinstance(layers[-1], keras.layers.Activation):
        layers.pop()
    if not layers or not isinstance(layers[-1], keras.layers.Dense):
        raise ValueError("a dueling network needs a model that ends in Dense (and Activation)")
    nb_actions = int(model.output_shape[-1])
    head = DuelingHead(nb_actions, dueling_type, name=Q_HEAD)
    return keras.Model(model.inputs, head(layers[-1].input))


def limit_weights(most: int) -> Any:
    """Return a scope in which a network of more weights is a ValueError, before it takes memory."""
    left = most

    def create(next_creator: Any, **arguments: Any) -> Any:
        nonlocal left
        left -= math.prod(arguments["shape"] or ())
        if left < 0:
            raise ValueError(f"expected at most {most:,} weights in all its layers")
        return next_creator(**arguments)

    return tf.variable_creator_scope(create)


def _flatten(model: Any) -> None:
    """Flatten the model's output where it is more than a vector."""
    if len(model.output_shape) > 2:
        model.add(keras.layers.Flatten(name=f"flatten_{len(model.layers)}"))


def _layer(name: str, arguments: dict[str, Any], key: str) -> Any:
    if ":" in name:
        layer_class = import_class(name, keras.layers.Layer, key)
    else:
        layer_class = getattr(keras.layers, name)
    arguments = dict(arguments)
    inner = arguments.get("layer")
    if isinstance(inner, dict):  # what Bidirectional or TimeDistributed wraps
        ((inner_name, inner_arguments),) = inner.items()
        arguments["layer"] = _layer(inner_name, inner_arguments, f"{key}.layer")
    try:
        return layer_class(**arguments)
    except Exception as error:  # Keras judges a layer's arguments, and raises whatever it likes
        raise PresetError(f"{key}: Keras refuses these arguments: {_first_line(error)}") from error


def _add(model: Any, layer: Any, key: str) -> None:
    try:
        model.add(layer)
    except Exception as error:
        raise PresetError(
            f"{key}: Keras cannot put this layer after an output of shape "
            f"{tuple(model.output_shape)}: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def copy_model(model: Any, weights: list[np.ndarray] | None = None) -> Any:
    """Keras' own clone with the given weights, or the model's.

    The vendor's `clone_model` goes through names and refuses any Lambda (D13); a Lambda here is
    the calling program's own, already running, code.
    """
    with allow_lambdas():
        copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights() if weights is None else weights)
    return copy
