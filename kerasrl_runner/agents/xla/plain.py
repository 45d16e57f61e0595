"""Tier 1: plain stacks of layers, as a pure function of one flat vector of weights."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from kerasrl_runner.agents.xla.networks import Networks
from kerasrl_runner.parts.model import DuelingHead
from kerasrl_runner.vendor import keras, tf

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def _elu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _selu(x: np.ndarray) -> np.ndarray:
    negative = _SELU_ALPHA * np.expm1(np.minimum(x, 0))
    return np.asarray(_SELU_SCALE * np.where(x > 0, x, negative), x.dtype)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * x))  # the same function, without overflow


# Keras' activation functions and the same in NumPy; None where nothing is to be done.
_ACTIVATIONS: dict[Callable, Callable[[np.ndarray], np.ndarray] | None] = {
    keras.activations.linear: None,
    keras.activations.relu: lambda x: np.maximum(x, 0),
    keras.activations.tanh: np.tanh,
    keras.activations.sigmoid: _sigmoid,
    keras.activations.elu: _elu,
    keras.activations.selu: _selu,
    keras.activations.softplus: lambda x: np.logaddexp(x, 0),
    keras.activations.softsign: lambda x: x / (1 + np.abs(x)),
    keras.activations.exponential: np.exp,
    keras.activations.swish: lambda x: x * _sigmoid(x),
}

# Each treats every weight by itself, so one flat variable gives what many variables give. Weight
# decay may spare some variables by their names, so an optimizer with it is not for one variable.
_ELEMENTWISE = tuple(
    getattr(keras.optimizers, name)
    for name in "Adadelta Adagrad Adam Adamax Ftrl Lion Nadam RMSprop SGD".split()
)


class Step(NamedTuple):
    """What one layer computes; a field that is not set changes nothing."""

    shapes: tuple[tuple[int, ...], ...] = ()  # of its kernel and of its bias
    activation: Callable = keras.activations.linear
    dueling_type: str | None = None
    dropout_rate: float = 0.0


def plain_steps(model: keras.Model) -> tuple[Step, ...] | None:
    """Return what the model's layers compute in turn; None if it is not a plain stack.

    A plain stack is a chain of Dense (with a `DuelingHead` last, perhaps), Activation, Flatten
    and Dropout, all of them trained, without regularizers and constraints.
    """
    if type(model).__module__.split(".")[0] != "tf_keras":  # a subclass may compute anything
        return None
    try:
        steps = [_read_step(layer) for layer in model.layers]
        pairs = itertools.pairwise(model.layers)
        is_chain = all(layer.input is previous.output for previous, layer in pairs)
    except AttributeError:  # a layer that is used twice has no one input
        return None
    return tuple(steps) if is_chain and None not in steps else None  # type: ignore[arg-type]


def is_elementwise(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether the optimizer may step on one flat variable instead of each layer's variables."""
    return type(optimizer) in _ELEMENTWISE and not optimizer.weight_decay


def optimizer_key(optimizer: keras.optimizers.Optimizer) -> Hashable | None:
    """Return what two optimizers must share to share a program; None if that is not known.

    A constant learning rate is no part of it: the program reads it from a variable.
    """
    config = optimizer.get_config()
    del config["name"]
    rate = config.pop("learning_rate")
    if isinstance(rate, dict):
        if rate["module"] != "keras.optimizers.schedules":  # a user's own class
            return None
        config["schedule"] = rate
    return type(optimizer), repr(config)


