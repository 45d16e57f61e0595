"""Finding, reading, extending and overriding preset files."""

from __future__ import annotations

import pytest

from kerasrl_runner.errors import PresetError
from kerasrl_runner.preset import (
    known_presets,
    load_preset,
    preset_from_toml,
    preset_to_toml,
)


@pytest.mark.parametrize("name", known_presets())
def test_a_shipped_preset_reads_and_its_resolved_text_reads_back_equal(name):
    preset = load_preset(name)
    assert preset.name == name
    assert preset.description
    assert preset_from_toml(preset_to_toml(preset)) == preset


def test_an_unknown_name_gets_the_nearest_and_the_list():
    with pytest.raises(PresetError) as error:
        load_preset("cartpol")
    assert str(error.value).startswith(
        'there is no preset called "cartpol". Did you mean "cartpole"? '
        f"Known: {', '.join(known_presets())}."
    )


@pytest.mark.parametrize("file", ["nothing.toml", "x" * 300 + ".toml", "~nobody-there/x.toml"])
def test_a_file_that_is_not_there_is_named(file):
    with pytest.raises(PresetError, match="there is no preset file"):
        load_preset(file)


def test_broken_toml_names_file_and_line(write_preset):
    path = write_preset("gamma ==\n")
    with pytest.raises(PresetError) as error:
        load_preset(path)
    assert str(error.value).startswith(f"{path}: this is not TOML: ")
    assert "at line 6" in str(error.value)


@pytest.mark.parametrize("value", ["9" * 5_000, "[" * 5_000])
def test_a_value_that_the_toml_reader_gives_up_on_is_refused(write_preset, value):
    with pytest.raises(PresetError, match=r"mine\.toml: "):
        load_preset(write_preset(f"\n[env.kwargs]\nx = {value}\n"))


def test_a_byte_order_mark_as_notepad_writes_it_is_skipped(write_preset):
    path = write_preset("\n[agent]\ngamma = 0.5\n")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_preset(path).agent.gamma == 0.5


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "picture.toml"
    path.write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(PresetError, match=r"cannot read .*picture\.toml: .* TOML file in UTF-8"):
        load_preset(path)


def test_an_unknown_key_names_line_nearest_and_known_keys(write_preset):
    path = write_preset("\n[agent]\ngamma = 0.9\nbatchsize = 4\n")
    with pytest.raises(PresetError) as error:
        load_preset(path)
    assert str(error.value) == (
        f'{path}, line 9: agent.batchsize: unknown key. Did you mean "batch_size"? Known here: '
        "gamma, batch_size, nb_steps_warmup, train_interval, gradient_steps, "
        "n_steps, target_model_update, target_network, delta_clip, enable_double_dqn, "
        "enable_dueling_network, dueling_type, learning_rate."
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\n[agents]\n", r'line 7: agents: unknown key\. Did you mean "agent"\?.*extends'),
        (  # the line is the table's
            "\n[policy]\nEpsGreedyQPolicy = { epsilon = 0.1 }\n",
            r"line 8: policy\.EpsGreedyQPolicy\.epsilon: unknown",
        ),
    ],
)
def test_an_unknown_section_or_key_of_an_inline_table_names_its_line(write_preset, text, words):
    with pytest.raises(PresetError, match=words):
        load_preset(write_preset(text))


def test_extends_a_shipped_preset(write_preset):
    path = write_preset(base='extends = "cartpole"\n[agent]\ngamma = 0.5\n')
    shipped, mine = load_preset("cartpole"), load_preset(path)
    assert mine.agent == shipped.agent.model_copy(update={"gamma": 0.5})
    assert (mine.env, mine.model, mine.policy) == (shipped.env, shipped.model, shipped.policy)
    assert mine.name == "mine"


def test_extends_a_file_beside_it(write_preset, monkeypatch, tmp_path_factory):
    write_preset("\n[memory]\nlimit = 2_222\n", name="base")
    path = write_preset(base='extends = "base.toml"\n[agent]\ngamma = 0.5\n')
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert load_preset(path).memory.limit == 2_222
    assert load_preset(path).agent.gamma == 0.5


def test_a_problem_of_the_extended_file_is_reported(write_preset):
    write_preset("\n[memory]\nlimits = 2_222\n", name="base")
    with pytest.raises(PresetError, match=r"memory\.limits: unknown key"):
        load_preset(write_preset(base='extends = "base.toml"\n'))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("3", "extends: expected a preset's name or file"),
        ("['cartpole']", "extends: expected a preset's name or file"),
        ('"cartpol"', 'no preset called "cartpol"'),
        ('"sub/../mine.toml"', "in a circle"),
    ],
)
def test_extending_what_is_no_other_preset_is_refused(write_preset, tmp_path, value, words):
    (tmp_path / "sub").mkdir()
    with pytest.raises(PresetError, match=words):
        load_preset(write_preset(base=f"extends = {value}\n"))


def test_a_circle_is_refused(write_preset):
    write_preset(base='extends = "b.toml"\n', name="a")
    path = write_preset(base='extends = "a.toml"\n', name="b")
    with pytest.raises(PresetError, match=r"in a circle: .*b\.toml -> .*a\.toml -> .*b\.toml\."):
        load_preset(path)


