"""The script that `test` prints: how to use a weights file without this project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kerasrl_runner.preset import Preset
from kerasrl_runner.preset.modules import modules_of


def reuse_script(path: Path, preset: Preset, observation_space: Any) -> str:
    """Python code, to be run as it is, from a weights file to an action.

    Keras alone loads the file, but for layers that are not Keras' own.

    Args:
        observation_space: the environment's; other than Box and MultiBinary it becomes one-hot.
    """
    own_modules = sorted(modules_of(preset) - {preset.env.id.partition(":")[0]})
    keeps_own_head = preset.agent.enable_dueling_network and preset.agent.dueling_type == "max"
    needs_own_layers = bool(own_modules) or keeps_own_head
    window = preset.memory.window_length
    is_discrete = type(observation_space).__name__ in ("Discrete", "MultiDiscrete")
    loading = "kerasrl_runner.load_model" if needs_own_layers else "keras.models.load_model"
    arguments = [repr(preset.env.id)]
    if preset.env.max_episode_steps is not None:
        arguments.append(f"max_episode_steps={preset.env.max_episode_steps}")
    arguments += [f"{key}={value!r}" for key, value in preset.env.kwargs.items()]
    lines = [
        "import collections" if window > 1 else "",
        "import gymnasium",
        "import kerasrl_runner" if needs_own_layers else "import keras",
        "import numpy as np",
        *(f"import {module}" for module in own_modules),
        f"model = {loading}({str(path)!r}{'' if needs_own_layers else ', compile=False'})",
        f"environment = gymnasium.make({', '.join(arguments)})",
        "observation, _ = environment.reset()",
        "observation = gymnasium.spaces.flatten(environment.observation_space, observation)"
        "  # one-hot"
        if is_discrete
        else "",
    ]
    if window > 1:
        lines += [
            f"window = collections.deque([np.zeros_like(observation)] * {window}, {window})",
            "window.append(observation)  # each step's, one-hot like the first"
            if is_discrete
            else "window.append(observation)  # each step's",
            "state = np.array(window)  # [window, *observation]",
        ]
    else:
        lines.append("state = np.array([observation])  # [1, *observation]")
    lines += [
        "q_values = model.predict(state[None], verbose=0)[0]  # [actions]",
        "action = q_values.argmax()",
    ]
    return "\n".join(line for line in lines if line)
