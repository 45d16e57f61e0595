"""`import kerasrl_runner` from a script of one's own."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest

import kerasrl_runner
from kerasrl_runner.errors import PresetError, RunnerError, WeightsError
from kerasrl_runner.weights.file import read_weights, write_weights

SHORT = {
    "agent": {"nb_steps_warmup": 50},
    "evaluate": {"every_steps": 60, "episodes": 2},
}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api") / "run"
    return kerasrl_runner.fit("cartpole", seed=2, steps=100, run_dir=folder, **SHORT)


def test_fit_trains_into_a_run_directory(result):
    assert (result.status, result.env_steps, result.seed) == ("finished", 100, 2)
    weights = read_weights(Path(result.weights))
    assert weights.attributes["env_steps"] == 100


def test_fit_takes_sections_and_refuses_unknown_ones(result):
    assert "nb_steps_warmup = 50" in read_weights(Path(result.weights)).attributes["preset"]
    with pytest.raises(PresetError, match=r'agents: unknown key\. Did you mean "agent"'):
        kerasrl_runner.fit("cartpole", agents={"gamma": 0.5})


def test_test_plays_what_fit_left(result):
    tested = kerasrl_runner.test(run=result.run, episodes=3, seed=1)
    assert tested.preset == "cartpole"
    assert len(tested.score.episodes) == 3
    again = kerasrl_runner.test(weights=result.best["weights"], episodes=3, seed=1)
    assert again.score == tested.score


def test_build_gives_an_agent_that_is_ready_to_fit():
    environment, agent = kerasrl_runner.build("cartpole", seed=1, **SHORT)
    history = agent.fit(environment, 80, verbose=0)
    assert agent.step == 80
    assert sum(history.history["nb_episode_steps"]) <= 80
    environment.close()


def test_build_makes_the_same_agent_from_the_same_seed():
    q_values = []
    for seed in (1, 1, 2):
        environment, agent = kerasrl_runner.build("cartpole", seed=seed)
        q_values.append(agent.compute_q_values([np.ones(4, np.float32)]))
        environment.close()
    np.testing.assert_array_equal(q_values[0], q_values[1])
    assert not np.array_equal(q_values[0], q_values[2])


def test_a_preset_can_be_loaded_changed_and_built(write_preset):
    preset = kerasrl_runner.load_preset(write_preset(), sections={"env": {"id": "Acrobot-v1"}})
    environment, agent = kerasrl_runner.build(preset)
    assert agent.nb_actions == 3
    environment.close()
    with pytest.raises(TypeError, match="overrides go with a preset's name"):
        kerasrl_runner.build(preset, agent={"gamma": 0.5})


@pytest.mark.parametrize("dueling", [False, True])
def test_load_model_of_raw_observations_is_the_agent_on_scaled_ones(tmp_path, dueling):
    environment, agent = kerasrl_runner.build(
        "cartpole", agent={"nb_steps_warmup": 50, "enable_dueling_network": dueling}
    )
    agent.fit(environment, 80, verbose=0)
    exported = agent.exported_weights()
    text = kerasrl_runner.preset.preset_to_toml(kerasrl_runner.load_preset("cartpole"))
    attributes = {**exported.attributes, "preset": text}
    path = tmp_path / "mine.h5"
    write_weights(
        path, type(exported)(exported.layers, exported.config, attributes), overwrite=False
    )

    environment = gymnasium.make("CartPole-v1")
    raw = np.stack([environment.reset(seed=seed)[0] for seed in range(5)])  # [5, 4]
    environment.close()
    scaled = raw * np.array([0.4166667, 0.5, 4.7619048, 0.5], np.float32)  # [5, 4]
    expected = agent.compute_batch_q_values([[row] for row in scaled])  # [5, 2]

    model = kerasrl_runner.load_model(path)
    assert model.input_shape == (None, 1, 4)
    received = model.predict(raw[:, None], verbose=0)  # [5, 2]
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)
    again = agent.compute_batch_q_values([[row] for row in scaled])
    np.testing.assert_array_equal(again, expected)


def test_load_model_of_a_file_that_does_not_say_its_architecture_is_refused(tmp_path, result):
    weights = read_weights(Path(result.weights))
    write_weights(tmp_path / "plain.h5", type(weights)(weights.layers, None, {}), overwrite=False)
    with pytest.raises(WeightsError, match="weights alone"):
        kerasrl_runner.load_model(tmp_path / "plain.h5")


def test_every_refusal_is_of_one_family(tmp_path):
    with pytest.raises(RunnerError):
        kerasrl_runner.fit("cartpol")
    with pytest.raises(RunnerError):
        kerasrl_runner.test(weights=tmp_path / "nothing.h5")
    with pytest.raises(RunnerError):
        kerasrl_runner.load_model(tmp_path / "nothing.h5")


def test_the_public_names():
    assert kerasrl_runner.__all__ == ["build", "fit", "load_model", "load_preset", "resume", "test"]
    assert all(callable(getattr(kerasrl_runner, name)) for name in kerasrl_runner.__all__)
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        kerasrl_runner.train  # noqa: B018
