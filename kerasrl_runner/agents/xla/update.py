"""One DQN update as one XLA program, and several of them in one call."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from kerasrl_runner.agents.xla.keras_networks import KerasNetworks
from kerasrl_runner.agents.xla.plain import (
    PlainNetworks,
    is_elementwise,
    optimizer_key,
    plain_steps,
)
from kerasrl_runner.agents.xla.programs import (
    OwnProgram,
    Program,
    aliasing_tensor,
    aligned_zeros,
    shared_program,
)
from kerasrl_runner.vendor import keras, tf


class UpdateSettings(NamedTuple):
    """What an update computes, and on how much."""

    delta_clip: float  # Huber's bound; infinite means half the squared error
    double: bool  # Double DQN targets
    soft_rate: float | None  # None leaves the target network to `hard_update`
    batch_size: int
    gradient_steps: int  # in one call
    weighted: bool = False  # by importance weights; a call returns the TD errors, too
    masked_actions: int = 0  # A, where the batch says which are legal; else 0


class CompiledUpdate:
    """The DQN update of one agent.

    Args:
        online, target: built Keras models of one architecture: states in, Q values [B, A] out.
        optimizer: a new-style Keras optimizer that was not used yet; it is built here.
        settings: what an update computes.
        state: shape, window included, and dtype of one state.
        seed: of Dropout's masks, together with the learn step.

    Attributes:
        batch: the batches of one call, K gradient steps of B transitions, to be filled before it:
            `states`, `next_states` [K, B, *state_shape], `actions` [K, B] int32, `rewards` and
            `discounts` [K, B], what the next state's value is multiplied by (0 where terminated);
            where the settings are `weighted` also `weights` [K, B], how much each one counts; with
            `masked_actions` also `next_legal` [K, B, A], 1 where the next state allows it, else 0.
        networks: where the weights live, and the forward passes.
        settings: as set last.
        variables: by name, all that the next update depends on.
    """

    def __init__(
        self,
        online: keras.Model,
        target: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        settings: UpdateSettings,
        state: tf.TensorSpec,
        seed: int,
    ) -> None:
        self._optimizer, self._state = optimizer, state
        self._dtype = tf.as_dtype(online.output.dtype)
        steps = plain_steps(online) if is_elementwise(optimizer) else None
        self.networks = (
            KerasNetworks(online, target, state)
            if steps is None
            else PlainNetworks(online, target, steps)
        )
        optimizer.build(self.networks.trainable)
        self._seed = tf.Variable(seed, dtype=tf.int64)
        self.variables: dict[str, tf.Variable] = {
            **self.networks.variables,
            "seed": self._seed,
            **dict(_optimizer_variables(optimizer)),
        }
        self.configure(settings)

    def configure(self, settings: UpdateSettings) -> None:
        """Compute this from the next call on; makes a program and a batch buffer for it."""
        self.settings = settings
        self._metric_count = 3 + settings.batch_size * settings.weighted  # M, of a gradient step
        self._specs = self._make_specs()
        arrays = {
            name: aligned_zeros(spec.shape, np.dtype(spec.dtype.as_numpy_dtype))
            for name, spec in self._specs.items()
        }
        self.batch = SimpleNamespace(**arrays)
        self._inputs = [aliasing_tensor(array) for array in arrays.values()]
        specs = list(self._specs.values())
        function = self._learn_once if settings.gradient_steps == 1 else self._learn_in_turn
        self._program: Program
        key = None if self.networks.key is None else optimizer_key(self._optimizer)
        if key is None:
            self._program = OwnProgram(function, specs)
        else:
            shared = (self.networks.key, key, settings, *specs)
            self._program = shared_program(shared, function, specs, self.variables)

    def __call__(self) -> np.ndarray:
        """Learn from `batch`, one gradient step after the other, in one dispatch.

        Returns:
            Loss, mean |TD error| and mean max Q of each gradient step, [K, 3]; where it is
            `weighted` the TD errors after them, [K, 3 + B].
        """
        self.networks.models_are_stale = True  # Ctrl-C may come between the call and what follows
        result = np.asarray(memoryview(self._program(self._inputs)[0]))  # [M * K + P]
        end = self._metric_count * self.settings.gradient_steps
        self.networks.take_outputs(result[end:])
        return result[:end].reshape(-1, self._metric_count)  # [K, M]

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of all that the next update depends on, for a checkpoint."""
        return {name: variable.numpy() for name, variable in self.variables.items()}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Take back what `state_dict` returned, and give the models their weights.

        Raises:
            ValueError: the state of another architecture or optimizer; nothing has changed.
        """
        expected = {name: tuple(variable.shape) for name, variable in self.variables.items()}
        received = {name: np.shape(array) for name, array in state.items()}
        if received != expected:
            differing = sorted(dict(received.items() ^ expected.items()))
            raise ValueError(f"the state is of another model or optimizer: {differing} differ")
        for name, variable in self.variables.items():
            variable.assign(state[name])
        self.networks.take_variables()

    def _learn_once(self, *batches: tf.Tensor) -> tf.Tensor:
        """Return [M + P] from tensors with a leading axis of one."""
        return self._result(self._learn_from(batches, 0))

    def _learn_in_turn(self, *batches: tf.Tensor) -> tf.Tensor:
        """Return [M * K + P] from tensors with a leading axis of K gradient steps."""
        steps = self.settings.gradient_steps

        def step(index: tf.Tensor, metrics: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            return index + 1, metrics.write(index, self._learn_from(batches, index))

        metrics = tf.TensorArray(self._dtype, steps, element_shape=[self._metric_count])
        start = (tf.constant(0), metrics)
        _, metrics = tf.while_loop(
            lambda index, _: index < steps, step, start, maximum_iterations=steps
        )
        return self._result(tf.reshape(metrics.stack(), [-1]))

    def _result(self, metrics: tf.Tensor) -> tf.Tensor:
        return tf.concat([metrics, *self.networks.outputs()], 0)

    def _learn_from(self, batches: tuple[tf.Tensor, ...], index: int | tf.Tensor) -> tf.Tensor:
        named = zip(self._specs, batches, strict=True)
        return self._learn(**{name: batch[index] for name, batch in named})

    def _learn(
        self,
        states: tf.Tensor,  # [B, *state_shape]
        actions: tf.Tensor,  # [B]
        rewards: tf.Tensor,  # [B]
        next_states: tf.Tensor,  # [B, *state_shape]
        discounts: tf.Tensor,  # [B]
        weights: tf.Tensor | None = None,  # [B]
        next_legal: tf.Tensor | None = None,  # [B, A]
    ) -> tf.Tensor:
        """Take one gradient step; return what `__call__` does of each, [3] or [3 + B]."""
        networks, settings = self.networks, self.settings
        next_value = self._next_value(next_states, next_legal)  # [B]
        # Mnih et al. (2015), algorithm 1: y = r if the episode terminated, else r + gamma * max Q;
        # Hessel et al. (2018), "multi-step learning": gamma^n, with the rewards of n steps
        td_target = rewards + discounts * next_value  # [B]

        key = tf.stack([self._seed.read_value(), self._optimizer.iterations])  # [2]
        with tf.GradientTape() as tape:
            q_values, penalties = networks.training_q(states, key)  # [B, A]
            td_error = td_target - _select(q_values, actions)  # [B]
            losses = self._huber(td_error)  # [B]
            if weights is not None:  # Schaul et al. (2016), algorithm 1, line 13
                losses *= weights  # [B]
            loss = tf.add_n([tf.reduce_mean(losses), *penalties])  # []
        networks.apply_gradients(self._optimizer, tape.gradient(loss, networks.trainable))
        if settings.soft_rate is not None:
            networks.soft_update(settings.soft_rate)

        mean_max_q = tf.reduce_mean(tf.reduce_max(q_values, 1))  # []
        metrics = tf.stack([loss, tf.reduce_mean(tf.abs(td_error)), mean_max_q])  # [3]
        return metrics if weights is None else tf.concat([metrics, td_error], 0)  # [3 + B]

    def _next_value(self, next_states: tf.Tensor, next_legal: tf.Tensor | None) -> tf.Tensor:
        """Return the target network's value [B] of the next states, by their legal actions."""

        def mask(q_values: tf.Tensor) -> tf.Tensor:  # [B, A]
            illegal = q_values.dtype.min
            return q_values if next_legal is None else tf.where(next_legal > 0, q_values, illegal)

        target_q = self.networks.target_q(next_states)  # [B, A]
        if not self.settings.double:
            return tf.reduce_max(mask(target_q), 1)  # [B]
        # van Hasselt et al. (2015), eq. 4: the online network chooses, the target one judges
        return _select(target_q, tf.argmax(mask(self.networks.online_q(next_states)), 1))  # [B]

    def _huber(self, td_error: tf.Tensor) -> tf.Tensor:
        """Return the loss [B] of each error [B] (rl/util.py:38, huber_loss)."""
        squared, clip = 0.5 * tf.square(td_error), self.settings.delta_clip
        if math.isinf(clip):
            return squared
        size = tf.abs(td_error)
        return tf.where(size < clip, squared, clip * (size - 0.5 * clip))

    def _make_specs(self) -> dict[str, tf.TensorSpec]:
        """Return the shapes and dtypes of a batch buffer's arrays."""
        lead = (self.settings.gradient_steps, self.settings.batch_size)
        states = tf.TensorSpec((*lead, *self._state.shape), self._state.dtype)
        numbers = tf.TensorSpec(lead, self._dtype)
        specs = {
            "states": states,
            "actions": tf.TensorSpec(lead, tf.int32),
            "rewards": numbers,
            "next_states": states,
            "discounts": numbers,
        }
        if self.settings.weighted:
            specs["weights"] = numbers
        if self.settings.masked_actions:
            specs["next_legal"] = tf.TensorSpec((*lead, self.settings.masked_actions), self._dtype)
        return specs


def _select(q_values: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
    """Return the Q values [B] of these actions [B], from Q values [B, A]."""
    one_hot = tf.one_hot(actions, q_values.shape[1], dtype=q_values.dtype)  # [B, A]
    return tf.reduce_sum(q_values * one_hot, 1)  # [B]


def _optimizer_variables(
    optimizer: keras.optimizers.Optimizer,
) -> Iterator[tuple[str, tf.Variable]]:
    """Yield the variables in the optimizer's attributes and lists, each once, by its place.

    Its own `variables` leave out the learning rate and Nadam's product of momenta.
    """
    seen: set[int] = set()
    for attribute, value in vars(optimizer).items():
        for index, item in enumerate(value if isinstance(value, list | tuple) else [value]):
            if isinstance(item, tf.Variable) and id(item) not in seen:
                seen.add(id(item))
                yield f"optimizer/{attribute}/{index}", item
