"""Preset files: the frozen data, how they are read, and what cannot go together. No TensorFlow."""

from kerasrl_runner.preset.read import known_presets, load_preset, preset_from_toml, preset_to_toml
from kerasrl_runner.preset.schema import Preset

__all__ = ["Preset", "known_presets", "load_preset", "preset_from_toml", "preset_to_toml"]