class PlainNetworks(Networks):
    """An online and a target network that are plain stacks; the weights of each are one variable.

    A captured variable costs some 7 µs in each call of a program, and a network has two a layer.
    The Keras models get the weights when somebody looks at them (`sync_models`).

    Args:
        online, target: built models of these `steps`.
    """

    def __init__(self, online: keras.Model, target: keras.Model, steps: Sequence[Step]) -> None:
        self._models = ((online, "online"), (target, "target"))
        self._given = {name: _read(model) for model, name in self._models}
        self._steps = steps
        self._shapes = [shape for step in steps for shape in step.shapes]
        self.variables = {name: tf.Variable(_join(model.weights)) for model, name in self._models}
        self._online, self._target = self.variables["online"], self.variables["target"]
        self.trainable = [self._online]
        self.key = (tuple(steps), self._online.dtype)
        self._acting_weights = self._online.numpy().copy()  # [P]
        self._acting_steps = list(self._bind_steps())

    def q_values(self, state: np.ndarray) -> np.ndarray:
        x = np.asarray(state, self._acting_weights.dtype).reshape(-1)  # [F]
        for kernel, bias, activation, dueling_type in self._acting_steps:
            if kernel is not None:
                x = np.dot(x, kernel)  # [units]
            if bias is not None:
                x += bias
            if activation is not None:
                x = activation(x)
            if dueling_type is not None:
                x = _combine(x, dueling_type, np.mean, np.max)
        return x  # [A]

    def online_q(self, states: tf.Tensor) -> tf.Tensor:
        return self._forward(self._online, states)

    def target_q(self, states: tf.Tensor) -> tf.Tensor:
        return self._forward(self._target, states)

    def training_q(self, states: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        return self._forward(self._online, states, key), []

    def apply_gradients(
        self, optimizer: keras.optimizers.Optimizer, gradients: Sequence[Any]
    ) -> None:
        (gradient,) = gradients  # [P]
        clipnorm = optimizer.clipnorm
        if clipnorm:  # the bound holds for each layer's variable
            pieces = _split(gradient, self._shapes)
            gradient = _join([tf.clip_by_norm(piece, clipnorm) for piece in pieces])
        optimizer.clipnorm = None
        try:
            optimizer.apply_gradients([(gradient, self._online)])
        finally:
            optimizer.clipnorm = clipnorm

    def soft_update(self, tau: float) -> None:
        self._target.assign(tau * self._online + (1.0 - tau) * self._target)

    def hard_update(self) -> None:
        self.models_are_stale = True
        self._target.assign(self._online)

    def outputs(self) -> list[tf.Tensor]:
        return [self._online.read_value()]  # [P], to act on in NumPy

    def take_outputs(self, outputs: np.ndarray) -> None:
        self._acting_weights[:] = outputs

    def take_variables(self) -> None:
        self.take_outputs(self._online.numpy())
        self.models_are_stale = True
        self.sync_models()

    def sync_models(self) -> None:
        self.models_are_shown = True
        self.take_models()
        if self.models_are_stale:
            for model, name in self._models:
                vector = self.variables[name].numpy()  # [P]
                self._given.pop(name, None)  # Ctrl-C may leave half of them given
                model.set_weights(_cut(vector, self._shapes))
                self._given[name] = vector.tobytes()
            self.models_are_stale = False

    def take_models(self) -> None:
        for model, name in self._models[: 1 + self.models_are_shown]:
            held = _read(model)
            if self._given.get(name, held) != held:
                self.variables[name].assign(np.frombuffer(held, self._acting_weights.dtype))
                self.take_outputs(self._online.numpy())
                self._given[name] = held

    def _bind_steps(self) -> Iterator[tuple[Any, ...]]:
        """Yield kernel, bias, NumPy's activation and dueling type of each step; None for none."""
        arrays = iter(_cut(self._acting_weights, self._shapes))
        for step in self._steps:
            kernel, bias = [*(next(arrays) for _ in step.shapes), None, None][:2]
            yield kernel, bias, _ACTIVATIONS[step.activation], step.dueling_type

    def _forward(
        self, vector: tf.Variable, states: tf.Tensor, key: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Return Q values [B, A]; with a `key` [2], layers of Dropout draw their masks by it."""
        weights = iter(_split(vector, self._shapes))
        x = tf.cast(tf.reshape(states, (states.shape[0], -1)), vector.dtype)  # [B, F]
        for number, step in enumerate(self._steps):
            if step.shapes:
                x = tf.matmul(x, next(weights))  # [B, units]
            if len(step.shapes) == 2:
                x = x + next(weights)
            x = step.activation(x)
            if step.dueling_type:
                x = _combine(x, step.dueling_type, tf.reduce_mean, tf.reduce_max)
            if step.dropout_rate and key is not None:
                seed = tf.random.experimental.stateless_fold_in(key, number)  # [2]
                x = tf.nn.experimental.stateless_dropout(x, step.dropout_rate, seed)
        return x  # [B, A]


def _read_step(layer: keras.layers.Layer) -> Step | None:
    """Return what a layer computes; None if it belongs into no plain stack."""
    layers, kind = keras.layers, type(layer)
    if kind is layers.InputLayer:
        return Step()
    if kind is layers.Flatten and layer.data_format == "channels_last":
        return Step()
    if kind is layers.Dropout and layer.noise_shape is None:
        return Step(dropout_rate=layer.rate)
    if kind is layers.Activation and layer.activation in _ACTIVATIONS:
        return Step(activation=layer.activation)
    if kind in (layers.Dense, DuelingHead) and _is_plain_dense(layer):
        shapes = tuple(tuple(variable.shape) for variable in layer.weights)
        return Step(shapes, layer.activation, getattr(layer, "dueling_type", None))
    return None


def _is_plain_dense(layer: keras.layers.Dense) -> bool:
    extras = [
        value
        for name, value in layer.get_config().items()
        if name.endswith(("_regularizer", "_constraint"))
    ]
    is_matrix_product = len(layer.input_shape) == 2 and layer.activation in _ACTIVATIONS
    return is_matrix_product and layer.trainable and not any(extras)


def _combine(x: tf.Tensor, dueling_type: str, mean: Callable, maximum: Callable) -> tf.Tensor:
    """Return Q values [..., A] of a dueling head's value and advantages [..., A + 1]."""
    value, advantage = x[..., :1], x[..., 1:]
    if dueling_type == "avg":
        advantage = advantage - mean(advantage, -1, keepdims=True)
    elif dueling_type == "max":
        advantage = advantage - maximum(advantage, -1, keepdims=True)
    return value + advantage


def _read(model: keras.Model) -> bytes:
    """Return the model's weights in a row, at a third of the price of `get_weights`."""
    read = tf.raw_ops.ReadVariableOp
    return b"".join([memoryview(read(resource=v.handle, dtype=v.dtype)) for v in model.weights])


def _join(values: Sequence[tf.Tensor | tf.Variable]) -> tf.Tensor:
    return tf.concat([tf.reshape(value, [-1]) for value in values], 0)


def _split(vector: tf.Tensor, shapes: Sequence[tuple[int, ...]]) -> list[tf.Tensor]:
    pieces = tf.split(vector, [math.prod(shape) for shape in shapes])
    return [tf.reshape(piece, shape) for piece, shape in zip(pieces, shapes, strict=True)]


def _cut(vector: np.ndarray, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """Return views of a vector in these shapes."""
    ends = [*itertools.accumulate(math.prod(shape) for shape in shapes)]
    pieces = np.split(vector, ends[:-1])
    return [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]
