"""`fit --engine qtable`: a table of values instead of a network, and the same files."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import python

import kerasrl_runner
from kerasrl_runner.engines import build, build_learner
from kerasrl_runner.environments.wrappers import Discretize
from kerasrl_runner.errors import PresetError, UsageError, WeightsError
from kerasrl_runner.preset import load_preset
from kerasrl_runner.weights.file import read_weights

TABLE = "frozenlake-table"
DISCRETIZE = f"{Discretize.__module__}:{Discretize.__name__}"
CERTAIN = {"id": "FrozenLake-v1", "kwargs": {"is_slippery": False}}
SHORT: dict[str, Any] = {"policy": {"EpsGreedyQPolicy": {"eps": 0.5}}, "env": CERTAIN}


def fit(folder: Path, **arguments: Any) -> Any:
    chosen = {"steps": 6_000, "run_dir": folder / "run", "engine": "qtable", **SHORT, **arguments}
    return kerasrl_runner.fit(TABLE, **chosen)


@pytest.fixture
def agent() -> Any:
    """Two of its values are known: Q(1, 2) = 4 and Q(3, 0) = 10, the highest of their states."""
    overrides = {"agent": {"gamma": 0.5, "learning_rate": 0.25}}
    agent = build(TABLE, engine="qtable", **overrides)[1]
    agent.values[1, 2], agent.values[3, 0], agent.values[3, 1] = 4.0, 10.0, -8.0
    return agent


def test_a_step_moves_one_value_toward_the_reward_and_the_best_value_that_follows(agent):
    """Sutton & Barto 2018, equation 6.8, by hand: 4 + 0.25 (2 + 0.5 * 10 - 4) = 4.75."""
    before = agent.values.copy()
    assert agent.learn(1, 2, 2.0, 3, False) == 3.0
    assert agent.values[1, 2] == 4.75
    before[1, 2] = 4.75
    assert (agent.values == before).all()


def test_nothing_follows_a_terminal_step(agent):
    """4 + 0.25 (2 - 4) = 3.5; a truncated step is learned from as any other."""
    assert agent.learn(1, 2, 2.0, 3, True) == -2.0
    assert agent.values[1, 2] == 3.5


def test_what_follows_is_one_of_the_legal_actions(agent):
    """Q(3, 0) = 10 is not legal, Q(3, 1) = -8 is: 4 + 0.25 (2 - 0.5 * 8 - 4) = 2.5."""
    assert agent.learn(1, 2, 2.0, 3, False, np.array([False, True, False, False])) == -6.0
    assert agent.values[1, 2] == 2.5


def test_no_other_than_legal_actions_are_tried():
    preset = load_preset("taxi-table", ["env.action_mask=true", "policy.EpsGreedyQPolicy.eps=0.5"])
    learner = build_learner(preset, 0, "qtable")
    taken = []
    environment, step = learner.environment, learner.environment.step
    environment.step = lambda action: (
        taken.append(bool(environment.legal_actions[action])) or step(action)
    )
    learner.train(1_000, [])
    assert taken == [True] * 1_000


def test_a_truncated_episode_is_not_learned_as_its_end():
    """Every step pays 1 and an episode is cut after 3: the value grows beyond 3, to 1 / (1 - g)."""
    preset = load_preset(
        TABLE,
        sections={
            "env": {"id": "gyms:Constant-v0", "max_episode_steps": 3,
                    "wrappers": [{DISCRETIZE: {"bins": [1]}}]},
            "agent": {"gamma": 0.9, "learning_rate": 0.5},
        },
    )  # fmt: skip
    learner = build_learner(preset, 0, "qtable")
    learner.train(2_000, [])
    assert learner.agent.values.max() == pytest.approx(10.0, rel=1e-3)
    assert learner.episodes == 666


def test_it_learns_to_cross_the_lake_and_says_how(tmp_path):
    result = fit(tmp_path, evaluate={"every_steps": 1_000, "stop_at_return": 1.0})
    assert (result.engine, result.status, result.best["mean_return"]) == ("qtable", "finished", 1.0)
    log = (tmp_path / "run" / "log.csv").read_text().splitlines()
    assert log[0] == "episode,env_steps,return,length,end,epsilon,loss"
    assert {line.split(",")[5] for line in log[1:]} == {"0.5"}
    assert json.loads((tmp_path / "run" / "run.json").read_text())["threads"] == {}
    attributes = read_weights(tmp_path / "run" / "best.h5").attributes
    assert (attributes["engine"], attributes["seed"]) == ("qtable", 0)


@pytest.mark.parametrize("per", ["env_step", "learn_call", "episode"])
def test_exploration_may_decay_with_each_of_an_agent_s_counts(tmp_path, per):
    decaying = {
        "inner_policy": {"EpsGreedyQPolicy": {}}, "attr": "eps", "value_max": 1.0,
        "value_min": 0.3, "value_test": 0.0, "factor": 0.9, "per": per,
    }  # fmt: skip
    fit(tmp_path, policy={"ExponentialAnnealedPolicy": decaying}, steps=100)
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").open()))
    counts = [int(r["episode" if per == "episode" else "env_steps"]) for r in rows]
    expected = [max(0.3, 0.9 ** (count - (per != "episode"))) for count in counts]
    assert [float(row["epsilon"]) for row in rows] == pytest.approx(expected)
    assert expected[0] > 0.3


def test_equal_seeds_give_equal_files(tmp_path):
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        fit(tmp_path / folder, seed=seed, steps=2_000)
    first, same, other = ((tmp_path / f / "run" / "weights.h5").read_bytes() for f in "abc")
    assert first == same != other


def test_every_engine_plays_the_table_alike_and_keras_loads_it(tmp_path):
    result = fit(tmp_path, env={**CERTAIN, "kwargs": {"is_slippery": True}})
    tests = [
        kerasrl_runner.test(weights=result.weights, engine=engine, episodes=20)
        for engine in ("qtable", "reference", "compiled", "keras-rl", None)
    ]
    assert [tested.engine for tested in tests][-1] == "qtable"
    assert len({tested.score for tested in tests}) == 1
    import tf_keras

    model = tf_keras.models.load_model(result.weights)
    learner = build_learner(load_preset(TABLE), 0, "qtable")
    learner.set_weights(read_weights(tmp_path / "run" / "weights.h5"))
    assert not model.layers[-1].use_bias
    assert np.ptp(learner.agent.values) > 0
    one_hot = np.eye(16, dtype=np.float32)[:, None]  # [states, window, states]
    np.testing.assert_array_equal(model.predict(one_hot, verbose=0), learner.agent.values)


def test_a_table_may_begin_with_another_s_values(tmp_path):
    given = read_weights(Path(fit(tmp_path / "first").weights))
    fit(tmp_path / "second", steps=1, initial_weights=tmp_path / "first" / "run" / "weights.h5")
    learned = read_weights(tmp_path / "second" / "run" / "weights.h5")
    (_, before), (_, after) = given.layers[-1].weights[0], learned.layers[-1].weights[0]
    assert (before != after).sum() <= 1
    preset = load_preset("taxi-table")
    with pytest.raises(WeightsError, match="another architecture"):
        build_learner(preset, 0, "qtable").set_weights(given)


def test_no_tensorflow_is_loaded(tmp_path):
    code = (
        "import sys, kerasrl_runner\n"
        f"result = kerasrl_runner.fit('{TABLE}', engine='qtable', steps=300)\n"
        "kerasrl_runner.test(run=result.run, episodes=2)\n"
        "print('tensorflow' in sys.modules, 'rl' in sys.modules)"
    )
    assert python(code, tmp_path).split() == ["False", "False"]


@pytest.mark.parametrize("engine", ["compiled", "keras-rl", "reference"])
def test_an_engine_of_networks_trains_no_preset_without_model(tmp_path, engine):
    for act in (lambda: kerasrl_runner.fit(TABLE, engine=engine, run_dir=tmp_path / "run"),
                lambda: build(TABLE, engine=engine)):  # fmt: skip
        with pytest.raises(PresetError, match=rf"model: missing.*{engine}.*--engine qtable"):
            act()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"env": {"id": "CartPole-v1"}}, rf"expected Discrete.* Box.*wrappers = .*{DISCRETIZE}"),
        ({"env": {"id": "kerasrl_runner.environments.blob:Blob-v0"}}, "MultiDiscrete needs no bi"),
        (
            {"env": {"id": "MountainCar-v0", "wrappers": [{DISCRETIZE: {"bins": [10_000] * 2}}]}},
            r"100,000,000 observations × 3 actions is too large.*fewer bins",
        ),
        (
            {"policy": {"BoltzmannGumbelQPolicy": {}}},
            "BoltzmannGumbelQPolicy: .* Change the policy",
        ),
    ],
)
def test_what_has_no_table_is_refused_by_name(sections, words):
    changed = {"policy": {"GreedyQPolicy": {}}, **sections}
    with pytest.raises(PresetError, match=words):
        build(TABLE, engine="qtable", **changed)


def test_a_model_is_not_ignored():
    with pytest.raises(
        PresetError, match=r"^model: .*qtable has no network.*such as cartpole-table"
    ):
        build("cartpole-kerasrl", engine="qtable", env={"id": "FrozenLake-v1"})


@pytest.mark.parametrize(
    "override",
    ["memory.limit=60_000", "memory.window_length=2", "agent.batch_size=64",
     "agent.enable_double_dqn=true", "agent.target_model_update=100", "optimizer.Adam.epsilon=0.1",
     "optimizer.SGD.learning_rate=0.1"],
)  # fmt: skip
def test_a_setting_that_a_table_does_not_have_is_not_ignored(override):
    key = override.partition("=")[0]
    with pytest.raises(PresetError, match="for a table, where this changes nothing") as refused:
        load_preset(TABLE, [override])
    assert f": {'optimizer' if 'optimizer' in key else key}: " in str(refused.value)


def test_a_table_s_learning_rate_is_none_of_a_network(write_preset):
    with pytest.raises(PresetError, match=r"optimizer\.Adam\.learning_rate"):
        load_preset("cartpole-kerasrl", ["agent.learning_rate=0.1"])
    short = write_preset("[fit]\nnb_steps = 10\n", base='[env]\nid = "FrozenLake-v1"\n')
    assert load_preset(short).model is None  # a warm-up of 1,000 is no table's


def test_an_observation_beyond_the_space_is_the_environment_s_failure():
    preset = load_preset(TABLE, sections={"env": {"id": "gyms:Saying-v0"}})
    for said in (2, -1, 0.5, "one"):
        changed = preset.env.model_copy(update={"kwargs": {"observation": said}})
        learner = build_learner(preset.model_copy(update={"env": changed}), 0, "qtable")
        with pytest.raises(kerasrl_runner.errors.EnvironmentFailed, match="observation"):
            learner.train(5, [])


def test_an_unknown_engine_comes_before_all_else():
    with pytest.raises(UsageError, match='mean "qtable"'):
        build(TABLE, engine="qtables")
