"""Engine `keras-rl`: the vendor's own arithmetic, the yardstick."""

from __future__ import annotations

from kerasrl_runner.agents.keras_rl import VendorDQNAgent
from kerasrl_runner.engines.keras_agents import KerasLearner, build_keras_agent
from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.errors import PresetError
from kerasrl_runner.preset.schema import Preset


def build_learner(preset: Preset, environment: KerasRLEnvironment, seed: int) -> KerasLearner:
    """The preset's learner. Raises PresetError for settings that it cannot take."""
    refused = {
        "agent.gradient_steps": preset.agent.gradient_steps > 1,
        "agent.n_steps": preset.agent.n_steps > 1,
        "memory.priority": preset.memory.priority is not None,
        "env.action_mask": preset.env.action_mask,
    }
    for key in (key for key, is_used in refused.items() if is_used):
        raise PresetError(
            f"{key}: engine keras-rl does not have this. Leave it out, or use --engine compiled or "
            f"reference."
        )
    agent = build_keras_agent(VendorDQNAgent, preset, environment, seed)
    return KerasLearner(environment, agent)
