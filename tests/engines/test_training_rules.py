"""When an engine learns, from what, and how it explores: a preset's words mean the same in each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kerasrl_runner.engines import build_learner
from kerasrl_runner.engines.learner import EpisodeEvent, Learner, Listener, StepEvent
from kerasrl_runner.errors import PresetError
from kerasrl_runner.preset.schema import Preset

DQN = ("compiled", "keras-rl", "reference")
LENGTH = 4  # env steps of an episode
DECAY = {
    "inner_policy": {"EpsGreedyQPolicy": {}},
    "attr": "eps",
    "value_max": 1.0,
    "value_min": 0.01,
    "value_test": 0.0,
    "factor": 0.5,
}


class Recorder(Listener):
    """What an engine tells of its training."""

    def __init__(self, at_episode_end: Callable[[int], None] = lambda episode: None) -> None:
        self.at_episode_end = at_episode_end
        self.losses: dict[int, float] = {}  # by env step
        self.ends: list[int] = []  # in env steps
        self.epsilons: list[float | None] = []

    def on_step(self, event: StepEvent) -> None:
        if event.loss is not None:
            self.losses[event.env_steps] = event.loss

    def on_episode(self, event: EpisodeEvent) -> None:
        self.ends.append(event.env_steps)
        self.epsilons.append(event.epsilon)
        self.at_episode_end(event.episode)


def learner_of(engine: str, **sections: dict[str, Any]) -> Learner:
    """It learns from the third entry on, in episodes of LENGTH steps with unique observations."""
    chosen: dict[str, dict[str, Any]] = {
        "env": {"reward_scale": 0.001, "observation_scale": 0.1},
        "agent": {"nb_steps_warmup": 0},
        "policy": {"GreedyQPolicy": {}},
        "optimizer": {"SGD": {"learning_rate": 0.1}},
    }
    for name, section in sections.items():
        chosen[name] = {**chosen.get(name, {}), **section} if name != "policy" else section
    chosen["env"] = {"id": "gyms:Trail-v0", "kwargs": {"terminates": LENGTH}, **chosen["env"]}
    layers = [{"Dense": {"units": 4, "activation": "tanh"}}]
    return build_learner(Preset(name="rules", model={"layers": layers}, **chosen), 5, engine)


def train(learner: Learner, env_steps: int, recorder: Recorder | None = None) -> Recorder:
    recorder = recorder or Recorder()
    learner.train(env_steps, [recorder])
    return recorder


@pytest.mark.parametrize("engine", DQN)
def test_once_an_episode_it_learns_at_the_last_step_however_that_ends(engine: str) -> None:
    learner = learner_of(
        engine,
        env={"kwargs": {"terminates": None, "truncates": 3}},
        agent={"train_interval": "episode", "batch_size": 1},
        fit={"nb_max_episode_steps": 5},
    )
    trail = learner.environment.env.unwrapped

    def choose_next_end(episode: int) -> None:
        trail.terminates, trail.truncates = [(LENGTH, None), (None, None), (None, 3)][episode % 3]

    seen = train(learner, 26, Recorder(choose_next_end))
    assert seen.ends == [3, 7, 12, 15, 19, 24]  # truncated, terminated and capped, in turn
    assert list(seen.losses) == seen.ends


@pytest.mark.parametrize("engine", DQN)
def test_once_an_episode_it_waits_for_the_warm_up_as_ever(engine: str) -> None:
    settings = {"train_interval": "episode", "batch_size": 10}
    seen = train(learner_of(engine, agent=settings), 18)
    # At the second episode's last step the memory holds 9 entries.
    assert list(seen.losses) == [12, 16]


@pytest.mark.parametrize(
    ("per", "counts"),
    [
        ("env_step", [3, 7, 11, 15]),  # at the choice of the newest action, as all of these
        ("learn_call", [0, 1, 2, 3]),
        ("episode", [0, 1, 2, 3]),
    ],
)
@pytest.mark.parametrize("engine", DQN)
def test_epsilon_decays_by_a_factor_per_count_down_to_its_floor(
    engine: str, per: str, counts: list[int]
) -> None:
    learner = learner_of(
        engine,
        policy={"ExponentialAnnealedPolicy": {**DECAY, "per": per}},
        agent={"train_interval": "episode", "batch_size": 1},
    )
    seen = train(learner, 4 * LENGTH)
    assert seen.epsilons == [max(0.01, 0.5**count) for count in counts]


@pytest.mark.parametrize("engine", DQN)
def test_calls_at_each_step_count_from_the_first_that_learns(engine: str) -> None:
    learner = learner_of(
        engine,
        policy={"ExponentialAnnealedPolicy": {**DECAY, "factor": 0.9, "per": "learn_call"}},
        agent={"batch_size": 6},
    )
    seen = train(learner, 3 * LENGTH)
    assert list(seen.losses) == list(range(5, 13))  # the first episode ends with the fifth entry
    assert seen.epsilons == [1.0, *(pytest.approx(0.9**count) for count in (3, 7))]


# What is not the default, from equal weights: half the runs are of float32.
RULES: dict[str, dict[str, Any]] = {
    "batches of one": {"agent": {"batch_size": 1}},
    "once an episode": {"agent": {"train_interval": "episode", "batch_size": 4}},
    "no target network": {"agent": {"target_network": False, "batch_size": 2}},
    "shaped rewards": {
        "env": {"reward_clip": [-1.0, 1.0], "terminal_reward": -20.0, "reward_scale": 0.1},
        "agent": {"batch_size": 2, "target_model_update": 0.1},
    },
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("engine", ["compiled", "keras-rl"])
def test_equal_weights_give_equal_losses_in_each_engine(engine: str, rule: str) -> None:
    expected, received = (learner_of(name, **RULES[rule]) for name in ("reference", engine))
    received.set_weights(expected.exported_weights())
    theirs, ours = train(expected, 60).losses, train(received, 60).losses
    assert len(theirs) > 10
    assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-6)
    assert len(set(np.round(list(theirs.values()), 6))) > 10  # it does learn


@pytest.mark.parametrize(
    ("engine", "update"),
    [("compiled", 0.01), ("compiled", 7), ("reference", 0.01), ("reference", 7), ("keras-rl", 7)],
)
def test_without_a_target_network_the_targets_are_the_online_networks(
    engine: str, update: float
) -> None:
    settings = {"target_network": False, "target_model_update": update, "batch_size": 1}
    learner = learner_of(engine, agent=settings)
    seen: list[np.ndarray] = []
    for env_steps in range(1, 13):
        train(learner, env_steps)
        arrays = learner.state().arrays
        online = [name for name in arrays if "online" in name]
        for name in online:
            np.testing.assert_array_equal(arrays[name.replace("online", "target")], arrays[name])
        seen.append(np.concatenate([arrays[name].ravel() for name in online]))
    assert len({array.tobytes() for array in seen}) > 8  # it learned meanwhile


def test_several_updates_a_call_are_more_than_keras_rl_has() -> None:
    with pytest.raises(PresetError, match=r"agent\.gradient_steps: .* use --engine compiled"):
        learner_of("keras-rl", agent={"gradient_steps": 2, "batch_size": 1})
