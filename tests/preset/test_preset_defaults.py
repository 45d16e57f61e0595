"""What a preset says where it says nothing, and what single values it takes."""

from __future__ import annotations

import math

import pytest

from kerasrl_runner.errors import PresetError
from kerasrl_runner.preset import Preset, load_preset
from kerasrl_runner.preset.names import REFUSED_KEYS


def test_env_and_model_alone_are_a_preset(write_preset):
    preset = load_preset(write_preset())
    assert preset.model_dump(exclude_none=True) == {
        "name": "mine",
        "description": "",
        "env": {
            "id": "CartPole-v1",
            "kwargs": {},
            "wrappers": (),
            "observation_scale": 1.0,
            "reward_scale": 1.0,
            "action_mask": False,
        },
        "model": {"layers": ({"Dense": {"units": 4, "activation": "relu"}},)},
        "memory": {"limit": 50_000, "window_length": 1},
        "policy": {"EpsGreedyQPolicy": {"eps": 0.1}},
        "agent": {
            "gamma": 0.99,
            "batch_size": 32,
            "nb_steps_warmup": 1_000,
            "train_interval": 1,
            "gradient_steps": 1,
            "n_steps": 1,
            "target_model_update": 10_000,
            "target_network": True,
            "delta_clip": math.inf,
            "enable_double_dqn": False,
            "enable_dueling_network": False,
            "dueling_type": "avg",
        },
        "optimizer": {"Adam": {"learning_rate": 1e-3}},
        "fit": {"nb_steps": 50_000},
        "evaluate": {"every_steps": 5_000, "episodes": 5, "nb_max_episode_steps": 10_000},
        "test": {"nb_episodes": 5, "nb_max_episode_steps": 10_000},
    }


def test_a_preset_is_frozen(write_preset):
    preset = load_preset(write_preset())
    with pytest.raises(ValueError, match="frozen"):
        preset.agent.gamma = 0.5


def test_a_preset_knows_the_folder_it_lay_in(write_preset, tmp_path):
    assert load_preset(write_preset()).folder == tmp_path


def test_a_missing_section_is_named(write_preset):
    with pytest.raises(PresetError, match=r"mine\.toml: env: missing"):
        load_preset(write_preset(base="[model]\nlayers = []\n"))


def test_every_missing_or_wrong_value_is_named_at_once(write_preset):
    path = write_preset('\n[agent]\ngamma = "high"\nbatch_size = 0\n')
    with pytest.raises(PresetError) as error:
        load_preset(path)
    assert str(error.value).splitlines() == [
        f"{path}, line 8: agent.gamma: expected a number, received 'high'.",
        f"{path}, line 9: agent.batch_size: expected greater than or equal to 1, received 0.",
    ]


WRONG = {
    "memory.limit=1.0": "expected an integer, received 1.0",
    "memory.limit=true": "expected an integer, received True",
    'agent.gamma="0.9"': "expected a number, received '0.9'",
    "agent.gamma=1.1": "expected less than or equal to 1, received 1.1",
    "agent.gamma=nan": "received nan",
    "agent.batch_size=0": "expected greater than or equal to 1, received 0",
    "agent.train_interval=0": "expected greater than or equal to 1, received 0",
    "agent.train_interval=episodes": "expected 'episode', received 'episodes'",
    "agent.target_model_update=0": "expected greater than 0, received 0",
    "agent.target_model_update=1.5": "a rate below 1 (soft) or a whole number",
    "agent.delta_clip=-1.0": "expected greater than 0, received -1.0",
    "agent.dueling_type=sum": "expected 'avg', 'max' or 'naive', received 'sum'",
    "agent.enable_double_dqn=1": "expected a boolean, received 1",
    "env.max_episode_steps=0": "expected greater than or equal to 1, received 0",
    "env.reward_clip=[1, -1]": "expected the lower limit first, received [1.0, -1.0]",
    "env.reward_clip=1": "expected a list, received 1",
    "env.terminal_reward=-inf": "received -inf",
    "fit.nb_episodes=0": "expected greater than or equal to 1, received 0",
    "fit.nb_steps=-5": "expected greater than or equal to 1, received -5",
    "test.nb_episodes=0": "expected greater than or equal to 1, received 0",
    "evaluate.every_steps=-1": "expected greater than or equal to 0, received -1",
    "policy.EpsGreedyQPolicy.eps=2.0": "expected less than or equal to 1, received 2.0",
    "policy.BoltzmannQPolicy.tau=0.0": "expected greater than 0, received 0.0",
    "optimizer.Adam.learning_rate=-0.1": "expected a number above 0 and below 1e6, received -0.1",
    "optimizer.Adam.learning_rate=fast": "expected a number above 0 and below 1e6, received 'fast'",
    "model.layers=dense": "expected a list, received 'dense'",
    "name=": "received ''",
}


@pytest.mark.parametrize("override", WRONG, ids=str)
def test_an_impossible_value_is_refused_with_what_was_expected(write_preset, override):
    key = override.partition("=")[0]
    with pytest.raises(PresetError) as error:
        load_preset(write_preset(), [override])
    message = str(error.value)
    assert WRONG[override] in message
    assert message.startswith(f"--set {override}: {key.partition('.')[0]}")


@pytest.mark.parametrize("key", REFUSED_KEYS, ids=str)
def test_a_key_of_the_libraries_that_presets_refuse_says_why(write_preset, key):
    with pytest.raises(PresetError) as error:
        load_preset(write_preset(), [f"{key}=1"])
    assert f"{key}: not in a preset: {REFUSED_KEYS[key]}." in str(error.value)


def test_the_refused_keys_hold_those_that_would_break_a_training():
    breaking = "fit.action_repetition fit.nb_max_start_steps agent.memory_interval env.render_mode"
    assert {*breaking.split(), "memory.ignore_episode_boundaries"} <= set(REFUSED_KEYS)


@pytest.mark.parametrize("name", ["../elsewhere", "a/b", "/tmp/x", "nul\\u0000"])
def test_a_name_that_could_be_no_folder_of_its_own_is_refused(write_preset, name):
    with pytest.raises(PresetError, match="name: "):
        load_preset(write_preset(), [f'name="{name}"'])


def test_presets_are_equal_by_what_they_say(write_preset):
    first, second = load_preset(write_preset()), load_preset(write_preset())
    assert first == second
    assert first != load_preset(write_preset(), ["agent.gamma=0.5"])
    assert first != Preset(name="mine", env={"id": "Taxi-v3"}, model={"layers": []})
