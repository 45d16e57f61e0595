"""Small networks, transitions and comparisons for the tests of the compiled update."""

from __future__ import annotations

import contextlib
import itertools
import math

import numpy as np
from naive_update import NaiveUpdate

from kerasrl_runner.agents.xla.update import CompiledUpdate
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


def convolutional():
    keras.utils.set_random_seed(7)
    return keras.Sequential([
        layers.Rescaling(1 / 255, input_shape=(10, 10, 2)),
        layers.Conv2D(4, 3, activation="relu", padding="same"),
        layers.Conv2D(4, 3, 2, activation="relu"),
        layers.Flatten(),
        layers.Dense(ACTIONS),
    ])  # fmt: skip


def settings(**changes):
    values = {"gamma": 0.95, "target_model_update": 0.05, "delta_clip": math.inf, "double": False}
    return {**values, **changes}


def compiled(build, optimizer, dtype="float64", shape=(2, 4), seed=3, **changes):
    online, target = build(), build()
    update = CompiledUpdate(
        online, target, optimizer, batch_size=BATCH, state_shape=shape, nb_actions=ACTIONS,
        seed=seed, dtype=dtype, **settings(**changes),
    )  # fmt: skip
    return update, online, target


def transitions(rng, shape=(2, 4), frames=False):
    def state():
        size = (BATCH, *shape)
        return rng.integers(0, 256, size, np.uint8) if frames else rng.standard_normal(size)

    actions, rewards = rng.integers(0, ACTIONS, BATCH), 2 * rng.standard_normal(BATCH)
    return state(), actions, rewards, state(), rng.random(BATCH) < 0.3


def distance(ours, theirs):
    """Return the largest difference of two models' weights, relative to the largest weight."""
    pairs = list(zip(ours.get_weights(), theirs.get_weights(), strict=True))
    return max(np.abs(a - b).max() for a, b in pairs) / max(np.abs(b).max() for _, b in pairs)


def compare(build, make_optimizer, *, updates=60, naive=None, **changes):
    """Run both; return the largest distance of online and target weights, and of the metrics."""
    update, online, target = compiled(build, make_optimizer(), **changes)
    changes = {k: v for k, v in changes.items() if k not in ("dtype", "jit_compile")}
    theirs = NaiveUpdate(
        build(), build(), make_optimizer(), **(settings(**changes) | (naive or {}))
    )
    rng, batch, worst = np.random.default_rng(0), update.new_batch(), 0.0
    for step in range(1, updates + 1):
        data = transitions(rng)
        batch.fill(*data)
        learned, expected = update(batch), theirs(*data)
        worst = max(worst, *np.abs(learned.metrics[0] - expected))
        if changes.get("target_model_update", 0) >= 1 and step % 7 == 0:
            update.hard_update()
            theirs.hard_update()
        if step % 20 == 0:
            update.parameters.sync_to_models()
            flat = np.concatenate([w.numpy().ravel() for w in online.trainable_variables])
            np.testing.assert_array_equal(learned.weights[: flat.size], flat)
            worst = max(worst, distance(online, theirs.online), distance(target, theirs.target))
    return worst


def learn(update, data, steps=1):
    """Learn from a list of transitions, `steps` of them a call; return all metrics."""
    batch, metrics = update.new_batch(steps), []
    for start in range(0, len(data), steps):
        batch.fill(*(np.stack(part) for part in zip(*data[start : start + steps], strict=True)))
        metrics.append(update(batch).metrics.copy())
    update.parameters.sync_to_models()
    return np.concatenate(metrics)


def adam(**changes):
    return lambda: optimizers.Adam(**{"learning_rate": 0.01, **changes})


SCHEDULE = optimizers.schedules.PolynomialDecay(np.float64(0.02), 40, np.float64(0.001))

GRID = [
    *itertools.product(
        [{}, {"delta_clip": 0.7}],
        [{}, {"target_model_update": 7}],
        [{}, {"double": True}],
        [adam(), lambda: optimizers.SGD(0.05, momentum=0.9), lambda: optimizers.RMSprop(0.003)],
    )
]


def bound_program(update):
    return update._calls.get(1) or update._build(1)
