"""Small networks, transitions and comparisons for the tests of the compiled update."""

from __future__ import annotations

import contextlib
import itertools
import math

import numpy as np
from naive_update import NaiveUpdate

from kerasrl_runner.agents.xla.update import CompiledUpdate, UpdateSettings
from kerasrl_runner.parts.model import DuelingHead
from kerasrl_runner.vendor import keras, tf

layers, optimizers = keras.layers, keras.optimizers
BATCH, ACTIONS = 8, 3
TOLERANCE = 1e-9


class Gate(layers.Layer):
    """A custom layer: weights in a list, and a branch that autograph has to convert."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.pair = [
            self.add_weight("scale", [], initializer="ones"),
            self.add_weight("shift", [], initializer="zeros"),
        ]

    def call(self, inputs):
        scale, shift = self.pair
        if tf.reduce_sum(inputs) > 0:
            inputs = 2.0 * inputs
        return inputs * scale + shift


class Remembering(layers.Layer):
    """A custom layer that assigns a weight as it is called, and reads it the next time."""

    def build(self, input_shape):
        self.memory = self.add_weight("memory", (), trainable=False, initializer="zeros")

    def call(self, inputs):
        before = self.memory.read_value()
        self.memory.assign(tf.reduce_mean(inputs))
        return inputs + 0.1 * before


class InPython(layers.Layer):
    """A custom layer that XLA cannot compile."""

    def call(self, inputs):
        noise = tf.numpy_function(lambda x: 0.0 * x, [tf.stop_gradient(inputs)], inputs.dtype)
        return inputs + tf.ensure_shape(noise, inputs.shape)


@contextlib.contextmanager
def built_in(dtype):
    """Let Keras build models of this dtype, their weights drawn from one seed."""
    keras.utils.set_random_seed(7)
    keras.backend.set_floatx(dtype)
    try:
        yield
    finally:
        keras.backend.set_floatx("float32")


def mlp(*extra, dtype="float64", activation="tanh", shape=(2, 4), **dense):
    """Return a small network; `extra` layers stand before its head."""
    with built_in(dtype):
        hidden = [layers.Dense(6, activation=activation, **dense) for _ in range(2)]
        first = layers.Flatten(input_shape=shape)
        parts = [first, *hidden, *[make() for make in extra], layers.Dense(ACTIONS)]
        return keras.Sequential(parts)


def embedding():
    """Return a network that looks up five vectors, one for each of five ranges of a number."""
    with built_in("float64"):
        index = layers.Lambda(lambda x: tf.clip_by_value(3 * abs(x), 0, 4), input_shape=(2, 4))
        parts = [index, layers.Embedding(5, 3), layers.Flatten(), layers.Dense(ACTIONS)]
        return keras.Sequential(parts)


def recurrent(kind):
    """Return a network with a recurrent layer of that class."""
    with built_in("float64"):
        return keras.Sequential([kind(3, input_shape=(2, 4)), layers.Dense(ACTIONS)])


def functional():
    """Return a plain stack with a dueling head, built by Keras' functional interface."""
    with built_in("float64"):
        inputs = keras.Input((2, 4))
        x = layers.Dense(6, activation="tanh")(layers.Flatten()(inputs))
        return keras.Model(inputs, DuelingHead(ACTIONS, "max")(x))


def branched():
    """Return a network whose layers are plain and no chain."""
    with built_in("float64"):
        inputs = keras.Input((2, 4))
        flat = layers.Flatten()(inputs)
        x = layers.Dense(6)(flat)
        return keras.Model(inputs, layers.Dense(ACTIONS)(layers.Concatenate()([x, flat])))


def convolutional():
    """Return a small network of convolutions, in float32."""
    keras.utils.set_random_seed(7)
    return keras.Sequential([
        layers.Rescaling(1 / 255, input_shape=(10, 10, 2)),
        layers.Conv2D(4, 3, activation="relu", padding="same"),
        layers.Conv2D(4, 3, 2, activation="relu"),
        layers.Flatten(),
        layers.Dense(ACTIONS),
    ])  # fmt: skip


