"""Tier 2: any Keras model, called on its own variables as any Keras training step calls it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasrl_runner.agents.xla.networks import Networks
from kerasrl_runner.agents.xla.programs import OwnProgram, aliasing_tensor, aligned_zeros
from kerasrl_runner.vendor import keras, keyed_randomness, tf, use_plain_recurrence


class KerasNetworks(Networks):
    """An online and a target network that are Keras models with variables of their own.

    They share no program: two layers of one class and configuration may still compute different
    things.

    Args:
        online, target: built models of one architecture.
        state: shape and dtype of one state.
    """

    def __init__(self, online: keras.Model, target: keras.Model, state: tf.TensorSpec) -> None:
        self._online, self._target = online, target
        self.trainable = online.trainable_variables
        self.variables = {
            f"{name}/{index}": variable
            for name, model in (("online", online), ("target", target))
            for index, variable in enumerate(model.variables)
        }
        use_plain_recurrence(online)
        use_plain_recurrence(target)
        batch = tf.TensorSpec((1, *state.shape), state.dtype)
        self._acting_state = aligned_zeros(batch.shape, np.dtype(batch.dtype.as_numpy_dtype))
        self._acting_inputs = [aliasing_tensor(self._acting_state)]
        self._act = OwnProgram(lambda states: self.online_q(states)[0], [batch])
        self._hard_update = tf.function(self._copy_to_target)

    def q_values(self, state: np.ndarray) -> np.ndarray:
        self._acting_state[0] = state
        return np.array(memoryview(self._act(self._acting_inputs)[0]))  # [A]

    def online_q(self, states: tf.Tensor) -> tf.Tensor:
        return self._online(self._as_input(states), training=False)

    def target_q(self, states: tf.Tensor) -> tf.Tensor:
        return self._target(self._as_input(states), training=False)

    def training_q(self, states: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with keyed_randomness(self._online, key):
            q_values = self._online(self._as_input(states), training=True)  # [B, A]
        return q_values, self._online.losses

    def apply_gradients(
        self, optimizer: keras.optimizers.Optimizer, gradients: Sequence[Any]
    ) -> None:
        # XLA cannot compile what Keras does with an Embedding's sparse gradient.
        dense = [None if g is None else tf.convert_to_tensor(g) for g in gradients]
        optimizer.apply_gradients(zip(dense, self.trainable, strict=True))

    def soft_update(self, tau: float) -> None:
        pairs = zip(self._target.variables, self._online.variables, strict=True)
        for target, online in pairs:
            if target.dtype.is_floating:
                target.assign(tau * online + (1.0 - tau) * target)

    def hard_update(self) -> None:
        self._hard_update()

    def _copy_to_target(self) -> None:
        for target, online in zip(self._target.variables, self._online.variables, strict=True):
            target.assign(online)

    def _as_input(self, states: tf.Tensor) -> tf.Tensor:
        return tf.cast(states, self._online.inputs[0].dtype)
