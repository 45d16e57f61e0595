"""Engine `compiled`: keras-rl's agent, its update one XLA program."""

from __future__ import annotations

import math
import os
from functools import partial

from kerasrl_runner.agents.compiled import CompiledDQNAgent
from kerasrl_runner.engines.keras_agents import KerasLearner, build_keras_agent, set_threads
from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.preset.schema import Preset

# Values in a state from which convolutions are worth more than one thread: 32 x 32.
_SCREEN = 1 << 10


def build_learner(preset: Preset, environment: KerasRLEnvironment, seed: int) -> KerasLearner:
    """The preset's learner. Raises PresetError for settings that it cannot take."""
    set_threads(_choose_threads(preset, environment))
    settings = preset.agent
    agent_class = partial(
        CompiledDQNAgent,
        gradient_steps=settings.gradient_steps,
        n_steps=settings.n_steps,
        target_network=settings.target_network,
        seed=seed,
    )
    return KerasLearner(environment, build_keras_agent(agent_class, preset, environment, seed))


def _choose_threads(preset: Preset, environment: KerasRLEnvironment) -> int:
    """All cores of this process for convolutions over screens, else one.

    At the size of other DQNs more threads only wait for each other (benchmarks/README.md).
    """
    has_convolutions = any("Conv" in layer.name for layer in preset.layers)
    size = preset.memory.window_length * math.prod(environment.example().shape)
    return len(os.sched_getaffinity(0)) if has_convolutions and size >= _SCREEN else 1
