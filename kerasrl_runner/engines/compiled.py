"""Engine `compiled`: keras-rl's agent, its update one XLA program."""

from __future__ import annotations

from functools import partial

from kerasrl_runner.agents.compiled import CompiledDQNAgent
from kerasrl_runner.engines.keras_agents import KerasLearner, build_keras_agent, set_threads
from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.preset.schema import Preset


def build_learner(preset: Preset, environment: KerasRLEnvironment, seed: int) -> KerasLearner:
    """The preset's learner. Raises PresetError for settings that it cannot take."""
    set_threads()
    settings = preset.agent
    agent_class = partial(
        CompiledDQNAgent,
        gradient_steps=settings.gradient_steps,
        target_network=settings.target_network,
        seed=seed,
    )
    return KerasLearner(environment, build_keras_agent(agent_class, preset, environment, seed))
