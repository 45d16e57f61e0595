"""Counters that the vendor keeps in int16 and float32 (D3, D3b, D3c, D19, D27)."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from agents.support import (
    NEVER,
    AfterEachStep,
    IdleAgent,
    constant,
    equal_weights,
    learn_steps,
    make_agent,
)
from vendor.support import OldGym, VendorLoop, graph_mode, vendor_agent

from kerasrl_runner.keras_rl import Callback, EpsGreedyQPolicy, LinearAnnealedPolicy

BEYOND_INT16 = 33_000


class Journal(Callback):
    """Writes down what callbacks are told."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[int] = []
        self.episodes: list[int] = []
        self.lengths: list[int] = []
        self.returns: list[float] = []

    def on_step_begin(self, step: int, logs: Any = None) -> None:
        self.steps.append(int(step))

    def on_episode_end(self, episode: int, logs: Any = None) -> None:
        self.episodes.append(int(episode))
        self.lengths.append(int(logs["nb_episode_steps"]))
        self.returns.append(float(logs["episode_reward"]))


class GiveUp(Callback):
    """Presses Ctrl-C when the agent's step turns negative."""

    def on_step_end(self, step: int, logs: Any = None) -> None:
        if self.model.step < 0:
            raise KeyboardInterrupt


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_D3_the_vendors_fit_wraps_its_step_and_would_never_end() -> None:
    agent = VendorLoop()
    agent.fit(OldGym(), BEYOND_INT16, callbacks=[GiveUp()], verbose=0)
    assert agent.step == -(2**15)


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_D3_D3c_fit_ends_after_more_steps_than_an_int16_counts() -> None:
    agent, journal = make_agent(agent_class=IdleAgent, train_interval=NEVER), Journal()
    agent.fit(constant(), BEYOND_INT16, callbacks=[journal], verbose=0, nb_max_episode_steps=32_800)
    assert agent.step == BEYOND_INT16
    assert type(agent.step) is int
    assert journal.steps == [*range(32_800), *range(200)]
    assert journal.lengths == [32_800]
    assert journal.returns == [32_800.0]


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_D3c_episodes_are_numbered_beyond_an_int16() -> None:
    agent, journal = make_agent(agent_class=IdleAgent, train_interval=NEVER), Journal()
    agent.fit(constant(), 32_800, callbacks=[journal], verbose=0, nb_max_episode_steps=1)
    assert journal.episodes == list(range(32_800))


@pytest.mark.parametrize("setting", ["train_interval", "target_model_update"])
def test_D3b_the_vendor_overflows_at_intervals_beyond_an_int16(setting: str) -> None:
    with graph_mode():
        agent = vendor_agent(nb_steps_warmup=100, **{setting: 40_000})
        agent.training, agent.step = True, np.int16(101 if setting == "train_interval" else 7)
        agent.recent_observation, agent.recent_action = np.ones(1), 0
        with pytest.raises(OverflowError, match="int16"):
            agent.backward(0.0, False)


def test_D3b_a_hard_update_happens_at_its_step_beyond_an_int16() -> None:
    agent, updated_at = make_agent(target_model_update=40_000), []

    def compare(agent: Any) -> None:
        online, target = agent.model.get_weights(), agent.target_model.get_weights()
        if equal_weights(online, target):
            updated_at.append(agent.step)

    agent.step = 39_985
    agent.fit(constant(), 25, callbacks=[AfterEachStep(compare)], verbose=0)
    assert updated_at[updated_at.index(39_989) + 1 :] == [40_000]


def test_D19_the_vendors_second_fit_starts_at_step_0() -> None:
    agent = VendorLoop()
    agent.fit(OldGym(), 30, verbose=0)
    agent.fit(OldGym(), 10, verbose=0)
    assert agent.step == 10


def test_D19_a_second_fit_goes_on_with_steps_warm_up_and_annealing() -> None:
    policy = LinearAnnealedPolicy(
        EpsGreedyQPolicy(), "eps", value_max=1.0, value_min=0.0, value_test=0.0, nb_steps=100
    )
    agent = make_agent(nb_steps_warmup=25, policy=policy)
    learned = learn_steps(agent)
    agent.fit(constant(), 30, verbose=0)
    agent.fit(constant(), 10, verbose=0)
    assert agent.step == 40
    # the 25th entry is stored at step 24, and the second fit has no warm-up of its own
    assert learned == list(range(24, 40))
    assert policy.inner_policy.eps == pytest.approx(0.61)  # chosen at step 39


def test_D27_the_vendor_sums_returns_in_float32() -> None:
    history = VendorLoop().fit(OldGym(length=3, reward=2.0**24 + 1), 3, verbose=0)
    assert history.history["episode_reward"][0] != 3 * (2.0**24 + 1)


@pytest.mark.parametrize("shape", [(), (1,)])
def test_D27_rewards_are_numbers_that_are_summed_in_float64(shape: tuple[int, ...]) -> None:
    env = gymnasium.make("gyms:Rewards-v0", rewards=(2.0**24, 1.0, 1.0), shape=shape)
    agent, journal = make_agent(train_interval=NEVER), Journal()
    history = agent.fit(env, 3, callbacks=[journal], verbose=0)
    assert journal.returns == [2.0**24 + 2]
    assert history.history["episode_reward"] == [2.0**24 + 2]
    assert agent.test(env, verbose=0).history["episode_reward"] == [2.0**24 + 2]
