"""What an update needs of the two networks, whichever way they are computed."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from kerasrl_runner.vendor import keras, tf


class Networks:
    """The online and the target network of one agent.

    Attributes:
        key: equal for networks that can share a program; None if they share with none.
        trainable: the variables that the optimizer steps on.
        variables: by name, all that an update reads or assigns.
        models_are_stale: whether the Keras models may lack the current weights, where those live
            elsewhere.
        models_are_shown: whether somebody got the Keras models and may have changed their weights.
    """

    key: Hashable = None
    trainable: list[tf.Variable]
    variables: dict[str, tf.Variable]
    models_are_stale = False
    models_are_shown = False

    def q_values(self, state: np.ndarray) -> np.ndarray:
        """Return the online network's Q values [A] of one state [*state_shape], to act on."""
        raise NotImplementedError

    def online_q(self, states: tf.Tensor) -> tf.Tensor:
        """Return the online network's Q values [B, A] of states [B, *state_shape]."""
        raise NotImplementedError

    def target_q(self, states: tf.Tensor) -> tf.Tensor:
        """Return the target network's Q values [B, A] of states [B, *state_shape]."""
        raise NotImplementedError

    def training_q(self, states: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the online network's Q values [B, A] in training mode, and its penalties.

        Args:
            key: int64 [2]; random layers draw their masks and noise by it.
        """
        raise NotImplementedError

    def apply_gradients(
        self, optimizer: keras.optimizers.Optimizer, gradients: Sequence[Any]
    ) -> None:
        """Let the optimizer step by the gradients of `trainable`."""
        raise NotImplementedError

    def soft_update(self, tau: float) -> None:
        """Move the target network's float weights: tau * online + (1 - tau) * target."""
        raise NotImplementedError

    def hard_update(self) -> None:
        """Copy the online network's weights to the target network."""
        raise NotImplementedError

    def outputs(self) -> list[tf.Tensor]:
        """Return what an update returns beside its metrics: vectors for `take_outputs`."""
        return []

    def take_outputs(self, outputs: np.ndarray) -> None:
        """Act by an update's outputs, joined to one vector, from here on."""

    def take_variables(self) -> None:
        """Act by `variables`, which were assigned from outside, and give them to the models."""

    def sync_models(self) -> None:
        """Give the Keras models the current weights; costs nothing if they have them."""

    def take_models(self) -> None:
        """Act by the weights that somebody gave to the Keras models since `sync_models`, if any.

        The target network's are looked at only if the models are shown.
        """
