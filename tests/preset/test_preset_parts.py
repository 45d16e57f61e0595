"""Layers, policies and optimizers in a preset."""

from __future__ import annotations

import pytest

from kerasrl_runner.errors import PresetError
from kerasrl_runner.preset import load_preset

ANNEALED = """
[policy.LinearAnnealedPolicy]
inner_policy = {{ {inner} = {{}} }}
attr = "{attr}"
value_max = 1.0
value_min = 0.1
value_test = 0.0
nb_steps = 100
"""


def layers(text: str) -> str:
    return f'[env]\nid = "CartPole-v1"\n\n[model]\nlayers = [{text}]\n'


def test_lambda_is_refused_with_the_way_out(write_preset):
    path = write_preset(base=layers("{ Lambda = { function = 'print' } }"))
    with pytest.raises(PresetError) as error:
        load_preset(path)
    message = str(error.value)
    assert message.startswith(f"{path}, line 5: model.layers.0: Lambda layers carry code")
    assert '"module:Class"' in message


def test_a_misspelt_layer_gets_the_nearest_name(write_preset):
    path = write_preset(base=layers("{ Dense = { units = 4 } }, { dens = { units = 4 } }"))
    with pytest.raises(PresetError) as error:
        load_preset(path)
    assert f"{path}, line 5: model.layers.1: no Keras layer" in str(error.value)
    assert 'Did you mean "Dense"?' in str(error.value)


@pytest.mark.parametrize("name", ["Concatenate", "InputLayer", "LSTMCell", "Attention"])
def test_a_layer_that_no_sequential_can_hold_is_refused(write_preset, name):
    with pytest.raises(PresetError, match="no Keras layer for a Sequential"):
        load_preset(write_preset(base=layers(f"{{ {name} = {{}} }}")))


@pytest.mark.parametrize("text", ["{}", "{ Dense = { units = 4 }, Flatten = {} }"])
def test_a_table_holds_one_layer(write_preset, text):
    with pytest.raises(PresetError, match="expected one layer a table"):
        load_preset(write_preset(base=layers(text)))


DENSE = '{{ Dense = {{ units = 4, name = "{}" }} }}'.format


@pytest.mark.parametrize("name", ["mask", "q_values", "rescaling", "observation", "layer_0"])
def test_a_layer_name_that_is_given_already_is_refused(write_preset, name):
    with pytest.raises(
        PresetError, match=f'layers.0: the layer name "{name}" is given by keras-rl'
    ):
        load_preset(write_preset(base=layers(DENSE(name))))


@pytest.mark.parametrize("name", ["", ".", "/", "a/b", "9", "é"])
def test_a_layer_name_that_no_file_can_hold_is_refused(write_preset, name):
    with pytest.raises(PresetError, match=r"layers\.0: expected a layer name of letters"):
        load_preset(write_preset(base=layers(DENSE(name))))


def test_two_layers_of_one_name_are_refused(write_preset):
    with pytest.raises(PresetError, match='model: two layers are called "a"'):
        load_preset(write_preset(base=layers(f"{DENSE('a')}, {DENSE('b')}, {DENSE('a')}")))
    load_preset(write_preset(base=layers(f"{DENSE('a')}, {DENSE('b')}")))


@pytest.mark.parametrize("inner", ["Dence", "deserialize", "InputLayer"])
def test_a_wrapped_layer_is_one_of_keras(write_preset, inner):
    layer = f"{{ TimeDistributed = {{ layer = {{ {inner} = {{ units = 3 }} }} }} }}"
    with pytest.raises(PresetError, match=f'layers.0: no Keras layer .* called "{inner}"'):
        load_preset(write_preset(base=layers(layer)))


def test_a_layer_of_ones_own_is_left_to_the_building(write_preset):
    preset = load_preset(write_preset(base=layers('{ "mine:Layer" = { units = 3 } }')))
    assert [(entry.name, entry.arguments) for entry in preset.model.layers] == [
        ("mine:Layer", {"units": 3})
    ]


def test_a_misspelt_policy_gets_the_nearest_name_and_the_known_ones(write_preset):
    with pytest.raises(PresetError) as error:
        load_preset(write_preset("\n[policy.EpsGreedyPolicy]\n"))
    message = str(error.value)
    assert "line 7: policy.EpsGreedyPolicy: unknown key." in message
    assert 'Did you mean "EpsGreedyQPolicy"?' in message
    assert "BoltzmannGumbelQPolicy" in message


@pytest.mark.parametrize("section", ["policy", "optimizer"])
def test_two_tables_where_one_belongs_are_refused(write_preset, section):
    names = {"policy": ("EpsGreedyQPolicy", "GreedyQPolicy"), "optimizer": ("Adam", "SGD")}[section]
    tables = "".join(f"\n[{section}.{name}]\n" for name in names)
    with pytest.raises(PresetError) as error:
        load_preset(write_preset(tables))
    assert f"{section}: expected exactly one of " in str(error.value)
    assert f"received {' and '.join(names)}." in str(error.value)


@pytest.mark.parametrize(
    ("inner", "attr"),
    [
        ("EpsGreedyQPolicy", "eps"),
        ("BoltzmannQPolicy", "tau"),
        ("MaxBoltzmannQPolicy", "eps"),
        ("BoltzmannGumbelQPolicy", "C"),
    ],
)
def test_any_number_of_a_policy_can_be_annealed(write_preset, inner, attr):
    text = ANNEALED.format(inner=inner, attr=attr)
    name, annealed = load_preset(write_preset(text)).policy.chosen
    assert name == "LinearAnnealedPolicy"
    assert annealed.inner_policy.chosen[0] == inner
    assert annealed.attr == attr


def test_annealing_what_the_inner_policy_does_not_have_is_refused(write_preset):
    with pytest.raises(PresetError) as error:
        load_preset(write_preset(ANNEALED.format(inner="BoltzmannQPolicy", attr="eps")))
    message = str(error.value)
    assert 'attr = "eps" is nothing that BoltzmannQPolicy could anneal; expected tau' in message


def test_a_learning_rate_may_be_a_schedule(write_preset):
    text = "\n[optimizer.SGD.learning_rate.CosineDecay]\ninitial_learning_rate = 0.1\n"
    assert load_preset(write_preset(text)).optimizer.chosen == (
        "SGD",
        {"learning_rate": {"CosineDecay": {"initial_learning_rate": 0.1}}},
    )


def test_a_misspelt_schedule_gets_the_nearest_name(write_preset):
    text = "\n[optimizer.SGD.learning_rate.CosineDecays]\ninitial_learning_rate = 0.1\n"
    with pytest.raises(PresetError, match=r'received CosineDecays.*Did you mean "CosineDecay"\?'):
        load_preset(write_preset(text))


def test_a_misspelt_optimizer_gets_the_nearest_name(write_preset):
    with pytest.raises(PresetError, match=r'optimizer.adam: .*Did you mean "Adam"\?'):
        load_preset(write_preset("\n[optimizer.adam]\n"))
