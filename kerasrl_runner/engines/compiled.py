"""Engine `compiled`: keras-rl's agent, its update one XLA program."""

from __future__ import annotations

from functools import partial

from kerasrl_runner.agents.base import BaseDQNAgent
from kerasrl_runner.agents.compiled import CompiledDQNAgent
from kerasrl_runner.engines.keras_agents import KerasLearner, build_keras_agent, set_threads
from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.preset.schema import Preset


def build_agent(preset: Preset, environment: KerasRLEnvironment, seed: int) -> BaseDQNAgent:
    """The preset's agent. Raises PresetError for settings that it cannot take."""
    set_threads()
    agent_class = partial(CompiledDQNAgent, gradient_steps=preset.agent.gradient_steps, seed=seed)
    return build_keras_agent(agent_class, preset, environment, seed)


def build_learner(preset: Preset, environment: KerasRLEnvironment, seed: int) -> KerasLearner:
    """The preset's learner, its programs made. Raises PresetError as `build_agent`."""
    agent = build_agent(preset, environment, seed)
    assert isinstance(agent, CompiledDQNAgent)
    agent.prepare_learning()
    return KerasLearner(environment, agent)


def build_player(preset: Preset, environment: KerasRLEnvironment, seed: int) -> KerasLearner:
    """The preset's learner without programs of the training. Raises PresetError."""
    return KerasLearner(environment, build_agent(preset, environment, seed))
