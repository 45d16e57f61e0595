"""The names that presets may use are those of the installed libraries."""

from __future__ import annotations

import json

import pytest
from commands import python

from kerasrl_runner.preset import names
from kerasrl_runner.preset.schema import Optimizer, Policy

# Layers with several inputs, with no input or with text, cells and base classes.
NOT_FOR_A_SEQUENTIAL = set(
    """
    AbstractRNNCell Add AdditiveAttention Attention Average Concatenate DenseFeatures Dot GRUCell
    HashedCrossing Hashing InputLayer IntegerLookup LSTMCell Lambda Layer Maximum Minimum
    MultiHeadAttention Multiply RNN SimpleRNNCell StackedRNNCells StringLookup Subtract
    TextVectorization Wrapper
    """.split()
)

ASK = """
import inspect, json
from kerasrl_runner.vendor import keras, rl_policy
def of(module, base):
    found = inspect.getmembers(module, inspect.isclass)
    return [name for name, kind in found if issubclass(kind, base) and kind is not base]
optimizers = keras.optimizers
print(json.dumps({
    "layers": of(keras.layers, keras.layers.Layer),
    "schedules": of(optimizers.schedules, optimizers.schedules.LearningRateSchedule),
    "optimizers": of(optimizers, optimizers.Optimizer),
    "legacy": of(optimizers.legacy, optimizers.legacy.Optimizer),
    "policies": of(rl_policy, rl_policy.Policy),
}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    return json.loads(python(ASK, tmp_path_factory.mktemp("names")))


def test_layers_are_all_that_a_sequential_can_hold(installed):
    layers = {*installed["layers"], "Layer"}
    assert set(names.KERAS_LAYERS) == layers - NOT_FOR_A_SEQUENTIAL
    assert layers >= NOT_FOR_A_SEQUENTIAL


def test_learning_rate_schedules_are_all_of_keras(installed):
    assert sorted(names.LEARNING_RATE_SCHEDULES) == installed["schedules"]


def test_optimizers_are_those_with_a_legacy_twin(installed):
    both = set(installed["optimizers"]) & set(installed["legacy"])
    assert set(Optimizer.model_fields) == both


def test_policies_are_all_of_keras_rl_but_the_one_on_probabilities(installed):
    assert {*Policy.model_fields, "SoftmaxPolicy"} == set(installed["policies"])
