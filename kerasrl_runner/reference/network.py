"""A Q network of dense layers on one flat parameter vector, and its gradient."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
DUELING = ("avg", "max", "naive")

_ZERO = np.zeros((), np.float32)  # []; NumPy is faster with it than with a Python number
# name -> (the function of its input, its derivative written in terms of its *output*)
ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "relu": (lambda x: np.maximum(x, _ZERO), np.sign),  # the output is never negative
    "tanh": (np.tanh, lambda y: 1 - y * y),
    # the logistic function by tanh: does not overflow for large negative inputs
    "sigmoid": (lambda x: 0.5 * (1 + np.tanh(0.5 * x)), lambda y: y * (1 - y)),
    "elu": (lambda x: np.maximum(x, np.expm1(np.minimum(x, 0))), lambda y: np.minimum(y, 0) + 1),
    "softplus": (lambda x: np.logaddexp(0, x), lambda y: -np.expm1(-y)),
}
# Keras' VarianceScaling family: name -> (scale, fan). Glorot 2010 eq. 16, He 2015 eq. 10
_SCALING = {"glorot": (1.0, "avg"), "he": (2.0, "in"), "lecun": (1.0, "in")}
_OTHERS = ("zeros", "ones", "random_uniform", "random_normal", "truncated_normal")
INITIALIZERS = (*_OTHERS, *(f"{n}_{k}" for n in _SCALING for k in ("uniform", "normal")))


def initialize(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw float64 `shape` from Keras' initializer `name`, one of INITIALIZERS."""
    if name in ("zeros", "ones"):
        return np.full(shape, float(name == "ones"))  # [I, O] or [O]
    family, _, distribution = name.rpartition("_")
    limit = deviation = 0.05  # Keras' defaults
    if family in _SCALING:
        scale, fan = _SCALING[family]
        variance = scale / max(1.0, shape[0] if fan == "in" else (shape[0] + shape[-1]) / 2)
        limit = math.sqrt(3 * variance)
        # Keras divides by the spread of a normal cut at two deviations, so that `variance` results
        deviation = math.sqrt(variance) / 0.87962566103423978
    if distribution == "uniform":
        return rng.uniform(-limit, limit, shape)  # [I, O] or [O]
    values = rng.normal(size=shape)  # [I, O] or [O]
    while name != "random_normal" and (outside := np.abs(values) > 2).any():  # [I, O] or [O]
        values[outside] = rng.normal(size=int(outside.sum()))  # [k]
    return values * deviation  # [I, O] or [O]


@dataclass(frozen=True)
class Dense:
    """Keras' Dense: `activation(x @ kernel + bias)`, kernel [I, O], bias [O]."""

    units: int
    activation: str = "linear"
    use_bias: bool = True
    kernel_initializer: str = "glorot_uniform"
    bias_initializer: str = "zeros"


@dataclass(frozen=True)
class Activation:
    """Keras' Activation: an elementwise function."""

    activation: str


@functools.cache
def _ones(size: int, dtype: np.dtype[Any]) -> Array:
    return np.ones(size, dtype)  # [size]


class _Affine:
    """y = x @ kernel + bias, on views of the network's flat parameters and flat gradient."""

    def __init__(self, weights: list[Array], gradients: list[Array]) -> None:
        self.kernel, *self.bias = weights  # [I, O], [O] or none
        self.kernel_gradient, *self.bias_gradient = gradients  # [I, O], [O] or none

    def forward(self, x: Array) -> Array:
        y: Array = x.dot(self.kernel)  # [B, O], quicker than np.dot
        for bias in self.bias:
            y += bias  # [B, O]
        return y

    def backward(self, x: Array, y: Array, delta: Array, is_first: bool) -> Array:
        x.T.dot(delta, out=self.kernel_gradient)  # [I, O]
        for gradient in self.bias_gradient:  # a product with ones: quicker than a sum
            _ones(len(delta), delta.dtype).dot(delta, out=gradient)  # [O]
        if is_first:  # No layer before this one needs a gradient.
            return delta  # [B, O]
        return delta.dot(self.kernel.T)  # [B, I]


