"""Targets and updates against naive per-sample loops, policies, when it learns, that it learns."""

from typing import Any

import numpy as np
import pytest
from reference.parts import TwoStates, make_agent, make_batch, make_network

from kerasrl_runner.reference.agent import GREEDY, Agent, Boltzmann, EpsilonGreedy
from kerasrl_runner.reference.loop import EpisodeEvent, StepEvent, train
from kerasrl_runner.reference.network import Dense, Network
from kerasrl_runner.reference.optimizers import Adam
from kerasrl_runner.reference.replay import ReplayMemory
from kerasrl_runner.reference.schedule import constant, linear


def naive_update(agent: Agent, batch: Any) -> tuple[np.ndarray, float]:
    """Parameters after one SGD step, and the loss, one sample and one central difference a time."""
    online, target = agent.online_network, agent.target_network
    size = len(batch.action)
    targets = []
    for i in range(size):
        next_state = batch.next_state[i].reshape(-1)
        next_target = list(target.q_values(next_state))
        if agent.double:
            own = list(online.q_values(next_state))
            value = next_target[own.index(max(own))]
        else:
            value = max(next_target)
        discount = agent.gamma ** np.broadcast_to(batch.steps, size)[i]
        targets.append(batch.reward[i] + (0 if batch.terminated[i] else discount * value))

    def loss() -> float:
        total = 0.0
        for i in range(size):
            x = abs(targets[i] - online.q_values(batch.state[i].reshape(-1))[batch.action[i]])
            clip = agent.huber_clip
            loss = 0.5 * x * x if x < clip else clip * (x - 0.5 * clip)
            total += np.broadcast_to(batch.weight, size)[i] * loss
        return total / size

    before = loss()
    gradient = np.zeros_like(online.parameters)
    for p in range(len(gradient)):
        value = online.parameters[p]
        online.parameters[p] = value + 1e-6
        high = loss()
        online.parameters[p] = value - 1e-6
        low = loss()
        online.parameters[p] = value
        gradient[p] = (high - low) / 2e-6
    return online.parameters - 0.1 * gradient, before


@pytest.mark.parametrize("dueling", [None, "avg", "max", "naive"])
@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("huber_clip", [np.inf, 0.7])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted, n steps"])
def test_an_update_is_the_naive_loops(
    dueling: str | None, double: bool, huber_clip: float, weighted: bool
) -> None:
    network = make_network(dueling=dueling, hidden=[Dense(5, "tanh")])
    agent = make_agent(network, double=double, huber_clip=huber_clip)
    agent.target_network.parameters[...] = make_network(
        7, dueling=dueling, hidden=[Dense(5, "tanh")]
    ).parameters
    old_target = agent.target_network.parameters.copy()
    batch = make_batch()
    if weighted:
        size = len(batch.action)
        batch = batch._replace(weight=np.linspace(0.2, 1, size), steps=np.arange(size) % 3 + 1)
    expected, loss = naive_update(agent, batch)
    result = agent.learn(batch)
    np.testing.assert_allclose(agent.online_network.parameters, expected, rtol=1e-6, atol=1e-8)
    assert result.loss == pytest.approx(loss, rel=1e-12)
    moved = 0.01 * agent.online_network.parameters + 0.99 * old_target
    np.testing.assert_allclose(agent.target_network.parameters, moved, rtol=1e-12)


@pytest.mark.parametrize("mutation", ["gamma", "terminated", "no target network"])
def test_the_naive_loop_catches_a_wrong_agent(mutation: str) -> None:
    agent, batch = make_agent(), make_batch()
    agent.target_network.parameters[...] = make_network(7).parameters
    expected, _ = naive_update(agent, batch)
    if mutation == "gamma":
        agent.gamma = 0.95
    elif mutation == "terminated":
        batch.terminated[...] = False
    else:
        agent.copy_to_target()
    agent.learn(batch)
    difference = np.abs(agent.online_network.parameters - expected).max()
    assert difference > 1e-5