def test_a_section_of_one_table_is_replaced_by_another_kind(write_preset):
    path = write_preset(
        base='extends = "cartpole"\n[policy.BoltzmannQPolicy]\n[optimizer.SGD]\nmomentum = 0.9\n'
    )
    preset = load_preset(path)
    assert preset.policy.chosen[0] == "BoltzmannQPolicy"
    assert preset.optimizer.chosen == ("SGD", {"momentum": 0.9})


def test_a_section_of_one_table_is_laid_over_the_same_kind(write_preset):
    path = write_preset(base='extends = "cartpole"\n[policy.LinearAnnealedPolicy]\nnb_steps = 7\n')
    annealed = load_preset(path).policy.chosen[1]
    assert (annealed.nb_steps, annealed.value_min) == (7, 0.05)


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("agent.gamma=0.95", 0.95),
        ("memory.limit=3_000", 3_000),
        ("agent.enable_double_dqn=true", True),
        ("agent.dueling_type=max", "max"),
        ('description="two words"', "two words"),
        ("description=two words", "two words"),
        ("env.id=module:Id-v0", "module:Id-v0"),
        ("env.kwargs={ sutton_barto_reward = true }", {"sutton_barto_reward": True}),
        ("env.observation_scale=[1.0, 2.0, 3.0, 4.0]", (1.0, 2.0, 3.0, 4.0)),
        ("evaluate.stop_at_return = 100.0", 100.0),
    ],
)
def test_set_is_typed_by_the_same_check_and_bare_words_are_strings(override, value):
    found = load_preset("cartpole", [override])
    for name in override.partition("=")[0].strip().split("."):
        found = getattr(found, name)
    assert (type(found), found) == (type(value), value)


def test_the_last_set_wins():
    assert load_preset("cartpole", ["agent.gamma=0.1", "agent.gamma=0.2"]).agent.gamma == 0.2


def test_set_of_another_policy_replaces_the_whole():
    preset = load_preset("cartpole", ["policy.EpsGreedyQPolicy.eps=0.2"])
    assert preset.policy.chosen[0] == "EpsGreedyQPolicy"
    assert preset.policy.EpsGreedyQPolicy.eps == 0.2
    assert preset.policy.LinearAnnealedPolicy is None


def test_set_of_another_inner_policy_and_learning_rate_replaces_them():
    inner = "policy.LinearAnnealedPolicy.inner_policy.MaxBoltzmannQPolicy.tau=2.0"
    rate = "optimizer.Adam.learning_rate.ExponentialDecay.decay_rate=0.9"
    preset = load_preset("cartpole", [inner, rate])
    assert preset.policy.chosen[1].inner_policy.chosen[0] == "MaxBoltzmannQPolicy"
    assert preset.optimizer.Adam["learning_rate"] == {"ExponentialDecay": {"decay_rate": 0.9}}


def test_a_wrong_set_is_named_as_it_was_typed():
    with pytest.raises(PresetError) as error:
        load_preset("cartpole", ["agent.gamma=high"])
    assert str(error.value) == (
        "--set agent.gamma=high: agent.gamma: expected a number, received 'high'."
    )


@pytest.mark.parametrize("override", ["agent.gamma", "=1", "agent..gamma=1", ""])
def test_set_without_key_or_value_is_refused(override):
    with pytest.raises(PresetError, match="expected KEY=VALUE"):
        load_preset("cartpole", [override])


def test_sections_are_laid_over_the_file():
    preset = load_preset("cartpole", sections={"agent": {"gamma": 0.5}, "fit": {"nb_steps": 9_000}})
    assert (preset.agent.gamma, preset.agent.batch_size) == (0.5, 32)
    assert preset.fit.nb_steps == 9_000


def test_the_classic_walk_through_exactly():
    preset = load_preset("cartpole-kerasrl")
    assert (preset.env.id, preset.env.max_episode_steps) == ("CartPole-v1", 200)
    assert (preset.env.observation_scale, preset.env.reward_scale) == (1.0, 1.0)
    assert [(layer.name, layer.arguments) for layer in preset.model.layers] == [
        ("Flatten", {}),
        ("Dense", {"units": 16, "activation": "relu"}),
    ]
    assert (preset.memory.limit, preset.memory.window_length) == (50_000, 1)
    assert preset.policy.chosen[0] == "EpsGreedyQPolicy"
    assert preset.policy.chosen[1].eps == 0.1
    assert preset.agent.model_dump() == {
        "gamma": 0.99,
        "batch_size": 32,
        "nb_steps_warmup": 10,
        "train_interval": 1,
        "gradient_steps": 1,
        "n_steps": 1,
        "target_model_update": 1e-2,
        "target_network": True,
        "delta_clip": float("inf"),
        "enable_double_dqn": False,
        "enable_dueling_network": False,
        "dueling_type": "avg",
        "learning_rate": None,
    }
    assert preset.optimizer.chosen == ("Adam", {"learning_rate": 1e-3})
    assert (preset.fit.nb_steps, preset.test.nb_episodes) == (5_000, 5)
