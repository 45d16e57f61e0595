"""What the vendor gets wrong while an agent is built (D6c, D13, D14, D23, D30, D31)."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from agents.support import constant, equal_weights, make_agent, q_network, weights_of
from vendor.support import graph_mode, vendor_agent

from kerasrl_runner.engines import build
from kerasrl_runner.errors import PresetError
from kerasrl_runner.keras_rl import SequentialMemory, keras
from kerasrl_runner.keras_rl import VendorDQNAgent as DQNAgent
from kerasrl_runner.preset import load_preset
from kerasrl_runner.vendor import rl_dqn, tf

OPTIMIZERS = "Adadelta Adagrad Adam Adamax Ftrl Nadam RMSprop SGD".split()


def test_D6c_the_vendor_fails_with_a_new_style_optimizer() -> None:
    with graph_mode(), pytest.raises(AttributeError):
        rl_dqn.AdditionalUpdatesOptimizer(keras.optimizers.Adam(), [])


@pytest.mark.parametrize(
    "optimizer",
    [
        "adam",
        keras.optimizers.legacy.Adam(0.01),
        *(getattr(keras.optimizers, name)(learning_rate=0.1) for name in OPTIMIZERS),
    ],
    ids=["a name", "legacy", *OPTIMIZERS],
)
def test_D6c_every_keras_optimizer_trains(optimizer: Any) -> None:
    agent = make_agent(optimizer=optimizer)
    before = weights_of(agent)
    agent.fit(constant(), 8, verbose=0)
    assert not equal_weights(before, weights_of(agent))


def test_D13_the_vendors_dueling_network_does_not_compile() -> None:
    with graph_mode(), pytest.raises(ValueError, match=r"[Ll]ambda"):
        vendor_agent(q_network(hidden=[keras.layers.Dense(3)]), enable_dueling_network=True)


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


def test_D13_D13b_a_dueling_network_trains_and_its_head_sits_on_the_features() -> None:
    agent = make_agent(_dense_then_activation(), enable_dueling_network=True)
    assert agent.model.layers[-1].kernel.shape == (5, 3)
    before = weights_of(agent)
    agent.fit(constant(), 8, verbose=0)
    assert not equal_weights(before, weights_of(agent))


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


def test_D30_an_agent_adds_nothing_to_any_other_graph() -> None:
    with tf.Graph().as_default() as programs:
        keras.Sequential()
        before = len(programs.get_operations())
    sizes = [len(make_agent().target_model.output.graph.get_operations()) for _ in range(3)]
    assert len(set(sizes)) == 1
    assert len(programs.get_operations()) == before
    assert tf.executing_eagerly()


def test_D30_agents_are_used_in_turns_and_by_other_threads() -> None:
    first, second, answers = make_agent(seed=1), make_agent(seed=2), []
    before = first.compute_q_values([np.ones(1)])
    second.compute_q_values([np.ones(1)])
    thread = threading.Thread(target=lambda: answers.append(first.compute_q_values([np.ones(1)])))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(answers[0], before)
    np.testing.assert_array_equal(first.compute_q_values([np.ones(1)]), before)


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


@pytest.mark.parametrize(
    ("argument", "places"),
    [("memory_interval=2", (50, 1, 2)), ("target_model_update=0", (50, 1, 1, 0))],
)
def test_D9_D31_an_argument_that_spoils_learning_is_refused_by_name_and_by_place(
    argument: str, places: tuple[int, ...]
) -> None:
    memory = SequentialMemory(limit=2_000, window_length=1)
    name, _, value = argument.partition("=")
    with pytest.raises(ValueError, match=argument):
        DQNAgent(q_network(), nb_actions=2, memory=memory, **{name: int(value)})
    with pytest.raises(ValueError, match=argument):
        DQNAgent(q_network(), None, None, False, False, "avg", 2, memory, 0.99, 32, *places)
