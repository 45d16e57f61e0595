"""The script that `test` prints: how to use a weights file without this project."""

from __future__ import annotations

from pathlib import Path

from gymnasium import spaces

from kerasrl_runner.preset import Preset
from kerasrl_runner.preset.modules import layer_modules_of


def reuse_script(path: Path, preset: Preset, observation_space: spaces.Space) -> str:
    """Python code from a weights file to an action, to be run as it is.

    Keras alone loads the file, unless its network has a layer that is not Keras' own.

    Args:
        observation_space: the environment's; a Discrete or MultiDiscrete one becomes one-hot.
    """
    modules = sorted(layer_modules_of(preset))
    has_own_head = preset.agent.enable_dueling_network and preset.agent.dueling_type == "max"
    if modules or has_own_head:
        library, loading = "kerasrl_runner", f"kerasrl_runner.load_model({str(path)!r})"
    else:
        library, loading = "keras", f"keras.models.load_model({str(path)!r}, compile=False)"
    keywords = dict(preset.env.kwargs)
    if preset.env.max_episode_steps is not None:
        keywords["max_episode_steps"] = preset.env.max_episode_steps
    arguments = [repr(preset.env.id), *(f"{name}={value!r}" for name, value in keywords.items())]
    wrapping = []
    for wrapper in preset.env.wrappers:
        module, _, name = wrapper.name.partition(":")
        modules.append(module)
        given = "".join(f", {key}={value!r}" for key, value in wrapper.arguments.items())
        wrapping.append(f"environment = {module}.{name}(environment{given})")
    encoding = []
    if isinstance(observation_space, spaces.Discrete | spaces.MultiDiscrete):
        encoding = [
            "observation = gymnasium.spaces.flatten(environment.observation_space, observation)"
            "  # one-hot"
        ]
    info, action = "_", "action = q_values.argmax()"
    if preset.env.action_mask:
        info = "info"
        action = 'action = np.where(info["action_mask"], q_values, -np.inf).argmax()  # a legal one'
    imports = ["gymnasium", library, "numpy as np", *dict.fromkeys(modules)]
    stacking = ["state = np.array([observation])  # [window, *observation]"]
    window = preset.memory.window_length
    if window > 1:
        imports.insert(0, "collections")
        stacking = [
            f"frames = collections.deque([np.zeros_like(observation)] * {window}, {window})",
            "frames.append(observation)  # and the next one after each step",
            "state = np.array(frames)  # [window, *observation]",
        ]
    return "\n".join(
        [
            *(f"import {module}" for module in imports),
            "",
            f"model = {loading}",
            f"environment = gymnasium.make({', '.join(arguments)})",
            *wrapping,
            f"observation, {info} = environment.reset()",
            *encoding,
            *stacking,
            "q_values = model.predict(state[None], verbose=0)[0]  # [actions]",
            action,
        ]
    )