def test_td_targets_by_hand() -> None:
    network = make_network(hidden=[], input_size=1, action_count=2)
    agent = make_agent(network, gamma=0.5)
    agent.online_network.set_weights([np.array([[1.0, 0.0]]), np.zeros(2)])  # chooses action 0
    agent.target_network.set_weights([np.array([[2.0, 4.0]]), np.zeros(2)])
    reward, state = np.array([1.0, 1.0]), np.array([[1.0], [1.0]])
    terminated = np.array([False, True])
    np.testing.assert_array_equal(agent.td_target(reward, state, terminated), [3.0, 1.0])
    agent.double = True
    np.testing.assert_array_equal(agent.td_target(reward, state, terminated), [2.0, 1.0])


def test_td_targets_of_legal_actions_by_hand() -> None:
    network = make_network(hidden=[], input_size=1, action_count=3)
    agent = make_agent(network, gamma=0.5)
    agent.online_network.set_weights([np.array([[1.0, 9.0, 3.0]]), np.zeros(3)])
    agent.target_network.set_weights([np.array([[6.0, 8.0, 4.0]]), np.zeros(3)])
    reward, state, terminated = np.ones(2), np.ones((2, 1)), np.zeros(2, bool)
    legal = np.array([[True, False, True], [False, False, True]])
    targets = agent.td_target(reward, state, terminated, legal=legal)
    np.testing.assert_array_equal(targets, [1 + 6 / 2, 1 + 4 / 2])
    agent.double = True  # of the legal actions the online network prefers the last
    targets = agent.td_target(reward, state, terminated, legal=legal)
    np.testing.assert_array_equal(targets, [1 + 4 / 2, 1 + 4 / 2])


def test_epsilon_greedy_explores_as_often_as_its_schedule_says() -> None:
    rng, q = np.random.default_rng(0), np.array([0.0, 1.0, 0.5])
    policy = EpsilonGreedy(linear(1.0, 0.1, 100))
    for count, share in ((0, 1 / 3), (50, 0.45 + 0.55 / 3), (1000, 0.9 + 0.1 / 3)):
        greedy = np.mean([policy.choose(q, count, rng) == 1 for _ in range(20_000)])
        assert greedy == pytest.approx(share, abs=0.015)
    assert {GREEDY.choose(q, 0, rng) for _ in range(100)} == {1}


def test_boltzmann_is_softmax_however_large_the_values() -> None:
    rng, policy = np.random.default_rng(0), Boltzmann(constant(0.5))
    q = np.array([1000.0, 1000.5, 999.0], np.float32)
    drawn = np.bincount([policy.choose(q, 0, rng) for _ in range(40_000)], minlength=3) / 40_000
    expected = np.exp((q.astype(float) - 1000.5) / 0.5)
    np.testing.assert_allclose(drawn, expected / expected.sum(), atol=0.01)
    # keras-rl2.md D24: clipped before it is normalised this gave .48
    sharp = Boltzmann(constant(0.1))
    assert {sharp.choose(np.array([60.0, 90.0]), 0, rng) for _ in range(1000)} == {1}
    greedy = Boltzmann(constant(100.0), epsilon=constant(0.0))
    assert {greedy.choose(q, 0, rng) for _ in range(100)} == {1}


def test_schedules_by_hand() -> None:
    fall = linear(1.0, 0.1, 10)
    assert [fall(0), fall(5), fall(10), fall(99)] == pytest.approx([1.0, 0.55, 0.1, 0.1])


def feed(agent: Agent, steps: int, end: int = 10**9) -> list[int]:
    """Learn steps after each env step."""
    done = []
    rng = np.random.default_rng(3)
    for step in range(steps):
        agent.observe(rng.normal(size=4), 0, 1.0, False)
        done.append(agent.learn_step)
        if (step + 1) % end == 0:
            agent.end_episode(rng.normal(size=4))
    return done