class _Elementwise:
    def __init__(self, name: str) -> None:
        self.forward, self.derivative = ACTIVATIONS[name]

    def backward(self, x: Array, y: Array, delta: Array, is_first: bool) -> Array:
        delta *= self.derivative(y)  # [B, O]
        return delta


class _Dueling:
    """Q from V (column 0) and advantages (the others), as keras-rl's dqn.py:115-167 orders them."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def forward(self, x: Array) -> Array:
        q: Array = x[..., :1] + x[..., 1:]  # [B, A], Wang 2016, eq. 7 ("naive")
        if self.kind == "max":  # Wang 2016, eq. 8
            q -= x[..., 1:].max(axis=-1, keepdims=True)  # [B, A]
        elif self.kind == "avg":  # Wang 2016, eq. 9
            q -= x[..., 1:].mean(axis=-1, keepdims=True)  # [B, A]
        return q

    def backward(self, x: Array, y: Array, delta: Array, is_first: bool) -> Array:
        total = delta.sum(axis=1, keepdims=True)  # [B, 1]
        if self.kind == "max":
            is_max = x[:, 1:] == x[:, 1:].max(axis=1, keepdims=True)  # [B, A]
            ties = is_max.sum(axis=1, keepdims=True, dtype=x.dtype)  # [B, 1]
            delta = delta - is_max * (total / ties)  # [B, A], ties share, as in TensorFlow
        elif self.kind == "avg":
            delta = delta - total / delta.shape[1]  # [B, A]
        return np.concatenate([total, delta], axis=1)  # [B, 1 + A]


class Network:
    """Hidden layers and a linear head of `action_count` Q values, on one flat vector.

    parameters, gradient: [P] of `dtype` (float32 or float64); weights, weight_gradients: views of
    them, one a Keras weight, in Keras' order (kernel [I, O], bias [O], layer after layer). With
    `dueling` ("avg", "max" or "naive") the last Dense has A + 1 units, V first; without
    `head_bias` it has a kernel alone.
    ValueError for a size below 1, an unknown activation, initializer, dueling kind or dtype.
    """

    def __init__(
        self,
        input_size: int,
        hidden: Sequence[Dense | Activation],
        action_count: int,
        rng: np.random.Generator,
        *,
        dueling: str | None = None,
        head_bias: bool = True,
        dtype: str = "float32",
    ) -> None:
        if dueling not in (None, *DUELING) or dtype not in ("float32", "float64"):
            raise ValueError(f"no such dueling kind or dtype: {dueling!r}, {dtype!r}")
        self.input_size, self.hidden, self.action_count = input_size, tuple(hidden), action_count
        self.dueling, self.head_bias, self.dtype = dueling, head_bias, np.dtype(dtype)
        layers = (*self.hidden, Dense(action_count + (dueling is not None), use_bias=head_bias))
        shapes, initializers = _weights_of(input_size, layers)
        self.parameters: Array = np.zeros(sum(map(math.prod, shapes)), dtype)  # [P]
        self.gradient: Array = np.zeros_like(self.parameters)  # [P]
        self.weights = _views(self.parameters, shapes)
        self.weight_gradients = _views(self.gradient, shapes)
        for weight, initializer in zip(self.weights, initializers, strict=True):
            weight[...] = initialize(initializer, weight.shape, rng)  # [I, O] or [O]
        self._stages: list[_Affine | _Elementwise | _Dueling] = []
        start = 0
        for layer in layers:
            if isinstance(layer, Dense):
                own = slice(start, start + 1 + layer.use_bias)
                self._stages.append(_Affine(self.weights[own], self.weight_gradients[own]))
                start = own.stop
            if layer.activation != "linear":
                self._stages.append(_Elementwise(layer.activation))
        if dueling:
            self._stages.append(_Dueling(dueling))

    def q_values(self, x: Array) -> Array:
        """Q [B, A] or [A] of inputs [B, input_size] or [input_size], of the network's dtype."""
        for stage in self._stages:
            x = stage.forward(x)  # [B, O]
        return x

    def trace(self, x: Array) -> list[Array]:
        """Every stage's output for inputs [B, input_size], the input first and Q [B, A] last."""
        outputs = [x]
        for stage in self._stages:
            outputs.append(stage.forward(outputs[-1]))  # [B, O]
        return outputs

    def backward(self, outputs: list[Array], delta: Array) -> None:
        """Write d loss / d parameters into `gradient`, from `trace(x)` and d loss / d Q [B, A]."""
        for i in range(len(self._stages) - 1, -1, -1):
            delta = self._stages[i].backward(outputs[i], outputs[i + 1], delta, i == 0)  # [B, I]

    def get_weights(self) -> list[Array]:
        """Copies of the weights, as Keras' `get_weights` lists them."""
        return [weight.copy() for weight in self.weights]

    def set_weights(self, weights: Sequence[Array]) -> None:
        """Take Keras' list of weights; ValueError, and nothing changed, where a shape differs."""
        expected, received = [w.shape for w in self.weights], [np.shape(w) for w in weights]
        if expected != received:
            raise ValueError(f"expected weights of shapes {expected}, received {received}")
        for own, weight in zip(self.weights, weights, strict=True):
            own[...] = weight  # [I, O] or [O]

    def clone(self) -> Network:
        """A network of the same layers and equal, independent parameters."""
        sizes = (self.input_size, self.hidden, self.action_count, np.random.default_rng(0))
        copy = Network(
            *sizes, dueling=self.dueling, head_bias=self.head_bias, dtype=self.dtype.name
        )
        copy.parameters[...] = self.parameters  # [P]
        return copy


