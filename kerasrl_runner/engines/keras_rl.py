"""Engine `keras-rl`: the vendor's own arithmetic, the yardstick."""

from __future__ import annotations

from kerasrl_runner.agents.keras_rl import VendorDQNAgent
from kerasrl_runner.engines.keras_agents import KerasLearner, build_keras_agent
from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.errors import PresetError
from kerasrl_runner.preset.schema import Preset


def build_learner(preset: Preset, environment: KerasRLEnvironment, seed: int) -> KerasLearner:
    """The preset's learner. Raises PresetError for settings that it cannot take."""
    if preset.agent.gradient_steps > 1:
        raise PresetError(
            f"agent.gradient_steps: engine keras-rl updates once at a time; expected 1, received "
            f"{preset.agent.gradient_steps}. Use --engine compiled."
        )
    if preset.env.action_mask:
        raise PresetError(
            "env.action_mask: engine keras-rl knows no illegal actions; expected false. "
            "Use --engine compiled or reference."
        )
    if preset.agent.n_steps > 1:
        raise PresetError(
            f"agent.n_steps: engine keras-rl looks one env step ahead; expected 1, received "
            f"{preset.agent.n_steps}. Use --engine compiled or reference."
        )
    if preset.priority:
        raise PresetError(
            "memory.priority: engine keras-rl draws all transitions alike; expected no such table. "
            "Use --engine compiled or reference."
        )
    agent = build_keras_agent(VendorDQNAgent, preset, environment, seed)
    return KerasLearner(environment, agent)
