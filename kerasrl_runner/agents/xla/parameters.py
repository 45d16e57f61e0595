"""Where the weights live while the compiled update learns: outside the Keras models, in one piece.

A captured variable costs some 7 µs in each call of an XLA program and a network has two a layer,
so the trainable weights are one flat variable, and so is the whole target network.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from kerasrl_runner.agents.xla.programs import named_variables
from kerasrl_runner.vendor import keras, tf

# Each treats every number by itself, so one flat variable gives what many variables give.
_ELEMENTWISE = tuple(
    getattr(keras.optimizers, name)
    for name in "Adadelta Adagrad Adam AdamW Adamax Ftrl Lion Nadam RMSprop SGD".split()
)


# From about here on, cutting and joining the gradients costs more than captured variables do:
# 256-256 (67,586 weights) learned 10 to 20% faster on separate ones, 120-84 (10,934) did not.
_FLAT_LIMIT = 30_000


class Parameters:
    """The weights of an online and a target network, and the optimizer's variables.

    An optimizer that looks at whole variables (Adafactor, a user's own class, one that excludes
    variables from weight decay) gets the online model's own variables instead of the flat one,
    and so does every optimizer of a large network. Weights that are not trainable (BatchNorm's
    averages) stay the online model's own variables.

    Args:
        online, target: built models of one architecture whose float weights are of one dtype.
        optimizer: new-style and not built yet; it is built here.

    Attributes:
        trainable: the online model's trainable variables.
        variables: all of the online model's variables: trainable, other floats, whole numbers.
        shapes: of all float weights, the trainable ones first.
        slices: where the weights of `online.variables[i]` lie in the flat vector [P + S]; None
            for whole numbers, which are no part of it.
        named: every variable that an update reads or changes.
    """

    def __init__(
        self,
        online: keras.Model,
        target: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        seed: int,
    ) -> None:
        self._optimizer = optimizer
        self.trainable: list[tf.Variable] = online.trainable_variables
        self._state = [v for v in online.non_trainable_variables if v.dtype.is_floating]
        floats = [*self.trainable, *self._state]
        self._whole = [v for v in online.variables if not v.dtype.is_floating]
        self.variables = [*floats, *self._whole]
        self.shapes = [tuple(variable.shape) for variable in floats]

        position = {id(variable): index for index, variable in enumerate(online.variables)}
        order = [position[id(variable)] for variable in floats]
        self._all_target = [target.variables[index] for index in order]
        ends = itertools.accumulate((math.prod(shape) for shape in self.shapes), initial=0)
        cuts = dict(zip(order, itertools.starmap(slice, itertools.pairwise(ends)), strict=True))
        self.slices: list[slice | None] = [cuts.get(index) for index in range(len(position))]

        spares_some = hasattr(optimizer, "_exclude_from_weight_decay")
        elementwise = type(optimizer) in _ELEMENTWISE and not spares_some
        small = sum(math.prod(variable.shape) for variable in self.trainable) <= _FLAT_LIMIT
        self._flat = tf.Variable(_join(self.trainable)) if elementwise and small else None
        self._target = tf.Variable(_join(self._all_target))
        #: keys of Dropout's masks: this and the learn step
        self.seed = tf.Variable(seed, dtype=tf.int64)
        optimizer.build(self.trainable if self._flat is None else [self._flat])
        self.named = dict(self._name(online))
        self._models_are_stale = False

    @property
    def are_flat(self) -> bool:
        """Whether the trainable weights are one variable."""
        return self._flat is not None

    def trainable_values(self) -> list[tf.Tensor]:
        """Return the trainable weights, in their shapes."""
        if self._flat is None:
            return [variable.read_value() for variable in self.trainable]
        return split(self._flat.read_value(), self.shapes[: len(self.trainable)])

    def online_vector(self) -> tf.Tensor:
        """Return all float weights of the online network [P + S]."""
        if self._flat is None:
            return _join([*self.trainable, *self._state])
        if not self._state:
            return self._flat.read_value()
        return tf.concat([self._flat.read_value(), _join(self._state)], 0)

    def online_values(self) -> list[tf.Tensor]:
        """Return what `variables` hold."""
        rest = [variable.read_value() for variable in (*self._state, *self._whole)]
        return [*self.trainable_values(), *rest]

    def target_values(self) -> list[tf.Tensor]:
        """Return what `variables` are in the target network, which has no whole numbers apart."""
        whole = [variable.read_value() for variable in self._whole]
        return [*split(self._target.read_value(), self.shapes), *whole]

    def apply(self, gradients: Sequence[tf.Tensor]) -> None:
        """Let the optimizer step, as Keras would on separate variables."""
        optimizer = self._optimizer
        if self._flat is None:
            optimizer.apply_gradients(zip(gradients, self.trainable, strict=True))
            return
        clipnorm = optimizer.clipnorm
        if clipnorm:  # a bound for each variable, so it comes before the gradients are joined
            gradients = [tf.clip_by_norm(gradient, clipnorm) for gradient in gradients]
        optimizer.clipnorm = None
        try:
            optimizer.apply_gradients([(_join(gradients), self._flat)])
        finally:
            optimizer.clipnorm = clipnorm
        if any(variable.constraint is not None for variable in self.trainable):
            pairs = zip(self.trainable, self.trainable_values(), strict=True)
            self._flat.assign(_join([v.constraint(x) if v.constraint else x for v, x in pairs]))

    def soft_update(self, tau: float) -> None:
        """Move the target network: tau * online + (1 - tau) * target, state included."""
        old = self._target.read_value()  # [P + S]
        self._target.assign(tau * self.online_vector() + (1.0 - tau) * old)

    def copy_to_target(self) -> None:
        """Copy the online network to the target network, state included."""
        self._target.assign(self.online_vector())

    def mark_changed(self) -> None:
        """Say that a program ran: the Keras models no longer hold the current weights."""
        self._models_are_stale = True

    def sync_to_models(self) -> None:
        """Give the Keras models the current weights; costs nothing if they have them."""
        if not self._models_are_stale:
            return
        if self._flat is not None:
            _distribute(self._flat.numpy(), self.trainable)
        _distribute(self._target.numpy(), self._all_target)
        self._models_are_stale = False

    def sync_from_models(self) -> None:
        """Take the weights that the Keras models hold, as after loading a file."""
        if self._flat is not None:
            self._flat.assign(_join(self.trainable))
        self._target.assign(_join(self._all_target))
        self._models_are_stale = False

    def state(self) -> dict[str, np.ndarray]:
        """Return copies of all that the next update depends on, for a checkpoint."""
        return {name: variable.numpy() for name, variable in self.named.items()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take back what `state` returned, and give the models their weights.

        Raises:
            ValueError: the state of another architecture or optimizer; nothing has changed.
        """
        expected = {name: tuple(variable.shape) for name, variable in self.named.items()}
        received = {name: np.shape(array) for name, array in state.items()}
        if received != expected:
            differing = sorted(dict(received.items() ^ expected.items()))
            raise ValueError(f"the state is of another model or optimizer: {differing} differ")
        for name, variable in self.named.items():
            variable.assign(state[name])
        self._models_are_stale = True
        self.sync_to_models()

    def _name(self, online: keras.Model) -> Iterator[tuple[str, tf.Variable]]:
        yield "target", self._target
        yield "seed", self.seed
        if self._flat is not None:
            yield "flat", self._flat
        seen = {id(variable) for variable in self.trainable if self._flat is not None}
        own = ((f"online/{index}", variable) for index, variable in enumerate(online.variables))
        for name, variable in (*own, *named_variables(self._optimizer, "optimizer")):
            if id(variable) not in seen:
                seen.add(id(variable))
                yield name, variable


def split(vector: tf.Tensor, shapes: Sequence[tuple[int, ...]]) -> list[tf.Tensor]:
    """Cut a flat vector into tensors of these shapes."""
    pieces = tf.split(vector, [math.prod(shape) for shape in shapes])
    return [tf.reshape(piece, shape) for piece, shape in zip(pieces, shapes, strict=True)]


def _join(values: Sequence[tf.Tensor | tf.Variable]) -> tf.Tensor:
    return tf.concat([tf.reshape(value, [-1]) for value in values], 0)


def _distribute(vector: np.ndarray, variables: Sequence[tf.Variable]) -> None:
    start = 0
    for variable in variables:
        end = start + math.prod(variable.shape)
        variable.assign(vector[start:end].reshape(variable.shape))
        start = end
