"""A private TensorFlow graph and session: the vendor's training path needs graph mode.

Eager execution stays on outside. tf-keras rewires the bases of a class of models or layers after
the mode in which the newest object of it was made, so an eager Keras model does not work inside, as
in a callback of `fit`. The defects (D12, D30) are those of docs/defects.md.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from kerasrl_runner.parts.model import copy_model
from kerasrl_runner.vendor import keras, rl_dqn, rl_util, tf


class PrivateGraph:
    """One graph and session of an agent's own (D30); a context manager, reentrant.

    Inside works `copy`, a copy of the caller's `model`. On entering it takes weights that somebody
    has given to `model` since, and on leaving `model` takes its.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.depth = 0
        self._graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=self._graph)
        self._stack = contextlib.ExitStack()
        self._outside = tf.compat.v1.get_default_graph()
        self._known = model.get_weights()
        modules = {type(module) for module in (model, *model.submodules)}
        self._classes = {keras.Sequential, keras.layers.Lambda, *modules}
        with self._graph.as_default(), self._session.as_default():
            # NumPy's stream is seeded together with all the others.
            tf.compat.v1.set_random_seed(int(np.random.randint(2**31)))
            self.copy = copy_model(model, self._known)
        self._rewire_classes()

    def __enter__(self) -> PrivateGraph:
        if self.depth == 0:
            weights = self.model.get_weights() if self._reaches_model() else self._known
            self._stack.enter_context(self._graph.as_default())
            self._stack.enter_context(self._session.as_default())
            self._rewire_classes()
            if not all(map(np.array_equal, weights, self._known)):
                self.copy.set_weights(weights)
        self.depth += 1
        return self

    def __exit__(self, *exception: object) -> None:
        self.depth -= 1
        if self.depth == 0:
            weights = self.copy.get_weights()
            self._stack.close()
            self._rewire_classes()
            if self._reaches_model():
                self.model.set_weights(weights)
                self._known = weights

    def _reaches_model(self) -> bool:
        """Whether this is no other agent's graph, as in a callback of its `fit`."""
        return tf.executing_eagerly() or tf.compat.v1.get_default_graph() is self._outside

    def _rewire_classes(self) -> None:
        for made in self._classes:
            made.__new__(made)


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
