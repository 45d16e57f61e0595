"""Whether a preset's environment can be shown."""

from __future__ import annotations

import os
from pathlib import Path

from kerasrl_runner.environments.make import render_modes
from kerasrl_runner.errors import EnvironmentFailed
from kerasrl_runner.parts.imports import make_importable
from kerasrl_runner.preset import Preset


def check_rendering(preset: Preset, render_mode: str | None) -> None:
    """Raises EnvironmentFailed where the preset's environment does not offer the mode."""
    make_importable([Path(os.getcwd()), preset.folder])
    if render_mode is None:
        return
    offered = render_modes(preset.env)
    if render_mode not in offered:
        raise EnvironmentFailed(
            f"{preset.env.id} cannot be shown: it offers the render modes "
            f"{', '.join(offered) or 'none'}, and {render_mode} is needed. Leave out --visualize."
        )
