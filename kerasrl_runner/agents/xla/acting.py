"""Q values of one state: in NumPy where the model is plain and small, else in one dispatch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from kerasrl_runner.agents.xla import programs
from kerasrl_runner.agents.xla.update import CompiledUpdate
from kerasrl_runner.vendor import keras, tf

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def _elu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _selu(x: np.ndarray) -> np.ndarray:
    negative = _SELU_ALPHA * np.expm1(np.minimum(x, 0))
    return np.asarray(_SELU_SCALE * np.where(x > 0, x, negative), x.dtype)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * x))  # the same function, without overflow


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


class UnaskedQValues:
    """Q values [A] that are computed only if an epsilon-greedy policy asks for the best action."""

    ndim = 1

    def __init__(self, nb_actions: int, compute: Callable[[], np.ndarray]) -> None:
        self.shape = (nb_actions,)
        self._compute = compute

    def argmax(self, axis: int | None = None, out: None = None) -> np.intp:
        """What np.argmax calls."""
        return self._compute().argmax()


class DenseForward:
    """The forward pass of a plain stack of Dense layers, in NumPy.

    Args:
        model: a model that `supports` accepts.
        slices: where the weights of `model.variables[i]` lie in the vectors to come.
        dtype: of those vectors and of the arithmetic.
    """

    def __init__(
        self, model: keras.Sequential, slices: Sequence[slice | None], dtype: np.dtype
    ) -> None:
        size = max(cut.stop for cut in slices if cut is not None)
        self._weights = np.zeros(size, dtype)  # [P + S]
        self._dtype = self._weights.dtype
        self._steps: list[tuple[np.ndarray | None, np.ndarray | None, Callable | None]] = []
        views = {
            id(variable): self._weights[cut].reshape(variable.shape)
            for variable, cut in zip(model.variables, slices, strict=True)
            if cut is not None
        }
        for layer in model.layers:
            if isinstance(layer, keras.layers.Dense):
                bias = views[id(layer.bias)] if layer.use_bias else None
                kernel = views[id(layer.kernel)]
                self._steps.append((kernel, bias, _ACTIVATIONS[layer.activation]))
            elif isinstance(layer, keras.layers.Activation):
                self._steps.append((None, None, _ACTIVATIONS[layer.activation]))

    @staticmethod
    def supports(model: keras.Model) -> bool:
        """Whether the model is a Sequential of Flatten, Dense, Activation and Dropout alone."""
        if not isinstance(model, keras.Sequential):
            return False
        return all(_is_plain(layer) for layer in model.layers)

    def take_weights(self, weights: np.ndarray) -> None:
        """Act on these weights [P + S] from here on; they are copied."""
        self._weights[:] = weights

    def q_values(self, state: np.ndarray) -> np.ndarray:
        """Return Q values [A] of one state [*state_shape]."""
        x = np.asarray(state, self._dtype).reshape(-1)
        for kernel, bias, activation in self._steps:
            if kernel is not None:
                x = np.dot(x, kernel)  # [units]
            if bias is not None:
                x += bias
            if activation is not None:
                x = activation(x)
        return x  # [A]


class CompiledForward:
    """The forward pass of any model, as one XLA program on the weights of an update."""

    def __init__(self, update: CompiledUpdate) -> None:
        dtype = update.state_dtype if not update.state_dtype.is_floating else update.dtype
        spec = tf.TensorSpec((1, *update.state_shape), dtype)
        self._state = programs.aligned_zeros(spec.shape, np.dtype(dtype.as_numpy_dtype))
        self._inputs = [programs.aliasing_tensor(self._state)]
        self._call = update.bind("act", lambda states: update.q_values(states)[0], [spec])

    def take_weights(self, weights: np.ndarray) -> None:
        """Do nothing: the program reads the update's own variables."""

    def q_values(self, state: np.ndarray) -> np.ndarray:
        """Return Q values [A] of one state [*state_shape]."""
        self._state[0] = state
        return np.array(memoryview(self._call(self._inputs)[0]))  # [A]


def forward_for(update: CompiledUpdate, model: keras.Model) -> DenseForward | CompiledForward:
    """Return the forward pass that acts for this update's online model, with its weights."""
    if not (update.returns_weights and DenseForward.supports(model)):
        return CompiledForward(update)
    forward = DenseForward(model, update.parameters.slices, update.dtype.as_numpy_dtype)
    forward.take_weights(update.parameters.online_vector().numpy())
    return forward


def _is_plain(layer: keras.layers.Layer) -> bool:
    layers = keras.layers
    if type(layer) in (layers.InputLayer, layers.Dropout):
        return True
    if type(layer) is layers.Flatten:
        return layer.data_format == "channels_last"
    if type(layer) is layers.Dense:
        return len(layer.input_shape) == 2 and layer.activation in _ACTIVATIONS
    return type(layer) is layers.Activation and layer.activation in _ACTIVATIONS
