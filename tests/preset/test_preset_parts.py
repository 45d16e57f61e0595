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


def dense(*names: str) -> str:
    return layers(", ".join(f'{{ Dense = {{ units = 4, name = "{name}" }} }}' for name in names))


def wrapped(name: str) -> str:
    return layers(f"{{ TimeDistributed = {{ layer = {{ {name} = {{ units = 3 }} }} }} }}")


START = layers("{ Dense = { units = 4 } }")
# What a preset holds, and the words that refuse it.
REFUSED: list[tuple[str, tuple[str, ...]]] = [
    (
        layers("{ Lambda = { function = 'print' } }"),
        ("mine.toml, line 5: model.layers.0: Lambda layers carry code", '"module:Class"'),
    ),
    (
        layers("{ Dense = { units = 4 } }, { dens = { units = 4 } }"),
        ("mine.toml, line 5: model.layers.1: no Keras layer", 'Did you mean "Dense"?'),
    ),
    *(
        (layers(f"{{ {name} = {{}} }}"), ("no Keras layer for a Sequential",))
        for name in ("Concatenate", "InputLayer", "LSTMCell", "Attention")
    ),
    (layers("{}"), ("expected one layer a table",)),
    (layers("{ Dense = { units = 4 }, Flatten = {} }"), ("expected one layer a table",)),
    *(
        (dense(name), (f'layers.0: the layer name "{name}" is given by keras-rl',))
        for name in ("mask", "q_values", "rescaling", "observation", "layer_0")
    ),
    *(
        (dense(name), ("layers.0: expected a layer name of letters",))
        for name in ("", ".", "/", "a/b", "9", "é")
    ),
    (dense("a", "b", "a"), ('model: two layers are called "a"',)),
    *(
        (wrapped(name), ("layers.0: no Keras layer ", f'called "{name}"'))
        for name in ("Dence", "deserialize", "InputLayer")
    ),
    (
        START + "\n[policy.EpsGreedyPolicy]\n",
        (
            "line 7: policy.EpsGreedyPolicy: unknown key.",
            'Did you mean "EpsGreedyQPolicy"?',
            "BoltzmannGumbelQPolicy",
        ),
    ),
    (
        START + "\n[policy.EpsGreedyQPolicy]\n[policy.GreedyQPolicy]\n",
        ("policy: expected exactly one of ", "received EpsGreedyQPolicy and GreedyQPolicy."),
    ),
    (
        START + "\n[optimizer.Adam]\n[optimizer.SGD]\n",
        ("optimizer: expected exactly one of ", "received Adam and SGD."),
    ),
    (
        START + ANNEALED.format(inner="BoltzmannQPolicy", attr="eps"),
        ('attr = "eps" is nothing that BoltzmannQPolicy could anneal; expected tau',),
    ),
    (
        START + "\n[optimizer.SGD.learning_rate.CosineDecays]\ninitial_learning_rate = 0.1\n",
        ("received CosineDecays", 'Did you mean "CosineDecay"?'),
    ),
    (START + "\n[optimizer.adam]\n", ("optimizer.adam: ", 'Did you mean "Adam"?')),
]


TAU = START + ANNEALED.format(inner="BoltzmannQPolicy", attr="tau")
EPS = START + ANNEALED.format(inner="EpsGreedyQPolicy", attr="eps")
REFUSED += [
    (TAU.replace("0.1", "0.0"), ("value_min is no tau of BoltzmannQPolicy", "greater than 0")),
    (EPS.replace("1.0", "5.0"), ("value_max is no eps of EpsGreedyQPolicy", "equal to 1")),
]
DECAYING = ANNEALED.replace("Linear", "Exponential").replace("nb_steps = 100", "factor = {factor}")
REFUSED += [
    (
        START + DECAYING.format(inner="BoltzmannQPolicy", attr="eps", factor=0.5),
        ('attr = "eps" is nothing that BoltzmannQPolicy could anneal', "expected tau"),
    ),
    (
        START
        + DECAYING.format(inner="EpsGreedyQPolicy", attr="eps", factor=0.5)
        .replace("1.0", "0.2")
        .replace("0.1", "0.3"),
        ("value_max = 0.2 is below value_min = 0.3",),
    ),
    *(
        (START + DECAYING.format(inner="EpsGreedyQPolicy", attr="eps", factor=factor), (words,))
        for factor, words in (
            (0.0, "ExponentialAnnealedPolicy.factor: expected greater than 0, received 0.0"),
            (1.01, "factor: expected less than or equal to 1, received 1.01"),
            ('0.5\nper = "step"', "per: expected 'env_step', 'learn_call' or 'episode'"),
        )
    ),
]


@pytest.mark.parametrize(("text", "words"), REFUSED, ids=[words[-1] for _, words in REFUSED])
def test_a_part_that_does_not_exist_or_fit_is_refused_in_words(write_preset, text, words):
    with pytest.raises(PresetError) as error:
        load_preset(write_preset(base=text))
    assert [word for word in words if word not in str(error.value)] == []


def test_a_layer_of_ones_own_is_left_to_the_building(write_preset):
    preset = load_preset(write_preset(base=layers('{ "mine:Layer" = { units = 3 } }')))
    assert [(entry.name, entry.arguments) for entry in preset.model.layers] == [
        ("mine:Layer", {"units": 3})
    ]


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


def test_decay_counts_env_steps_where_nothing_else_is_said(write_preset):
    text = DECAYING.format(inner="EpsGreedyQPolicy", attr="eps", factor=1.0)
    name, decaying = load_preset(write_preset(text)).policy.chosen
    assert (name, decaying.factor, decaying.per) == ("ExponentialAnnealedPolicy", 1.0, "env_step")


def test_a_learning_rate_may_be_a_schedule(write_preset):
    text = "\n[optimizer.SGD.learning_rate.CosineDecay]\ninitial_learning_rate = 0.1\n"
    assert load_preset(write_preset(text)).optimizer.chosen == (
        "SGD",
        {"learning_rate": {"CosineDecay": {"initial_learning_rate": 0.1}}},
    )
