"""The names that presets may use are those of the installed libraries."""

from __future__ import annotations

import inspect

import pytest

from kerasrl_runner.preset import names
from kerasrl_runner.preset.schema import Optimizer, Policy


@pytest.fixture(scope="module")
def vendor():
    from kerasrl_runner import vendor

    return vendor


def classes_of(module, base) -> set[str]:
    """The names of the base's subclasses in a module."""
    return {
        name
        for name, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, base) and found is not base
    }


def test_layers_are_known_to_keras_by_these_names_and_no_others(vendor):
    """A file that Keras writes holds a layer's own name, not its alias."""
    layers = vendor.keras.layers
    assert set(names.KERAS_LAYERS) <= classes_of(layers, layers.Layer)
    assert [name for name in names.KERAS_LAYERS if getattr(layers, name).__name__ != name] == []


def test_learning_rate_schedules_are_all_of_keras(vendor):
    schedules = vendor.keras.optimizers.schedules
    known = classes_of(schedules, schedules.LearningRateSchedule)
    assert set(names.LEARNING_RATE_SCHEDULES) == known


def test_optimizers_are_those_with_a_legacy_twin(vendor):
    new, old = vendor.keras.optimizers, vendor.keras.optimizers.legacy
    both = classes_of(new, new.Optimizer) & classes_of(old, old.Optimizer)
    assert set(Optimizer.model_fields) == both


def test_policies_are_all_of_keras_rl_but_the_one_on_probabilities(vendor):
    policies = classes_of(vendor.rl_policy, vendor.rl_policy.Policy)
    assert policies - set(Policy.model_fields) == {"SoftmaxPolicy"}