def _weights_of(
    size: int, layers: Sequence[Dense | Activation]
) -> tuple[list[tuple[int, ...]], list[str]]:
    """Shapes and initializers of the weights, in Keras' order."""
    shapes: list[tuple[int, ...]] = []
    initializers: list[str] = []
    for layer in layers:
        if layer.activation not in ("linear", *ACTIVATIONS):
            raise ValueError(f"expected one of linear, {', '.join(ACTIVATIONS)} in {layer}")
        if isinstance(layer, Dense):
            if min(size, layer.units) < 1:
                raise ValueError(f"expected sizes from 1: {layer} after {size} values")
            shapes += [(size, layer.units), (layer.units,)][: 1 + layer.use_bias]
            initializers += [layer.kernel_initializer, layer.bias_initializer][: 1 + layer.use_bias]
            size = layer.units
    if unknown := set(initializers) - set(INITIALIZERS):
        raise ValueError(f"expected initializers of {', '.join(INITIALIZERS)}, received {unknown}")
    return shapes, initializers


def _views(flat: Array, shapes: list[tuple[int, ...]]) -> list[Array]:
    ends = itertools.accumulate(map(math.prod, shapes))
    return [flat[e - math.prod(s) : e].reshape(s) for s, e in zip(shapes, ends, strict=True)]


def td_loss(td_error: Array, clip: float = math.inf) -> tuple[Array, Array]:
    """Loss [B] of TD errors [B] (target minus prediction), and d loss / d prediction [B].

    keras-rl's `huber_loss` (rl/util.py:62): half the square, linear from |error| = clip on, the
    "error clipping" of Mnih 2015, Methods. With an infinite clip half the square everywhere.
    """
    if math.isinf(clip):
        return 0.5 * td_error * td_error, -td_error  # [B], [B]
    clipped = np.clip(td_error, -clip, clip)  # [B]
    return clipped * (td_error - 0.5 * clipped), -clipped  # [B], [B]
