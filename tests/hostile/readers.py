"""What a worker reads: presets and `--set`."""

from __future__ import annotations

from kerasrl_runner.preset import Preset, load_preset, preset_from_toml, preset_to_toml


def preset(name: str, overrides: list[str]) -> None:
    """A preset that is read says the same once it is written and read again."""
    _reads_back(load_preset(name, overrides))


def _reads_back(preset: Preset) -> None:
    assert "/" not in preset.name
    assert preset.name == preset.name.rstrip("\n")
    written = preset_to_toml(preset)
    again = preset_from_toml(written.encode("utf-8").decode("utf-8"))
    assert preset_to_toml(again) == written


LIGHT = {"preset": preset}