def test_learning_starts_at_warmup_batch_and_window() -> None:
    assert feed(make_agent(), 22) == [0] * 19 + [1, 2, 3]
    assert feed(make_agent(warmup=0), 9) == [0] * 7 + [1, 2]
    rng = np.random.default_rng(0)
    network = make_network(input_size=20)
    windowed = ReplayMemory(50, (4,), rng, window_length=5)
    agent = make_agent(network, memory=windowed, warmup=0, batch_size=1)
    assert feed(agent, 8) == [0] * 6 + [1, 2]
    # closing entries count
    assert feed(make_agent(), 12, end=2) == [0] * 12
    assert feed(make_agent(), 15, end=2) == [0] * 13 + [1, 2]


def test_once_an_episode_learns_at_its_last_step_of_either_kind() -> None:
    agent = make_agent(train_interval="episode", gradient_steps=3, warmup=0, batch_size=1)
    done = []
    for terminated, truncated in ((False, False), (False, False), (True, False), (False, True)):
        agent.observe(np.zeros(4), 0, 1.0, terminated, truncated=truncated)
        done.append((agent.learn_step, agent.learn_call))
    assert done == [(0, 0), (0, 0), (3, 1), (6, 2)]


def test_a_policy_is_asked_at_the_count_that_it_is_of() -> None:
    counts: dict[Any, int] = {"env_step": 40, "learn_call": 30, "episode": 20}
    agent = make_agent()
    vars(agent).update(counts)
    for per, count in counts.items():
        asked: list[int] = []
        agent.policy = EpsilonGreedy(lambda seen, asked=asked: asked.append(seen) or 0.0, per)
        agent.select_action(np.zeros((1, 4)))
        assert asked == [agent.policy_count] == [count]


def test_train_interval_and_gradient_steps() -> None:
    done = feed(make_agent(train_interval=4, gradient_steps=3), 26)
    assert done == [0] * 20 + [3] * 4 + [6] * 2


@pytest.mark.parametrize(
    "changes",
    [
        {"target_rate": None},
        {"target_rate": 0.0},
        {"target_rate": 1.5},
        {"target_rate": 0.1, "target_interval": 5},
        {"target_interval": 0},
        {"gamma": 1.1},
        {"huber_clip": 0.0},
        {"batch_size": 0},
        {"warmup": 1000},
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        make_agent(**changes)


def play(steps: int) -> tuple[Agent, TwoStates, list[Any]]:
    rng = np.random.default_rng(0)
    network = Network(2, [Dense(8, "relu")], 2, rng)
    agent = Agent(
        network,
        Adam(1e-2),
        ReplayMemory(300, (2,), rng),
        EpsilonGreedy(linear(1.0, 0.1, 200)),
        rng,
        gamma=0.9,
        warmup=50,
        target_rate=0.05,
        double=True,
    )
    environment = TwoStates()
    events = train(environment, agent, lambda episode: 100 + episode)
    seen = []
    while agent.env_step < steps:
        seen.append(next(events))
    events.close()
    return agent, environment, seen


def test_it_learns_two_states_and_their_values_beyond_the_time_limit() -> None:
    agent, _, _ = play(steps=6000)
    q = np.array([agent.q_values([[1, 0]]), agent.q_values([[0, 1]])])
    assert q.argmax(axis=1).tolist() == [0, 1]
    # every step pays 1 for ever: 1 / (1 - gamma), though each episode is cut at 10 steps
    np.testing.assert_allclose(q, [[10, 9], [9, 10]], rtol=0.1)


def test_events_count_steps_and_episodes() -> None:
    agent, environment, events = play(steps=35)
    steps = [e for e in events if isinstance(e, StepEvent)]
    episodes = [e for e in events if isinstance(e, EpisodeEvent)]
    assert [e.env_step for e in steps] == list(range(1, 36))
    assert [e.episode_length for e in episodes] == [10, 10, 10]
    assert [e.episode for e in episodes] == [0, 1, 2]
    for episode in episodes:
        rewards = [e.reward for e in steps if e.episode == episode.episode]
        assert episode.episode_return == sum(rewards)
    assert environment.seeds == [100, 101, 102, 103]
    assert steps[9].truncated
    assert not steps[9].terminated
    # closed in mid-episode: the open episode was ended in the memory
    assert agent.memory.size == 35 + 4
    assert agent.episode == 4
    assert agent.memory.closing[38]
    assert not agent.memory.terminated.any()
