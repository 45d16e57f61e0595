"""Tier 2: any Keras model, called on its own variables as any Keras training step calls it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from kerasrl_runner.agents.xla.programs import OwnProgram, aliasing_tensor, aligned_zeros
from kerasrl_runner.vendor import keras, keyed_randomness, tf, use_plain_recurrence


class KerasNetworks:
    """An online and a target network that are Keras models with variables of their own.

    Args:
        online, target: built models of one architecture.
        state: shape and dtype of one state.

    Attributes:
        key: None, since no other agent's networks can share a program: two layers of one class
            and configuration may still compute different things.
        trainable: what the optimizer steps on.
        variables: by name, all that an update reads or assigns.
    """

    key: Hashable = None

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
        """Return the online network's Q values [A] of one state [*state_shape]."""
        self._acting_state[0] = state
        return np.array(memoryview(self._act(self._acting_inputs)[0]))  # [A]

    def online_q(self, states: tf.Tensor) -> tf.Tensor:
        """Return the online network's Q values [B, A] of states [B, *state_shape]."""
        return self._online(self._as_input(states), training=False)

    def target_q(self, states: tf.Tensor) -> tf.Tensor:
        """Return the target network's Q values [B, A] of states [B, *state_shape]."""
        return self._target(self._as_input(states), training=False)

    def training_q(self, states: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the online network's Q values [B, A] in training mode, and its penalties.

        Args:
            key: int64 [2]; random layers draw their masks and noise by it.
        """
        with keyed_randomness(self._online, key):
            q_values = self._online(self._as_input(states), training=True)  # [B, A]
        return q_values, self._online.losses

    def apply_gradients(
        self, optimizer: keras.optimizers.Optimizer, gradients: Sequence[tf.Tensor]
    ) -> None:
        """Let the optimizer step."""
        # XLA cannot compile what Keras does with an Embedding's sparse gradient.
        dense = [None if g is None else tf.convert_to_tensor(g) for g in gradients]
        optimizer.apply_gradients(zip(dense, self.trainable, strict=True))

    def soft_update(self, tau: float) -> None:
        """Move the target network's float weights: tau * online + (1 - tau) * target."""
        pairs = zip(self._target.variables, self._online.variables, strict=True)
        for target, online in pairs:
            if target.dtype.is_floating:
                target.assign(tau * online + (1.0 - tau) * target)

    def hard_update(self) -> None:
        """Copy the online network's weights to the target network, in one dispatch."""
        self._hard_update()

    def outputs(self) -> list[tf.Tensor]:
        """Return what an update returns beside its metrics: nothing."""
        return []

    def take_outputs(self, outputs: np.ndarray) -> None:
        """Do nothing: the models' own variables were updated."""

    def take_variables(self) -> None:
        """Do nothing: the variables are the models' own."""

    def sync_models(self) -> None:
        """Do nothing: the models have the current weights."""

    def take_models(self) -> None:
        """Do nothing: the variables are the models' own."""

    def _copy_to_target(self) -> None:
        for target, online in zip(self._target.variables, self._online.variables, strict=True):
            target.assign(online)

    def _as_input(self, states: tf.Tensor) -> tf.Tensor:
        return tf.cast(states, self._online.inputs[0].dtype)
