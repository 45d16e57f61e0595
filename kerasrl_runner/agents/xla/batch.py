"""Room for the batches of one call of the compiled update."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerasrl_runner.agents.xla import programs
from kerasrl_runner.vendor import tf


class Batch:
    """Room for the K batches of one call: write into the arrays, then call the update with it.

    Attributes:
        packed: [K, B, W] in the update's dtype; a row is state, action, reward, terminated (0 or
            1), next state, or without the two states where those are separate.
        states, next_states: [K, B, *state_shape] where a state is not of floats, else None.
        tensors: the program's arguments, on the memory of these arrays.
    """

    def __init__(self, specs: Sequence[tf.TensorSpec]) -> None:
        arrays = [programs.aligned_zeros(s.shape, np.dtype(s.dtype.as_numpy_dtype)) for s in specs]
        self.packed: np.ndarray = arrays[0]
        self.states: np.ndarray | None = arrays[1] if len(arrays) == 3 else None
        self.next_states: np.ndarray | None = arrays[2] if len(arrays) == 3 else None
        self.tensors = [programs.aliasing_tensor(array) for array in arrays]

    def fill(
        self,
        states: np.ndarray,  # [K, B, *state_shape]
        actions: np.ndarray,  # [K, B]
        rewards: np.ndarray,  # [K, B]
        next_states: np.ndarray,  # [K, B, *state_shape]
        terminated: np.ndarray,  # [K, B]
    ) -> None:
        """Write transitions into the arrays; a leading axis of K = 1 may be missing."""
        side = (self.packed.shape[2] - 3) // 2
        if self.states is None or self.next_states is None:
            shape = (*self.packed.shape[:2], side)
            self.packed[..., :side] = np.reshape(states, shape)
            self.packed[..., side + 3 :] = np.reshape(next_states, shape)
        else:
            self.states[...] = states
            self.next_states[...] = next_states
        self.packed[..., side] = actions
        self.packed[..., side + 1] = rewards
        self.packed[..., side + 2] = terminated
