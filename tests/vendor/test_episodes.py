"""Where an episode ends, and what the replay memory makes of it (D5, D8, D9, D17)."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from agents.support import AfterEachStep, make_agent, q_network, stored_transitions
from vendor.support import graph_mode, vendor_agent

from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.errors import EnvironmentFailed
from kerasrl_runner.keras_rl import (
    Callback,
    DQNAgent,
    EpsGreedyQPolicy,
    Processor,
    SequentialMemory,
    keras,
)
from kerasrl_runner.vendor import rl_memory

NEVER = 10**9


def _trail(**arguments: Any) -> Any:
    return gymnasium.make("gyms:Trail-v0", **arguments)


def _trail_agent(**arguments: Any) -> Any:
    model = q_network((2,), window=arguments.get("window", 1))
    return make_agent(model, train_interval=NEVER, **arguments)


def _linear(learning_rate: float = 1.0) -> tuple[Any, Any]:
    """A Q table of two actions for one observation, and an optimizer that fills it quickly."""
    model = keras.Sequential(
        [
            keras.layers.Flatten(input_shape=(1, 1)),
            keras.layers.Dense(2, use_bias=False, kernel_initializer="zeros"),
        ]
    )
    return model, keras.optimizers.legacy.SGD(learning_rate)


RANDOM = EpsGreedyQPolicy(eps=1.0)
SETTINGS = {"gamma": 0.9, "batch_size": 32, "nb_steps_warmup": 40, "target_model_update": 5}


def test_D5_the_vendor_learns_a_time_limit_as_a_terminal_state() -> None:
    keras.utils.set_random_seed(0)
    env = KerasRLEnvironment(gymnasium.make("gyms:Constant-v0", max_episode_steps=10))
    model, optimizer = _linear(learning_rate=0.2)
    with graph_mode():
        keras.Sequential()
        agent = vendor_agent(
            keras.models.clone_model(model),
            optimizer=optimizer,
            policy=RANDOM,
            **{**SETTINGS, "target_model_update": 10},
        )
        agent.fit(env, 500, verbose=0)
        q_values = agent.compute_q_values([np.ones(1)])
    assert q_values.max() == pytest.approx(1 / (1 - 0.9 * 0.9), abs=0.7)  # about 5.3


@pytest.mark.parametrize("limited_by", ["the environment", "fit"])
def test_D5_learning_bootstraps_over_a_time_limit(limited_by: str) -> None:
    limit = 10 if limited_by == "the environment" else None
    env = gymnasium.make("gyms:Constant-v0", max_episode_steps=limit)
    model, optimizer = _linear()
    agent = make_agent(model, optimizer=optimizer, policy=RANDOM, **SETTINGS)
    agent.fit(env, 400, verbose=0, nb_max_episode_steps=None if limit else 10)
    np.testing.assert_allclose(agent.compute_q_values([np.ones(1)]), 10.0, atol=0.1)


def test_D5_a_terminated_episode_is_not_bootstrapped_over() -> None:
    env = gymnasium.make("gyms:Rewards-v0", rewards=(1.0,))
    model, optimizer = _linear()
    agent = make_agent(model, optimizer=optimizer, policy=RANDOM, **SETTINGS)
    agent.fit(env, 100, verbose=0)
    np.testing.assert_allclose(agent.compute_q_values([np.ones(1)]), 1.0, atol=0.01)


@pytest.mark.parametrize(
    ("terminates", "truncates", "cap"),
    [(7, None, None), (None, 7, None), (None, None, 7), (7, 7, 7), (1, None, None)],
)
def test_D5_the_memory_holds_the_true_transitions_of_whole_episodes(
    terminates: int | None, truncates: int | None, cap: int | None
) -> None:
    env, agent = _trail(terminates=terminates, truncates=truncates), _trail_agent()
    agent.fit(env, 50, verbose=0, nb_max_episode_steps=cap)
    assert stored_transitions(agent.memory) == env.unwrapped.transitions
    assert len(env.unwrapped.transitions) == 50
    ends = sum(terminated for *_, terminated in env.unwrapped.transitions)
    assert ends == (50 // terminates if terminates else 0)


def test_D5_a_memory_that_cannot_tell_the_two_ends_apart_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot tell a time limit from a terminal state"):
        make_agent(memory=rl_memory.SequentialMemory(limit=100, window_length=1))


def test_D8_the_vendors_second_fit_stores_a_transition_across_two_episodes() -> None:
    env = KerasRLEnvironment(_trail(terminates=7))
    model = keras.Sequential([keras.layers.Flatten(input_shape=(1, 2)), keras.layers.Dense(2)])
    with graph_mode():
        agent = vendor_agent(keras.models.clone_model(model), nb_steps_warmup=NEVER)
        agent.fit(env, 10, verbose=0)
        agent.fit(env, 10, verbose=0)
    observations = [tuple(observation) for observation in agent.memory.observations]
    across = observations.index((3.0, 0.0))
    assert observations[across - 1] == (2.0, 2.0)
    assert not agent.memory.terminals[across - 1]


def test_D8_fits_in_a_row_store_no_transition_across_their_episodes() -> None:
    env, agent = _trail(terminates=7), _trail_agent()
    for steps in (10, 10, 1, 7, 4):
        agent.fit(env, steps, verbose=0)
    assert stored_transitions(agent.memory) == env.unwrapped.transitions
    assert len(env.unwrapped.transitions) == 32


def test_D8_windows_do_not_reach_into_the_fit_before() -> None:
    agent = _trail_agent(window=3)
    env = _trail(terminates=7)
    agent.fit(env, 10, verbose=0)
    agent.fit(env, 10, verbose=0)
    memory = agent.memory
    for index in range(memory.nb_entries - 1):
        try:
            batch = memory.sample_batch(1, [index])
        except ValueError:
            continue
        episode, length = batch.state[0, -1]
        window = [
            (episode, t) if t >= 0 else (0, 0) for t in range(int(length) - 2, int(length) + 1)
        ]
        assert batch.state[0].tolist() == [list(map(float, frame)) for frame in window]
        assert batch.next_state[0].tolist() == [*batch.state[0].tolist()[1:], [episode, length + 1]]


@pytest.mark.parametrize("fault", ["interrupt", "raise"])
def test_D8_a_fit_cut_short_stores_no_transition_across_episodes(fault: str) -> None:
    class Cut(gymnasium.Wrapper):
        steps = 0

        def step(self, action: Any) -> Any:
            self.steps += 1
            if self.steps == 10:
                raise KeyboardInterrupt if fault == "interrupt" else ZeroDivisionError
            return super().step(action)

    env, agent = _trail(terminates=7), _trail_agent()
    if fault == "raise":
        with pytest.raises(EnvironmentFailed):
            agent.fit(Cut(env), 20, verbose=0)
    else:
        agent.fit(Cut(env), 20, verbose=0)
    agent.fit(env, 10, verbose=0)
    assert stored_transitions(agent.memory) == env.unwrapped.transitions
    assert len(env.unwrapped.transitions) == 19


def test_D8_a_fit_cut_between_a_step_and_its_storing_invents_no_transition() -> None:
    class Cut(Callback):
        actions = 0

        def on_action_end(self, action: int, logs: Any = None) -> None:
            self.actions += 1
            if self.actions == 4:
                raise KeyboardInterrupt

    env, agent = _trail(), _trail_agent()
    agent.fit(env, 20, callbacks=[Cut()], verbose=0)
    assert agent.interrupted
    assert stored_transitions(agent.memory) == env.unwrapped.transitions[:3]


def test_D8_the_last_observation_of_a_fit_passes_the_processor_like_all_others() -> None:
    class Halved(Processor):
        def process_observation(self, observation: Any) -> Any:
            return observation / 2

    agent = _trail_agent(processor=Halved())
    agent.fit(_trail(), 4, verbose=0)
    assert stored_transitions(agent.memory)[-1][3] == (0.5, 2.0)


def test_D8_a_test_after_fit_leaves_the_memory_as_it_was() -> None:
    env, agent = _trail(terminates=7), _trail_agent(window=3)
    agent.fit(env, 10, verbose=0)
    entries = agent.memory.nb_entries
    agent.test(_trail(terminates=4), nb_episodes=2, verbose=0)
    assert agent.memory.nb_entries == entries
    assert agent.memory.get_recent_state(np.array([9.0, 9.0]))[0].tolist() == [0.0, 0.0]


def test_D8_D18b_a_test_inside_fit_leaves_the_window_and_the_memory_as_they_were() -> None:
    windows: list[Any] = []

    def probe(agent: Any) -> None:
        before = agent.memory.get_recent_state(np.zeros(2)), agent.memory.nb_entries
        agent.test(_trail(terminates=4), nb_episodes=2, verbose=0)
        after = agent.memory.get_recent_state(np.zeros(2)), agent.memory.nb_entries
        windows.append((before, after))

    env, agent = _trail(terminates=7), _trail_agent(window=3)
    agent.fit(env, 20, callbacks=[AfterEachStep(probe)], verbose=0)
    assert len(windows) == 20
    for (window, entries), (same_window, same_entries) in windows:
        np.testing.assert_array_equal(window, same_window)
        assert entries == same_entries
    transitions = env.unwrapped.transitions
    found = [
        tuple(agent.memory.sample_batch(1, [index]).state[0, -1])
        for index in range(agent.memory.nb_entries - 1)
        if index not in (7, 15)  # the closing entries of two episodes
    ]
    assert found == [before for before, *_ in transitions]


def test_D9_the_vendor_skips_steps_and_loses_terminals_at_memory_interval_2() -> None:
    env = KerasRLEnvironment(_trail(terminates=7))
    model = keras.Sequential([keras.layers.Flatten(input_shape=(1, 2)), keras.layers.Dense(2)])
    with graph_mode():
        agent = vendor_agent(
            keras.models.clone_model(model), nb_steps_warmup=NEVER, memory_interval=2
        )
        agent.fit(env, 50, verbose=0)
    assert sum(agent.memory.terminals) < 50 // 7


@pytest.mark.parametrize("spelling", ["by name", "by place"])
def test_D9_a_memory_interval_is_refused(spelling: str) -> None:
    memory = SequentialMemory(limit=2_000, window_length=1)
    places: tuple[Any, ...] = ()
    names: dict[str, Any] = {"nb_actions": 2, "memory": memory, "memory_interval": 2}
    if spelling == "by place":
        places = (None, None, False, False, "avg", 2, memory, 0.99, 32, 50, 1, 2)
        names = {}
    with pytest.raises(ValueError, match="memory_interval=2"):
        DQNAgent(q_network(), *places, **names)


class _Endless(Exception):
    pass


def test_D17_the_vendor_draws_forever_from_a_short_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draws = 0

    def counted(low: int, high: int, size: int) -> list[int]:
        nonlocal draws
        draws += 1
        if draws > 1_000:
            raise _Endless
        return [low] * size

    monkeypatch.setattr(rl_memory, "sample_batch_indexes", counted)
    memory = rl_memory.SequentialMemory(limit=10, window_length=1)
    for terminal in (True, False, True):
        memory.append(np.zeros(1), 0, 0.0, terminal)
    with pytest.raises(_Endless):
        memory.sample(1)


@pytest.mark.parametrize("limit", [3, 4, 10])
def test_D17_a_memory_of_short_episodes_is_sampled_at_once(limit: int) -> None:
    memory = SequentialMemory(limit=limit, window_length=1)
    for episode in range(20):
        memory.append(np.array([episode, 0.0]), 0, float(episode), True)
        if memory.nb_entries >= 3:  # [T, F, T]
            batch = memory.sample_batch(64)
            assert batch.terminated.all()
        memory.end_episode(np.array([episode, 1.0]))
        if memory.nb_entries >= 3:
            batch = memory.sample_batch(64)
            assert (batch.state[:, 0, 0] == batch.reward).all()
            assert (batch.state[:, 0, 1] == 0).all()
            assert (batch.next_state[:, 0, 1] == 1).all()