def settings(**changes):
    """Return what NaiveUpdate takes."""
    values = {"gamma": 0.95, "target_model_update": 0.05, "delta_clip": math.inf, "double": False}
    return {**values, **changes}


def compiled(
    build,
    optimizer,
    dtype="float64",
    state=((2, 4), "float64"),
    seed=3,
    gradient_steps=1,
    weighted=False,
    **changes,
):
    """Return an update and the two models that it learns on."""
    online, target = build(), build()
    values = settings(**changes)
    gamma = values.pop("gamma")
    rate = values.pop("target_model_update")
    update = CompiledUpdate(
        online,
        target,
        optimizer,
        UpdateSettings(
            **values,
            soft_rate=rate if rate < 1 else None,
            batch_size=BATCH,
            gradient_steps=gradient_steps,
            weighted=weighted,
        ),
        tf.TensorSpec(*state),
        seed,
    )
    update.gamma = gamma  # for `learn`
    return update, online, target


def transitions(rng, shape=(2, 4), frames=False):
    """Return states, actions, rewards, next states and terminated."""

    def state():
        size = (BATCH, *shape)
        return rng.integers(0, 256, size, np.uint8) if frames else rng.standard_normal(size)

    actions, rewards = rng.integers(0, ACTIONS, BATCH), 2 * rng.standard_normal(BATCH)
    return state(), actions, rewards, state(), rng.random(BATCH) < 0.3


def distance(ours, theirs):
    """Return the largest difference of two models' weights, relative to the largest weight."""
    pairs = list(zip(ours.get_weights(), theirs.get_weights(), strict=True))
    return max(np.abs(a - b).max() for a, b in pairs) / max(np.abs(b).max() for _, b in pairs)


def compare(build, make_optimizer, *, updates=20, naive=None, **changes):
    """Run both; return the largest distance of online and target weights, and of the metrics."""
    update, online, target = compiled(build, make_optimizer(), **changes)
    theirs = NaiveUpdate(
        build(), build(), make_optimizer(), **(settings(**changes) | (naive or {}))
    )
    rng, worst = np.random.default_rng(0), 0.0
    for step in range(1, updates + 1):
        data = transitions(rng)
        metrics, expected = learn(update, [data], sync=False), theirs(*data)
        worst = max(worst, *np.abs(metrics[0] - expected))
        if changes.get("target_model_update", 0) >= 1 and step % 7 == 0:
            update.networks.hard_update()
            theirs.hard_update()
        if step % 10 == 0:
            update.networks.sync_models()
            worst = max(worst, distance(online, theirs.online), distance(target, theirs.target))
    return worst


def learn(update, data, *, sync=True):
    """Learn from a list of transitions, some with weights; return all metrics."""
    metrics, steps = [], update.settings.gradient_steps
    batch = update.batch
    names = ("states", "actions", "rewards", "next_states", "discounts", "weights")
    for start in range(0, len(data), steps):
        parts = [list(part) for part in zip(*data[start : start + steps], strict=True)]
        parts[4] = [update.gamma * (1.0 - terminated) for terminated in parts[4]]
        for name, part in zip(names, parts, strict=False):
            getattr(batch, name)[...] = np.stack(part)
        metrics.append(update().copy())
    if sync:
        update.networks.sync_models()
    return np.concatenate(metrics)


def adam(**changes):
    """Return a maker of Adam optimizers."""
    return lambda: optimizers.Adam(**{"learning_rate": 0.01, **changes})


# Keras computes a schedule in the type of its numbers, as Python's in float32, where XLA rounds the
# last bit otherwise; NumPy's are kept.
SCHEDULE = optimizers.schedules.PolynomialDecay(np.float64(0.02), 40, np.float64(0.001))

GRID = [
    *itertools.product(
        [{}, {"delta_clip": 0.7}],
        [{}, {"target_model_update": 7}],
        [{}, {"double": True}],
        [adam(), lambda: optimizers.SGD(0.05, momentum=0.9), lambda: optimizers.RMSprop(0.003)],
    )
]
