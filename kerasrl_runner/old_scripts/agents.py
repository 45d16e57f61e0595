"""The door's agents, for environments behind old gym's or keras-rl's own interface."""

from __future__ import annotations

import sys
from typing import Any

import gymnasium

from kerasrl_runner import keras_rl
from kerasrl_runner.environments.adapter import KerasRLEnvironment, as_keras_rl
from kerasrl_runner.errors import EngineRefusal
from kerasrl_runner.old_scripts.gym import NewInterface
from kerasrl_runner.vendor import tf


class _OldEnvironments:
    """Takes environments of the old interface, which callbacks see as they are."""

    @staticmethod
    def adapt(env: Any) -> KerasRLEnvironment:
        return as_keras_rl(env if isinstance(env, gymnasium.Env) else NewInterface(env))


class VendorDQNAgent(_OldEnvironments, keras_rl.VendorDQNAgent):
    """The vendor's update, for the models that the compiled one refuses."""


class _CompiledWherePossible(type):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        try:
            if not tf.executing_eagerly():
                raise EngineRefusal("the script's other agents need graph mode")
            return super().__call__(*args, **kwargs)
        except EngineRefusal as refusal:
            if cls is not DQNAgent:
                raise
            print(f"DQNAgent -> keras-rl's own update, since {refusal.reason}", file=sys.stderr)
            return VendorDQNAgent(*args, **kwargs)


class DQNAgent(_OldEnvironments, keras_rl.DQNAgent, metaclass=_CompiledWherePossible):
    """What `rl.agents.DQNAgent` is for a script."""
