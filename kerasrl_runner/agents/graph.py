"""A private TensorFlow graph and session: the vendor's training path needs graph mode.

Eager execution stays on outside. tf-keras rewires the base classes of its models at each
construction after the mode it happens in, so eager Keras models and an agent of this kind do not
mix in one process: `load_model` and the like belong before or after an agent's life. The defects
(D12, D30) are those of docs/defects.md.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from kerasrl_runner.parts.model import copy_model
from kerasrl_runner.vendor import keras, rl_dqn, rl_util, tf


class PrivateGraph:
    """One graph and session of an agent's own (D30); a context manager, reentrant."""

    def __init__(self) -> None:
        self._graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=self._graph)
        self._depth = 0
        self._stack = contextlib.ExitStack()
        with self:  # NumPy's stream is seeded together with all the others.
            tf.compat.v1.set_random_seed(int(np.random.randint(2**31)))

    def __enter__(self) -> PrivateGraph:
        if self._depth == 0:
            self._stack.enter_context(self._graph.as_default())
            self._stack.enter_context(self._session.as_default())
            # An eager model built since the last time has turned Keras' classes to eager mode.
            keras.Sequential()
        self._depth += 1
        return self

    def __exit__(self, *exception: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._stack.close()


class SoftTargetUpdate:
    """Stands for the vendor's `get_soft_target_model_updates`; the optimizer makes the updates."""

    def __init__(self, target: Any, source: Any, tau: float) -> None:
        self.source = source
        self.tau = tau
        pairs = zip(target.weights, source.weights, strict=True)
        # The vendor's fails on the integer weight of a Normalization layer.
        self.pairs = [pair for pair in pairs if pair[0].dtype.is_floating]


class OrderedUpdatesOptimizer(rl_util.AdditionalUpdatesOptimizer):
    """The vendor's optimizer wrapper with the soft update ordered after the gradient step (D12).

    rl/util.py:90 leaves the order to chance, so that equal seeds give different weights.
    """

    def get_updates(self, params: Any, loss: Any) -> list[Any]:
        """The gradient step's updates and, after them and BatchNormalization's, the target's."""
        gradient = self.optimizer.get_updates(params=params, loss=loss)
        soft: SoftTargetUpdate = self.additional_updates
        with tf.control_dependencies([*gradient, *soft.source.updates]):
            updates = [
                target.assign(
                    soft.tau * online.read_value() + (1.0 - soft.tau) * target.read_value()
                )
                for target, online in soft.pairs
            ]
        self.updates = [*gradient, *updates]
        return self.updates


def clone_into_graph(graph: PrivateGraph, model: Any) -> Any:
    """A copy of the eager `model` and its weights inside `graph`."""
    keras.Sequential()  # turns Keras' classes back to eager mode, in which `model` was built
    weights = model.get_weights()
    with graph:
        return copy_model(model, weights)


@contextlib.contextmanager
def replace_vendor_parts() -> Iterator[None]:
    """Let the vendor's compile use our copy of a model and our ordered soft update."""
    replaced = {
        "AdditionalUpdatesOptimizer": OrderedUpdatesOptimizer,
        "get_soft_target_model_updates": SoftTargetUpdate,
        "clone_model": lambda model, custom_objects=None: copy_model(model),
    }
    kept = {name: getattr(rl_dqn, name) for name in replaced}
    for name, part in replaced.items():
        setattr(rl_dqn, name, part)
    try:
        yield
    finally:
        for name, part in kept.items():
            setattr(rl_dqn, name, part)
