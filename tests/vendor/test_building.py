"""What the vendor gets wrong while an agent is built (D6c, D13, D14, D23, D30, D31)."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from agents.support import equal_weights, make_agent, q_network, weights_of
from vendor.support import graph_mode, vendor_agent

from kerasrl_runner.engines import build
from kerasrl_runner.errors import PresetError
from kerasrl_runner.keras_rl import SequentialMemory, keras
from kerasrl_runner.keras_rl import VendorDQNAgent as DQNAgent
from kerasrl_runner.preset import load_preset
from kerasrl_runner.vendor import rl_dqn, tf

OPTIMIZERS = "Adadelta Adagrad Adam Adamax Ftrl Nadam RMSprop SGD".split()


def test_D6c_the_vendor_fails_with_a_new_style_optimizer() -> None:
    with graph_mode():
        agent = vendor_agent(optimizer=keras.optimizers.legacy.Adam())
        with pytest.raises(AttributeError):
            rl_dqn.AdditionalUpdatesOptimizer(keras.optimizers.Adam(), [])
    del agent


@pytest.mark.parametrize(
    ("name", "target_model_update"), [("Adam", 10), *((name, 0.01) for name in OPTIMIZERS)]
)
def test_D6c_every_keras_optimizer_trains(name: str, target_model_update: float) -> None:
    optimizer = getattr(keras.optimizers, name)(learning_rate=0.1)
    agent = make_agent(optimizer=optimizer, target_model_update=target_model_update)
    before = weights_of(agent)
    agent.fit(gymnasium.make("gyms:Constant-v0"), 8, verbose=0)
    assert not equal_weights(before, weights_of(agent))


@pytest.mark.parametrize("spelling", ["adam", keras.optimizers.legacy.Adam])
def test_D6c_names_and_legacy_optimizers_are_taken_as_well(spelling: Any) -> None:
    agent = make_agent(optimizer=spelling if isinstance(spelling, str) else spelling(0.01))
    assert agent.compiled


def test_D13_the_vendors_dueling_network_does_not_compile() -> None:
    with graph_mode(), pytest.raises(ValueError, match=r"[Ll]ambda"):
        vendor_agent(q_network(hidden=[keras.layers.Dense(3)]), enable_dueling_network=True)


@pytest.mark.parametrize("dueling_type", ["avg", "max", "naive"])
def test_D13_a_dueling_network_compiles_and_trains(dueling_type: str) -> None:
    agent = make_agent(
        q_network(hidden=[keras.layers.Dense(3)]),
        enable_dueling_network=True,
        dueling_type=dueling_type,
    )
    before = weights_of(agent)
    agent.fit(gymnasium.make("gyms:Constant-v0"), 8, verbose=0)
    assert not equal_weights(before, weights_of(agent))


def test_D13_an_unknown_dueling_type_is_refused() -> None:
    with pytest.raises(ValueError, match="dueling_type"):
        make_agent(enable_dueling_network=True, dueling_type="mean")


def test_D13_the_programs_own_lambda_layer_is_taken() -> None:
    model = q_network(hidden=[keras.layers.Lambda(lambda x: 2 * x)])
    model.set_weights([np.array([[1.0, 3.0]]), np.zeros(2)])
    agent = make_agent(model)
    np.testing.assert_array_equal(agent.compute_q_values([np.ones(1)]), [2.0, 6.0])


def _dense_then_activation() -> Any:
    """The classic ending: five features, Dense(2), Activation("linear")."""
    return keras.Sequential(
        [
            keras.layers.Flatten(input_shape=(1, 1)),
            keras.layers.Dense(5, activation="relu"),
            keras.layers.Dense(2),
            keras.layers.Activation("linear"),
        ]
    )


def test_D13b_the_vendors_dueling_head_sits_on_the_q_values() -> None:
    with graph_mode():
        agent = rl_dqn.DQNAgent(
            _dense_then_activation(), nb_actions=2, memory=None, enable_dueling_network=True
        )
        assert agent.model.layers[-2].kernel.shape == (2, 3)


def test_D13b_the_dueling_head_sits_on_the_features() -> None:
    agent = make_agent(_dense_then_activation(), enable_dueling_network=True)
    assert agent.model.layers[-1].kernel.shape == (5, 3)


@pytest.mark.parametrize("dueling_type", ["avg", "naive"])
def test_D13b_dueling_weights_load_into_the_users_own_network(
    dueling_type: str, tmp_path: Path
) -> None:
    agent = make_agent(
        _dense_then_activation(), enable_dueling_network=True, dueling_type=dueling_type
    )
    agent.save_weights(tmp_path / "dueling.h5")
    states = np.random.default_rng(0).normal(size=(9, 1, 1)).astype(np.float32)  # [B, W, 1]
    expected = agent.compute_batch_q_values(list(states))
    keras.Sequential()  # back to eager mode, in which the user's network is built
    plain = _dense_then_activation()
    plain.load_weights(str(tmp_path / "dueling.h5"))
    np.testing.assert_allclose(plain.predict_on_batch(states), expected, atol=1e-6)


def test_D14_the_vendor_grows_the_callers_metrics() -> None:
    metrics: list[Any] = []
    with graph_mode():
        vendor_agent().compile(keras.optimizers.legacy.Adam(), metrics=metrics)
    assert len(metrics) == 1


def test_D14_the_callers_metrics_and_the_shared_default_stay_as_they_are() -> None:
    agent, metrics = make_agent(), ["mae"]
    agent.compile("adam", metrics=metrics)
    assert metrics == ["mae"]
    names = agent.metrics_names
    for _ in range(2):
        agent.compile("adam")
        assert agent.metrics_names == ["loss", "mean_q"]
    assert names == ["loss", "mae", "mean_q"]


def test_D23_the_vendors_shared_policy_reads_the_last_agents_step() -> None:
    policy = rl_dqn.EpsGreedyQPolicy()
    with graph_mode():
        first, second = vendor_agent(policy=policy), vendor_agent(policy=policy)
    assert policy.agent is second is not first


def test_D23_agents_built_from_one_preset_share_no_policy() -> None:
    preset = load_preset("cartpole")
    first, second = build(preset)[1], build(preset)[1]
    assert first.policy is not second.policy
    assert first.policy.agent is first
    assert first.policy.inner_policy is not second.policy.inner_policy
    assert first.policy.inner_policy.agent is first


def test_D30_an_agent_adds_nothing_to_another_ones_graph() -> None:
    sizes = [len(make_agent().model.output.graph.get_operations()) for _ in range(3)]
    assert len(set(sizes)) == 1


def test_D30_an_agent_adds_nothing_to_the_programs_graph() -> None:
    with tf.Graph().as_default() as graph:
        keras.Sequential()
        before = len(graph.get_operations())
    make_agent()
    assert len(graph.get_operations()) == before
    assert tf.executing_eagerly()


def test_D30_agents_are_told_apart_and_used_in_turns() -> None:
    first, second = make_agent(seed=1), make_agent(seed=2)
    before = first.compute_q_values([np.ones(1)])
    second.compute_q_values([np.ones(1)])
    np.testing.assert_array_equal(first.compute_q_values([np.ones(1)]), before)


def test_D30_another_thread_may_ask_the_agent() -> None:
    agent, answers = make_agent(), []
    thread = threading.Thread(target=lambda: answers.append(agent.compute_q_values([np.ones(1)])))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(answers[0], agent.compute_q_values([np.ones(1)]))


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("agent.target_model_update=0", "agent.target_model_update"),
        ("agent.gamma=2.0", "agent.gamma"),
        ('model.layers=[{Dense={units=4, name="loss"}}]', "model.layers.0"),
    ],
)
def test_D31_a_preset_that_keras_rl_would_take_silently_is_refused(override: str, key: str) -> None:
    with pytest.raises(PresetError, match=key):
        load_preset("cartpole", [override])


def test_D31_the_network_has_as_many_outputs_as_the_environment_has_actions() -> None:
    environment, agent = build(load_preset("cartpole-kerasrl", ['env.id="Acrobot-v1"']))
    assert environment.action_space.n == 3
    assert agent.model.output_shape == (None, 3)


@pytest.mark.parametrize("spelling", ["by name", "by place"])
def test_D31_a_target_that_is_never_updated_is_refused(spelling: str) -> None:
    memory = SequentialMemory(limit=2_000, window_length=1)
    places: tuple[Any, ...] = ()
    names: dict[str, Any] = {"nb_actions": 2, "memory": memory, "target_model_update": 0}
    if spelling == "by place":
        places = (None, None, False, False, "avg", 2, memory, 0.99, 32, 50, 1, 1, 0)
        names = {}
    with pytest.raises(ValueError, match="target_model_update=0"):
        DQNAgent(q_network(), *places, **names)
