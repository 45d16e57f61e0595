"""`[env] action_mask = true`: what is illegal is never played, by no engine, whatever it learns."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from commands import REPOSITORY

from kerasrl_runner.engines import build_learner
from kerasrl_runner.engines.greedy import play
from kerasrl_runner.engines.learner import Listener
from kerasrl_runner.environments.make import build_environment
from kerasrl_runner.environments.seeds import TRAINING
from kerasrl_runner.preset import load_preset

BETTING = REPOSITORY / "examples" / "betting.toml"
TAXI = max(name for name in gymnasium.registry if name.startswith("Taxi-"))
MASKED = {"id": "gyms:Masked-v0"}  # it counts an illegal action as an error of its own
ENVIRONMENTS = [{"id": TAXI}, {"id": "betting:Betting-v0"}, MASKED]
EACH_ENGINE = pytest.mark.parametrize("engine", ["compiled", "reference"])
POLICIES = {
    "at random": {"EpsGreedyQPolicy": {"eps": 1.0}},
    "greedily": {"EpsGreedyQPolicy": {"eps": 0.0}},
    "by a softmax": {"BoltzmannQPolicy": {}},
}


class Referee(gymnasium.Wrapper):
    """Ends the run at the first illegal action; counts the actions where some were illegal."""

    restricted = 0

    def reset(self, **arguments: Any) -> Any:
        observation, self.info = super().reset(**arguments)
        return observation, self.info

    def step(self, action: Any) -> Any:
        mask = np.asarray(self.info["action_mask"])
        assert mask[action], f"{action} is illegal: {mask}"
        self.restricted += not mask.all()
        *values, self.info = super().step(action)
        return *values, self.info


def preset_of(env: dict[str, Any], **sections: Any) -> Any:
    return load_preset(BETTING, sections={"env": env, **sections})


def learner_of(engine: str, env: dict[str, Any], **sections: Any) -> Any:
    preset = preset_of(env, **sections)
    environment = build_environment(preset, 0, TRAINING)
    environment.env = Referee(environment.env)
    return build_learner(preset, 0, engine, environment)


@EACH_ENGINE
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("env", ENVIRONMENTS, ids=lambda env: env["id"])
def test_an_illegal_action_is_never_played(engine, env, policy):
    unlearned = {"nb_steps_warmup": 3_000}
    learner = learner_of(engine, env, policy=POLICIES[policy], agent=unlearned)
    learner.train(2_000, [])
    learner.test(20, 50)
    learner.environment.nb_max_episode_steps = 50
    play(learner.environment, learner.q_values, learner.window_length, 20)
    assert learner.environment.env.restricted > 2_000


@EACH_ENGINE
def test_what_is_legal_is_explored_evenly_and_played_by_its_value(engine):
    taken: list[tuple[int, int]] = []
    learner = learner_of(engine, MASKED, policy=POLICIES["at random"])
    environment = learner.environment
    step = environment.step

    def note(action: Any) -> Any:
        taken.append((int(environment.observation.argmax()), int(action)))
        return step(action)

    environment.step = note
    learner.train(800, [])
    counts = np.zeros((4, 4), int)  # [step of the episode, action]
    np.add.at(counts, tuple(np.transpose(taken)), 1)
    np.testing.assert_allclose(counts[0], [100, 0, 0, 100], atol=30)
    np.testing.assert_allclose(counts[1], [0, 100, 100, 0], atol=30)
    np.testing.assert_allclose(counts[2], [0, 0, 200, 0])
    np.testing.assert_allclose(counts[3], [67, 67, 0, 67], atol=25)
    taken.clear()
    play(environment, lambda state: np.array([4.0, 1.0, 2.0, 3.0]), 1, 1)
    assert taken == [(0, 0), (1, 2), (2, 2), (3, 0)]


@EACH_ENGINE
def test_every_observation_is_remembered_with_what_was_legal_there(engine):
    """Also the last one of an episode that a time limit or the end of the run cuts."""
    cut = {**MASKED, "max_episode_steps": 2}
    learner = learner_of(engine, cut, agent={"nb_steps_warmup": 100})
    learner.train(7, [])
    kept = learner.replay.entries(0)
    entries = kept.get("entries")
    observations, legal = (
        (kept["observations"], kept["legal"])
        if entries is None
        else (entries["observation"], entries["legal"])
    )
    steps = observations.argmax(axis=1)
    assert steps.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1]
    masks = np.array([[1, 0, 0, 1], [0, 1, 1, 0], [0, 0, 1, 0]], bool)
    np.testing.assert_array_equal(legal, masks[steps])


class Losses(Listener):
    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_step(self, event: Any) -> None:
        self.seen += [] if event.loss is None else [event.loss]


@EACH_ENGINE
@pytest.mark.parametrize("double", [False, True], ids=["", "double"])
@pytest.mark.parametrize("gradient_steps", [1, 2])
def test_the_maximum_of_a_target_goes_over_legal_actions_alone(engine, double, gradient_steps):
    """Q = (1, 7, 5, 2) in every state, and actions 0 and 3 are legal in each.

    Action 3 is taken and pays 3, so y = 3 + gamma * 2 = 4 and the loss is (4 - 2)^2 / 2 = 2; with
    the illegal 7 it would be (6.5 - 2)^2 / 2.
    """
    learner = learner_of(
        engine,
        {**MASKED, "reward_scale": 1.0, "kwargs": {"masks": [[1, 0, 0, 1]] * 9}},
        policy={"EpsGreedyQPolicy": {"eps": 0.0}},
        agent={"gamma": 0.5, "batch_size": 2, "nb_steps_warmup": 5, "enable_double_dqn": double,
               "gradient_steps": gradient_steps},
        model={"layers": []},
        optimizer={"SGD": {"learning_rate": 1e-9}},
    )  # fmt: skip
    weights = learner.exported_weights()
    (_, kernel), (_, bias) = weights.layers[-1].weights
    kernel[...], bias[...] = 0, (1, 7, 5, 2)
    learner.set_weights(weights)
    losses = Losses()
    learner.train(5, [losses])
    assert losses.seen == pytest.approx([2.0])


def test_taxi_is_learned_and_nothing_illegal_played_on_the_way():
    learner = learner_of("reference", {"id": TAXI}, agent={"nb_steps_warmup": 200})
    before = learner.exported_weights().layers[-1].weights[0][1].copy()
    learner.train(800, [])
    assert not np.array_equal(learner.exported_weights().layers[-1].weights[0][1], before)
    assert learner.environment.env.restricted > 600
