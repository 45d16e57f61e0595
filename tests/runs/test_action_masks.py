"""`[env] action_mask = true`: what is illegal is never played, by no engine, whatever it learns."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from commands import REPOSITORY

import kerasrl_runner
from kerasrl_runner.engines import build_learner
from kerasrl_runner.engines.greedy import play
from kerasrl_runner.environments.make import build_environment
from kerasrl_runner.environments.seeds import TRAINING
from kerasrl_runner.errors import PresetError
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


def test_keras_rl_refuses_by_name():
    with pytest.raises(PresetError, match=r"env\.action_mask: .* --engine compiled or reference"):
        learner_of("keras-rl", MASKED)


def test_taxi_is_trained_with_its_masks(tmp_path):
    preset = preset_of({"id": TAXI}, fit={"nb_steps": 20_000}, evaluate={"every_steps": 0})
    trained = kerasrl_runner.fit(preset, engine="reference", steps=3_000, run_dir=tmp_path / "run")
    assert trained.status == "finished"
