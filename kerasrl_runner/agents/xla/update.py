"""One DQN update as one XLA program, and several of them in one call."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from kerasrl_runner.agents.xla import programs
from kerasrl_runner.agents.xla.batch import Batch
from kerasrl_runner.agents.xla.parameters import Parameters
from kerasrl_runner.agents.xla.tracing import keyed_randomness, plain_recurrence, standing_in
from kerasrl_runner.errors import EngineRefusal
from kerasrl_runner.vendor import keras, tf


class Learned(NamedTuple):
    """What a call returns: views of one result."""

    metrics: np.ndarray  # [K, 3] loss, mean |TD error|, mean max Q; one row a gradient step
    weights: np.ndarray  # [P + S] the online network, cut by `slices`; [0] if not asked for


class CompiledUpdate:
    """The DQN update of one agent.

    Args:
        online, target: built Keras models of one architecture: states in, Q values [B, A] out.
        optimizer: a new-style Keras optimizer that was not used yet.
        gamma: discount factor, in [0, 1].
        delta_clip: Huber's bound; infinite means half the squared error.
        double: Double DQN targets.
        target_model_update: below 1 the soft rate; from 1 on the caller calls
            `hard_update`.
        state_shape: as the models take it, window included, without the batch axis.
        state_dtype: floats are packed with the rest, anything else (uint8 frames) travels apart.
        seed: of Dropout's masks, together with the learn step.
        dtype: of the packed batch, the weights and the arithmetic: float32 or float64.
        return_weights: whether a call returns the online weights, for acting in NumPy.
        jit_compile: whether XLA is tried.

    Raises:
        TypeError: the optimizer is a legacy one.
        ValueError: graph mode; a number out of its range; models that are not built, of another
            dtype or of other shapes than needed; an optimizer that has been used.
    """

    def __init__(
        self,
        online: keras.Model,
        target: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        *,
        gamma: float,
        target_model_update: float,
        batch_size: int,
        state_shape: Sequence[int],
        nb_actions: int,
        seed: int,
        delta_clip: float = math.inf,
        double: bool = False,
        state_dtype: str = "float32",
        dtype: str = "float32",
        return_weights: bool = True,
        jit_compile: bool = True,
    ) -> None:
        self._model, self._optimizer = online, optimizer
        self.dtype, self.state_dtype = tf.as_dtype(dtype), tf.as_dtype(state_dtype)
        self.state_shape = tuple(state_shape)
        self._gamma, self._delta_clip, self._double = gamma, delta_clip, double
        self._tau = target_model_update if target_model_update < 1 else None
        self._batch_size, self._nb_actions = batch_size, nb_actions
        self.returns_weights, self._jit_compile = return_weights, jit_compile
        self._check(target, target_model_update)
        self.parameters = Parameters(online, target, optimizer, seed)
        self._key = self._program_key()
        self._calls: dict[int, programs.BoundProgram] = {}
        self._copy: programs.BoundProgram | None = None
        self._assigned: set[str] = set()

    def new_batch(self, gradient_steps: int = 1) -> Batch:
        """Return room for the batches of calls with that many gradient steps."""
        return Batch(self._specs(gradient_steps))

    def __call__(self, batch: Batch) -> Learned:
        """Learn from the K batches, one gradient step after the other, in one dispatch."""
        steps = batch.packed.shape[0]
        call = self._calls.get(steps) or self._build(steps)
        self.parameters.mark_changed()
        result = np.asarray(memoryview(call(batch.tensors)[0]))  # [3 * K + P + S]
        return Learned(result[: 3 * steps].reshape(steps, 3), result[3 * steps :])

    def hard_update(self) -> None:
        """Copy the online network to the target network, state included, in one dispatch."""
        if self._copy is None:
            key = None if self._key is None else ("copy", self._key)
            self._copy = programs.bound_program(  # XLA would save nothing here
                key, self.parameters.copy_to_target, [], self.parameters.named, jit_compile=False
            )
        self.parameters.mark_changed()
        self._copy([])

    def bind(
        self, name: str, function: Callable[..., tf.Tensor], specs: Sequence[tf.TensorSpec]
    ) -> programs.BoundProgram:
        """Return a function of tensors and this agent's variables as an XLA program.

        Args:
            name: tells it from the other functions of an equal update; those share programs.

        Raises:
            EngineRefusal: a layer assigns a weight as it is called (BatchNorm's averages apart),
                or reads one in a way that cannot be redirected.
        """
        key = None if self._key is None else (name, *specs, self._key)
        with plain_recurrence(self._model):
            bound = programs.bound_program(
                key, function, specs, self.parameters.named, jit_compile=self._jit_compile
            )
        by_handle = set()
        if self.parameters.are_flat:
            used = bound.program.captures_in_use()
            by_handle = {v.name for v in self.parameters.trainable if id(v.handle) in used}
        if self._assigned or by_handle:
            programs.forget(key)
            does = "reads by its handle" if by_handle else "assigns while it is called"
            weight = min(by_handle or self._assigned)
            raise EngineRefusal(
                f"the compiled engine cannot follow a layer that {does} its weight {weight!r}"
            )
        return bound

    def q_values(self, states: tf.Tensor) -> tf.Tensor:
        """Return the online network's Q values [B, A] of states [B, *state_shape], to act on."""
        return self._forward(states, self.parameters.online_values())

    def _build(self, steps: int) -> programs.BoundProgram:
        function = self._learn_once if steps == 1 else self._learn_in_turn
        self._calls[steps] = self.bind("learn", function, self._specs(steps))
        return self._calls[steps]

    def _learn_once(self, *batches: tf.Tensor) -> tf.Tensor:
        """Return [3 + P + S] from tensors with a leading axis of one."""
        return self._result(self._learn(*(batch[0] for batch in batches)))

    def _learn_in_turn(self, *batches: tf.Tensor) -> tf.Tensor:
        """Return [3 * K + P + S] from tensors with a leading axis of K gradient steps."""
        steps = batches[0].shape[0]

        def step(index: tf.Tensor, metrics: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            learned = self._learn(*(batch[index] for batch in batches))
            return index + 1, metrics.write(index, learned)

        metrics = tf.TensorArray(self.dtype, steps, element_shape=[3])
        start = (tf.constant(0), metrics)
        _, metrics = tf.while_loop(
            lambda index, _: index < steps, step, start, maximum_iterations=steps
        )
        return self._result(tf.reshape(metrics.stack(), [-1]))

    def _result(self, metrics: tf.Tensor) -> tf.Tensor:
        if not self.returns_weights:
            return metrics
        return tf.concat([metrics, self.parameters.online_vector()], 0)

    def _learn(
        self,
        packed: tf.Tensor,  # [B, W]
        states: tf.Tensor | None = None,  # [B, *state_shape]
        next_states: tf.Tensor | None = None,  # [B, *state_shape]
    ) -> tf.Tensor:
        """Take one gradient step; return loss, mean |TD error| and mean max Q [3]."""
        side = (packed.shape[1] - 3) // 2
        if states is None:
            shape = (self._batch_size, *self.state_shape)
            states = tf.reshape(packed[:, :side], shape)  # [B, *state_shape]
            next_states = tf.reshape(packed[:, side + 3 :], shape)  # [B, *state_shape]
        actions = tf.cast(packed[:, side], tf.int32)  # [B]
        rewards, terminated = packed[:, side + 1], packed[:, side + 2]  # [B], [B]
        taken = tf.one_hot(actions, self._nb_actions, dtype=self.dtype)  # [B, A]

        next_value = self._next_value(next_states)  # [B]
        # Mnih et al. (2015), algorithm 1: y = r if the episode terminated, else r + gamma * max Q
        td_target = rewards + self._gamma * (1.0 - terminated) * next_value  # [B]

        weights = self.parameters.trainable_values()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            with standing_in(self.parameters.trainable, weights, self._assigned):
                with keyed_randomness(self._model, self._randomness):
                    q_values = self._model(self._as_input(states), training=True)  # [B, A]
                penalties = self._model.losses  # [] each: weight and activity regularizers
            td_error = td_target - tf.reduce_sum(q_values * taken, 1)  # [B]
            loss = tf.add_n([tf.reduce_mean(self._huber(td_error)), *penalties])  # []
        zero = tf.UnconnectedGradients.ZERO
        self.parameters.apply(tape.gradient(loss, weights, unconnected_gradients=zero))
        if self._tau is not None:
            self.parameters.soft_update(self._tau)

        mean_max_q = tf.reduce_mean(tf.reduce_max(q_values, 1))  # []
        return tf.stack([loss, tf.reduce_mean(tf.abs(td_error)), mean_max_q])  # [3]

    def _next_value(self, next_states: tf.Tensor) -> tf.Tensor:
        """Return the target network's value [B] of the next states."""
        target_q = self._forward(next_states, self.parameters.target_values())  # [B, A]
        if not self._double:
            return tf.reduce_max(target_q, 1)  # [B]
        # van Hasselt et al. (2015), eq. 4: the online network chooses, the target one judges
        best = tf.argmax(self.q_values(next_states), 1)  # [B]
        chosen = tf.one_hot(best, self._nb_actions, dtype=self.dtype)  # [B, A]
        return tf.reduce_sum(target_q * chosen, 1)  # [B]

    def _huber(self, td_error: tf.Tensor) -> tf.Tensor:
        """Return the loss [B] of each error [B] (rl/util.py:38, huber_loss)."""
        squared = 0.5 * tf.square(td_error)
        if math.isinf(self._delta_clip):
            return squared
        size = tf.abs(td_error)
        linear = self._delta_clip * (size - 0.5 * self._delta_clip)
        return tf.where(size < self._delta_clip, squared, linear)

    def _forward(self, states: tf.Tensor, values: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the Q values [B, A] of a network whose variables have these values."""
        with standing_in(self.parameters.variables, values, self._assigned):
            return self._model(self._as_input(states), training=False)  # [B, A]

    def _as_input(self, states: tf.Tensor) -> tf.Tensor:
        return tf.cast(states, self._model.inputs[0].dtype)

    def _randomness(self) -> tf.Tensor:
        return tf.stack([self.parameters.seed.read_value(), self._optimizer.iterations])  # [2]

    def _specs(self, steps: int) -> list[tf.TensorSpec]:
        """Return what the program takes: packed rows, and states where they are apart."""
        shape = (steps, self._batch_size, *self.state_shape)
        if self.state_dtype.is_floating:
            width = 3 + 2 * math.prod(self.state_shape)
            return [tf.TensorSpec((steps, self._batch_size, width), self.dtype)]
        rows = tf.TensorSpec((steps, self._batch_size, 3), self.dtype)
        return [rows, *[tf.TensorSpec(shape, self.state_dtype)] * 2]

    def _program_key(self) -> tuple[object, ...] | None:
        keys = (programs.model_key(self._model), programs.optimizer_key(self._optimizer))
        if None in keys:
            return None
        numbers = (self._gamma, self._delta_clip, self._double, self._tau)
        sizes = (self._batch_size, self.state_shape, self.state_dtype, self._nb_actions)
        ways = (self.dtype, self.returns_weights, self._jit_compile, self.parameters.are_flat)
        return (*keys, *numbers, *sizes, *ways)

    def _check(self, target: keras.Model, target_model_update: float) -> None:
        """Refuse what cannot work, before anything is built."""
        online, optimizer = self._model, self._optimizer
        if not isinstance(optimizer, keras.optimizers.Optimizer):
            raise TypeError(f"a new-style Keras optimizer is needed, not {type(optimizer)}")
        output = (None, self._nb_actions)
        checks = {
            "eager mode is needed": tf.executing_eagerly(),
            f"gamma must lie in [0, 1], got {self._gamma}": 0 <= self._gamma <= 1,
            f"delta_clip must be above 0, got {self._delta_clip}": self._delta_clip > 0,
            f"batch_size must be above 0, got {self._batch_size}": self._batch_size > 0,
            f"target_model_update must be above 0, got {target_model_update}": (
                target_model_update > 0
            ),
            "the models must be built": online.built and target.built,
            f"the model must give Q values {output}": tuple(online.output_shape) == output,
            "both models must have the same weights": (
                [v.shape for v in online.variables] == [v.shape for v in target.variables]
            ),
            "the model must have trainable weights": bool(online.trainable_variables),
            f"the model must compute in {self.dtype.name}": all(
                layer.compute_dtype == self.dtype.name for layer in online.layers
            )
            and all(v.dtype == self.dtype for v in online.variables if v.dtype.is_floating),
            "the optimizer was used before": not getattr(optimizer, "_built", False),
        }
        for message, holds in checks.items():
            if not holds:
                raise ValueError(message)
