"""Programs are shared, fall back, and act; noise and checkpoints follow the seed."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest
from naive_update import NaiveUpdate
from xla_cases import (
    ACTIONS,
    SCHEDULE,
    TOLERANCE,
    Gate,
    InPython,
    adam,
    bound_program,
    compiled,
    distance,
    layers,
    learn,
    mlp,
    optimizers,
    settings,
    transitions,
)

from kerasrl_runner.agents.xla import programs
from kerasrl_runner.agents.xla.acting import CompiledForward, DenseForward, forward_for
from kerasrl_runner.vendor import tf


@pytest.mark.parametrize(
    "noise", [lambda: layers.Dropout(0.3), lambda: layers.GaussianNoise(0.5), layers.AlphaDropout]
)
def test_noise_follows_from_seed_and_learn_step(noise):
    noise = noise if noise is not layers.AlphaDropout else lambda: layers.AlphaDropout(0.3)
    rng = np.random.default_rng(0)
    same = [transitions(rng)] * 4  # the same data: what differs is the noise
    runs = {
        (seed, steps, xla): learn_noisy(noise, same, seed, steps, xla)
        for seed, steps, xla in [(1, 1, True), (1, 4, True), (2, 1, True), (1, 1, False)]
    }
    reference = runs[1, 1, True][0]
    assert len(set(reference[:, 2])) == 4
    np.testing.assert_allclose(runs[1, 4, True][0], reference, rtol=1e-12)
    assert not np.allclose(runs[2, 1, True][0], reference)
    for xla in (True, False):  # without XLA, TensorFlow draws other numbers from the same keys
        again, online_again = learn_noisy(noise, same, 1, 1, xla)
        np.testing.assert_array_equal(again, runs[1, 1, xla][0])
        assert distance(online_again, runs[1, 1, xla][1]) == 0


def learn_noisy(noise, data, seed, steps, xla):
    build = lambda: mlp(noise, activation="linear")  # noqa: E731
    update, online, _ = compiled(build, optimizers.SGD(0.01), seed=seed, jit_compile=xla)
    return learn(update, data, steps), online


def test_a_model_that_xla_refuses_runs_without_it_and_says_so_once():
    update, online, _ = compiled(lambda: mlp(InPython), adam()())
    rng = np.random.default_rng(0)
    data = [transitions(rng) for _ in range(4)]
    with pytest.warns(RuntimeWarning, match="without XLA"):
        learn(update, data[:1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learn(update, data[1:])
    naive = NaiveUpdate(mlp(InPython), mlp(InPython), adam()(), **settings())
    for transition in data:
        naive(*transition)
    assert distance(online, naive.online) < TOLERANCE


@pytest.mark.parametrize("hidden", ["context", "execute"])
def test_the_public_call_gives_the_same(monkeypatch, hidden):
    rng = np.random.default_rng(0)
    data = [transitions(rng) for _ in range(6)]
    private, online, target = compiled(mlp, adam()())
    metrics = learn(private, data)
    import tensorflow.python.eager as eager

    monkeypatch.setattr(programs, "_programs", {})
    monkeypatch.delattr(eager, hidden)
    monkeypatch.setitem(sys.modules, f"tensorflow.python.eager.{hidden}", None)
    runs = [compiled(mlp, adam()()) for _ in range(2)]
    for public, online_2, target_2 in runs:  # the second one on the first one's program
        assert "public_call" in repr(bound_program(public).program.run)
        np.testing.assert_array_equal(learn(public, data), metrics)
        assert distance(online_2, online) == distance(target_2, target) == 0
    assert bound_program(runs[0][0]).program is bound_program(runs[1][0]).program


def test_agents_of_one_architecture_share_a_program_and_nothing_else():
    rng = np.random.default_rng(0)
    data = [transitions(rng) for _ in range(10)]
    alone, online, target = compiled(mlp, adam()())
    learn(alone, data)
    known = len(programs._programs)
    first, second = compiled(mlp, adam()()), compiled(mlp, adam(learning_rate=0.5)(), seed=9)
    for transition in data:
        learn(first[0], [transition])
        learn(second[0], [(*transition[:2], 5 * transition[2], *transition[3:])])
    assert len(programs._programs) == known
    assert (
        bound_program(first[0]).program
        is bound_program(second[0]).program
        is bound_program(alone).program
    )
    assert distance(first[1], online) == distance(first[2], target) == 0
    assert distance(second[1], online) > 0.01


def double_relu(x):
    return tf.nn.relu(2 * x)


def relu(x):
    return tf.nn.relu(x)


def test_two_functions_of_one_name_do_not_share_a_program():
    double_relu.__name__ = "relu"
    runs = [compiled(lambda f=f: mlp(activation=f), adam()()) for f in (relu, double_relu)]
    assert bound_program(runs[0][0]).program is not bound_program(runs[1][0]).program
    keys = {programs.optimizer_key(adam(**k)()) for k in ({}, {"epsilon": 1e-3}, {"clipnorm": 1})}
    assert len(keys) == 3
    assert programs.optimizer_key(adam()()) == programs.optimizer_key(adam(learning_rate=1)())


def test_a_checkpoint_goes_on_bit_for_bit():
    rng = np.random.default_rng(0)
    data = [transitions(rng) for _ in range(10)]
    build = lambda: mlp(lambda: layers.Dropout(0.3), layers.BatchNormalization)  # noqa: E731
    update, online, target = compiled(build, adam(learning_rate=SCHEDULE)())
    learn(update, data[:5])
    state = update.parameters.state()
    metrics = learn(update, data[5:])
    other, online_2, target_2 = compiled(build, adam(learning_rate=SCHEDULE)(), seed=99)
    other.parameters.restore(state)
    np.testing.assert_array_equal(learn(other, data[5:]), metrics)
    assert distance(online_2, online) == distance(target_2, target) == 0
    with pytest.raises(ValueError, match="another model or optimizer"):
        other.parameters.restore({**state, "flat": np.zeros(3)})


def test_weights_go_to_the_models_and_back():
    update, online, target = compiled(mlp, adam()())
    learn(update, [transitions(np.random.default_rng(0))])
    new = [w + 1 for w in online.get_weights()]
    online.set_weights(new)
    target.set_weights(new)
    update.parameters.sync_from_models()
    update.hard_update()
    update.parameters.sync_to_models()
    for weights in (online.get_weights(), target.get_weights()):
        for now, then in zip(weights, new, strict=True):
            np.testing.assert_array_equal(now, then)


ACTIVATIONS = "linear relu tanh sigmoid elu selu softplus softsign exponential swish".split()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy_acts_as_the_model_does(activation, dtype):
    extra = (lambda: layers.Activation("relu"), lambda: layers.Dense(4, use_bias=False))
    build = lambda: mlp(*extra, dtype=dtype, activation=activation)  # noqa: E731
    update, online, _ = compiled(build, adam()(), dtype)
    forward = forward_for(update, online)
    assert isinstance(forward, DenseForward)
    for state in np.random.default_rng(0).standard_normal((5, 2, 4)).astype(dtype):
        q_values = forward.q_values(state)
        assert q_values.shape == (ACTIONS,)
        assert q_values.dtype == dtype
        expected = online(state[None]).numpy()[0]
        bound = (1e-13 if dtype == "float64" else 1e-5) * np.abs(expected).max()
        np.testing.assert_allclose(q_values, expected, rtol=0, atol=bound)


def test_both_ways_of_acting_follow_the_update():
    update, online, _ = compiled(mlp, adam()())
    numpy, program = forward_for(update, online), CompiledForward(update)
    rng, batch = np.random.default_rng(0), update.new_batch()
    for _ in range(3):
        state = rng.standard_normal((2, 4))
        np.testing.assert_allclose(program.q_values(state), numpy.q_values(state), rtol=1e-12)
        batch.fill(*transitions(rng))
        numpy.take_weights(update(batch).weights)


@pytest.mark.parametrize(
    "extra", [layers.BatchNormalization, Gate, lambda: layers.Activation("gelu"), layers.ReLU]
)
def test_numpy_leaves_other_models_to_tensorflow(extra):
    assert not DenseForward.supports(mlp(extra))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"gamma": 2}, ValueError, "gamma"),
        ({"target_model_update": 0}, ValueError, "target_model_update"),
        ({"delta_clip": 0}, ValueError, "delta_clip"),
        ({"dtype": "float32"}, ValueError, "compute in float32"),
        ({"optimizer": optimizers.legacy.Adam()}, TypeError, "new-style"),
        ({"build": lambda: mlp(dtype="float32")}, ValueError, "compute in float64"),
    ],
)
def test_what_cannot_work_is_refused(changes, error, message):
    with pytest.raises(error, match=message):
        compiled(**{"build": mlp, "optimizer": adam()(), **changes})
