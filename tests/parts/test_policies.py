"""keras-rl's policies, and those fixed here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from agents.support import AfterEachStep, constant, make_agent

from kerasrl_runner.environments.adapter import as_keras_rl
from kerasrl_runner.keras_rl import (
    BoltzmannGumbelQPolicy,
    BoltzmannQPolicy,
    EpsGreedyQPolicy,
    GreedyQPolicy,
    LinearAnnealedPolicy,
    MaxBoltzmannQPolicy,
)
from kerasrl_runner.parts.policies import (
    ExponentialAnnealedPolicy,
    boltzmann_probabilities,
    exploration,
)

CLIP = (-500.0, 500.0)


@pytest.mark.parametrize(
    ("q_values", "tau", "clip", "probabilities"),
    [
        ([0.0, np.log(3.0)], 1.0, CLIP, [0.25, 0.75]),
        ([1_000.0, 1_000.0 + np.log(3.0)], 1.0, CLIP, [0.25, 0.75]),
        ([0.0, np.log(3.0)], 0.5, CLIP, [0.1, 0.9]),  # odds of 3 ** (1 / 0.5)
        ([0.0, np.log(2.0), np.log(5.0)], 1.0, CLIP, [0.125, 0.25, 0.625]),
        ([0.0, 100.0], 1.0, (-np.log(4.0), 0.0), [0.2, 0.8]),  # clipped to odds of 4
        ([60.0, 90.0], 0.1, CLIP, [np.exp(-300.0), 1.0]),
    ],
)
def test_boltzmann_probabilities_by_hand(
    q_values: Any, tau: float, clip: Any, probabilities: Any
) -> None:
    found = boltzmann_probabilities(np.array(q_values, np.float64), tau, clip)
    np.testing.assert_allclose(found, probabilities, rtol=1e-9)


def test_boltzmann_draws_by_its_probabilities() -> None:
    np.random.seed(0)
    policy = BoltzmannQPolicy()
    chosen = [policy.select_action(q_values=np.array([0.0, np.log(3.0)])) for _ in range(4_000)]
    assert abs(np.mean(chosen) - 0.75) < 4 * np.sqrt(0.75 * 0.25 / 4_000)


def test_max_boltzmann_is_greedy_but_for_epsilon() -> None:
    np.random.seed(0)
    q_values = np.array([0.0, np.log(3.0)])
    greedy = MaxBoltzmannQPolicy(eps=0.0)
    assert {greedy.select_action(q_values=q_values) for _ in range(50)} == {1}
    half = MaxBoltzmannQPolicy(eps=0.5)
    chosen = [half.select_action(q_values=q_values) for _ in range(4_000)]
    assert abs(np.mean(chosen) - 0.875) < 4 * np.sqrt(0.875 * 0.125 / 4_000)


def _annealed(inner: Any, attribute: str) -> Any:
    return LinearAnnealedPolicy(
        inner, attribute, value_max=1.0, value_min=0.2, value_test=0.1, nb_steps=8
    )


def _decaying(inner: Any, attribute: str, per: str = "env_step") -> Any:
    return ExponentialAnnealedPolicy(
        inner, attribute, value_max=1.0, value_min=0.2, value_test=0.1, factor=0.5, per=per
    )


@pytest.fixture(scope="module")
def agent() -> Any:
    return make_agent()


@pytest.mark.parametrize(
    "policy",
    [
        EpsGreedyQPolicy(eps=0.5),
        GreedyQPolicy(),
        BoltzmannQPolicy(),
        MaxBoltzmannQPolicy(eps=0.5),
        BoltzmannGumbelQPolicy(),
        _annealed(EpsGreedyQPolicy(), "eps"),
        _annealed(BoltzmannQPolicy(), "tau"),
        _annealed(MaxBoltzmannQPolicy(), "eps"),
        _annealed(BoltzmannGumbelQPolicy(), "C"),
        _decaying(BoltzmannQPolicy(), "tau", "learn_call"),
        _decaying(BoltzmannGumbelQPolicy(), "C", "episode"),
    ],
)
def test_every_policy_acts_in_a_real_agent_through_two_fits(policy: Any, agent: Any) -> None:
    agent.policy = policy
    agent.step = 0
    agent.fit(constant(), 12, verbose=0, nb_max_episode_steps=5)
    agent.fit(constant(), 3, verbose=0)
    assert agent.step == 15
    actions = [e.action for e in agent.memory.sample(64)]
    assert set(actions) <= {0, 1}


def test_annealing_falls_linearly_and_stays_at_its_minimum(agent: Any) -> None:
    policy = agent.policy = _annealed(EpsGreedyQPolicy(), "eps")
    agent.training = True
    values = []
    for step in (0, 2, 4, 8, 20):
        agent.step = step
        values.append(policy.get_current_value())
    assert values == pytest.approx([1.0, 0.8, 0.6, 0.2, 0.2])
    agent.training = False
    assert policy.get_current_value() == 0.1


def test_decay_multiplies_by_its_factor_and_stays_at_its_minimum(agent: Any) -> None:
    policy = agent.policy = _decaying(EpsGreedyQPolicy(), "eps")
    agent.training = True
    values = []
    for step in (0, 1, 2, 3, 10**9):
        agent.step = step
        values.append(policy.get_current_value())
    assert values == [1.0, 0.5, 0.25, 0.2, 0.2]
    agent.training = False
    assert policy.get_current_value() == 0.1


def test_learn_calls_and_episodes_are_counted_over_two_fits() -> None:
    agent, environment = make_agent(train_interval=2), as_keras_rl(constant())
    seen: list[tuple[int, ...]] = []
    note = AfterEachStep(
        lambda a: seen.append(tuple(map(a.count_of, ("env_step", "learn_call", "episode"))))
    )
    for steps in (11, 4):
        agent.fit(environment, steps, callbacks=[note], verbose=0, nb_max_episode_steps=5)
    # Six entries are there after the first episode's last observation; the third is cut.
    assert seen[4:8] == [(4, 0, 0), (5, 0, 1), (6, 1, 1), (7, 1, 1)]
    assert seen[10:] == [(10, 3, 2), (11, 3, 3), (12, 4, 3), (13, 4, 3), (14, 5, 3)]


@pytest.mark.parametrize(
    ("policy", "epsilon"),
    [
        (EpsGreedyQPolicy(eps=0.3), 0.3),
        (MaxBoltzmannQPolicy(eps=0.2), 0.2),
        (_annealed(EpsGreedyQPolicy(eps=0.7), "eps"), 0.7),
        (GreedyQPolicy(), None),
        (BoltzmannQPolicy(), None),
    ],
)
def test_the_present_epsilon_is_told_where_there_is_one(policy: Any, epsilon: Any) -> None:
    assert exploration(policy) == epsilon
