"""When and how the vendor learns (D12, D16, D18, D24, D25, D26)."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from agents.support import (
    AfterEachStep,
    constant,
    learn_steps,
    make_agent,
    q_network,
    weights_of,
)
from vendor.support import OldGym, graph_mode, vendor_agent

from kerasrl_runner.errors import EnvironmentFailed, TrainingDiverged, WeightsError
from kerasrl_runner.keras_rl import (
    BoltzmannQPolicy,
    EpsGreedyQPolicy,
    MaxBoltzmannQPolicy,
    keras,
)
from kerasrl_runner.vendor import rl_policy


def test_D12_the_target_moves_towards_the_weights_after_the_gradient_step() -> None:
    seen: list[tuple[Any, Any]] = []
    agent = make_agent(
        units=16,
        optimizer=keras.optimizers.SGD(learning_rate=0.1),
        target_model_update=0.25,
    )
    agent.fit(
        constant(),
        60,
        callbacks=[
            AfterEachStep(
                lambda a: seen.append((a.model.get_weights(), a.target_model.get_weights()))
            )
        ],
        verbose=0,
    )
    moved = 0
    for (_, old_target), (online, target) in itertools.pairwise(seen):
        for w, old, new in zip(online, old_target, target, strict=True):
            np.testing.assert_allclose(new, 0.25 * w + 0.75 * old, atol=1e-7)
            moved += not np.array_equal(old, new)
    assert moved > 50  # otherwise nothing was learned


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_D16_the_vendor_oversamples_at_a_warm_up_shorter_than_the_batch() -> None:
    with graph_mode(), pytest.warns(UserWarning, match="Not enough entries to sample"):
        vendor_agent(nb_steps_warmup=4, batch_size=32).fit(OldGym(), 6, verbose=0)


def test_D16_the_vendor_fails_at_a_warm_up_shorter_than_the_window() -> None:
    with graph_mode(), pytest.raises(AssertionError, match="not enough entries"):
        vendor_agent(nb_steps_warmup=0).fit(OldGym(), 6, verbose=0)


@pytest.mark.parametrize(
    ("warm_up", "batch_size", "window", "cap", "first"),
    [
        (10, 32, 1, None, 31),
        (50, 32, 1, None, 49),
        (0, 1, 1, None, 2),
        (0, 1, 4, None, 5),
        (7, 6, 4, None, 6),
        (12, 4, 1, 3, 9),  # the third episode's closing entry is the 12th
    ],
)
def test_D16_learning_starts_when_the_memory_holds_warm_up_batch_and_window(
    warm_up: int, batch_size: int, window: int, cap: int | None, first: int
) -> None:
    agent = make_agent(window=window, nb_steps_warmup=warm_up, batch_size=batch_size)
    learned = learn_steps(agent)
    agent.fit(constant(), first + 4, verbose=0, nb_max_episode_steps=cap)
    assert learned == [first, first + 1, first + 2, first + 3]  # steps are counted from 0


def test_D16_a_memory_that_can_never_be_sampled_is_refused() -> None:
    with pytest.raises(ValueError, match="window_length"):
        make_agent(limit=20, nb_steps_warmup=1, batch_size=1, window=50)


@pytest.mark.parametrize("argument", ["nb_steps_warmup", "batch_size"])
def test_D16_a_warm_up_beyond_the_memorys_limit_counts_what_was_ever_stored(argument: str) -> None:
    agent = make_agent(limit=20, **{"nb_steps_warmup": 1, "batch_size": 1, argument: 30})
    learned = learn_steps(agent)
    agent.fit(constant(), 32, verbose=0)
    assert learned == [29, 30, 31]  # steps are counted from 0


def test_D18_the_vendor_trains_once_more_at_the_end_of_an_episode() -> None:
    with graph_mode():
        agent = vendor_agent(nb_steps_warmup=41, train_interval=5)
        learned = learn_steps(agent)
        agent.fit(OldGym(length=10), 61, verbose=0)
    assert learned == [45, 50, 50, 55, 60, 60]


def test_D18_the_end_of_an_episode_trains_no_additional_time() -> None:
    agent = make_agent(nb_steps_warmup=41, train_interval=5)
    learned = learn_steps(agent)
    agent.fit(constant(), 61, verbose=0, nb_max_episode_steps=10)
    assert learned == [40, 45, 50, 55, 60]


@pytest.mark.parametrize("policy", ["BoltzmannQPolicy", "MaxBoltzmannQPolicy"])
def test_D24_the_vendors_boltzmann_takes_far_apart_values_for_equal(policy: str) -> None:
    np.random.seed(0)
    chooser = getattr(rl_policy, policy)(tau=0.1, clip=(-500.0, 500.0))
    if policy == "MaxBoltzmannQPolicy":
        chooser.eps = 1.0
    chosen = [chooser.select_action(q_values=np.array([60.0, 90.0])) for _ in range(200)]
    assert 60 < chosen.count(0) < 140


@pytest.mark.parametrize(
    "policy", [BoltzmannQPolicy(tau=0.1), MaxBoltzmannQPolicy(eps=1.0, tau=0.1)]
)
def test_D24_boltzmann_prefers_the_larger_of_far_apart_values(policy: Any) -> None:
    np.random.seed(0)
    chosen = [policy.select_action(q_values=np.array([60.0, 90.0])) for _ in range(200)]
    assert chosen.count(1) == 200


def test_D25_the_vendor_learns_from_a_nan_reward_and_ends_normally() -> None:
    with graph_mode():
        # An action that is never taken keeps its weights, so both are taken.
        agent = vendor_agent(policy=EpsGreedyQPolicy(eps=1.0))
        agent.fit(OldGym(reward=float("nan")), 60, verbose=0)
        assert np.isnan(agent.model.get_weights()[0]).all()


def test_D25_a_nan_reward_ends_fit_and_never_reaches_the_weights() -> None:
    agent = make_agent()
    env = gymnasium.make("gyms:Faulty-v0", fault={"reward": math.nan}, at=12)
    with pytest.raises(EnvironmentFailed, match=r"reward is nan|env step 12"):
        agent.fit(env, 30, verbose=0)
    assert agent.step == 11
    assert all(np.isfinite(value).all() for value in weights_of(agent))


@pytest.mark.parametrize(
    "policy", [EpsGreedyQPolicy(), BoltzmannQPolicy(), MaxBoltzmannQPolicy(eps=1.0)]
)
def test_D25_a_diverging_loss_ends_fit_and_keeps_the_last_good_file(
    policy: Any, tmp_path: Path
) -> None:
    agent = make_agent(
        optimizer=keras.optimizers.SGD(learning_rate=1e37), policy=policy, target_model_update=1
    )
    agent.save_weights(tmp_path / "good.h5")
    good = (tmp_path / "good.h5").read_bytes()
    with pytest.raises(TrainingDiverged, match="learning rate"):
        agent.fit(constant(reward=1_000.0), 50, verbose=0)
    assert agent.step < 50
    with pytest.raises(WeightsError, match="NaN or infinite"):
        agent.save_weights(tmp_path / "good.h5", overwrite=True)
    assert (tmp_path / "good.h5").read_bytes() == good


def test_D26_the_vendors_batches_are_objects() -> None:
    with graph_mode():
        batch = vendor_agent().process_state_batch([[np.zeros((4, 4), np.uint8)]])
    assert batch.dtype == object


def test_D26_states_keep_the_observations_dtype() -> None:
    agent = make_agent(q_network((4, 4), window=3), window=3)
    agent.fit(gymnasium.make("gyms:Frames-v0"), 10, verbose=0)
    states = [experience.state0 for experience in agent.memory.sample(4)]
    batch = agent.process_state_batch(states)
    assert batch.dtype == np.uint8
    assert batch.shape == (4, 3, 4, 4)
    assert agent.memory.sample_batch(4).state.dtype == np.uint8
    start = agent.memory.get_recent_state(np.full((4, 4), 7, np.uint8))  # two frames are padding
    assert np.asarray(start).dtype == np.uint8
