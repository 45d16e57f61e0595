"""`kerasrl-run presets`."""

from __future__ import annotations

import json
from typing import Any

import click

from kerasrl_runner.cli.output import print_table
from kerasrl_runner.files.places import shipped_folder
from kerasrl_runner.preset import Preset, known_presets, load_preset, preset_to_toml
from kerasrl_runner.weights.file import read_weights


@click.group()
def command() -> None:
    """List presets, or show one with every default."""


@command.command("list")
def list_presets() -> None:
    """The shipped presets, with the scores that they were measured to reach.

    The score is the interquartile mean over seeds, with its 95% interval; weights/README.md says
    how it was measured. `presets show NAME` prints a preset.
    """
    scores = json.loads((shipped_folder("weights") / "scores.json").read_text("utf-8"))
    presets = {name: load_preset(name) for name in known_presets()}
    print_table(
        [
            {
                "preset": name,
                "task": preset.env.id.rpartition(":")[2],
                "network": _describe_network(preset),
                "budget": _describe_budget(preset),
                "score": _describe_score(name, scores),
                "": preset.description,
            }
            for name, preset in presets.items()
        ]
    )


def _describe_network(preset: Preset) -> str:
    """The widths of the layers that have one: "24-24"."""
    if preset.model is None:
        return "table"
    arguments = [layer.arguments for layer in preset.layers]
    widths = [found.get("units", found.get("filters")) for found in arguments]
    return "-".join(str(width) for width in widths if width is not None)


def _describe_budget(preset: Preset) -> str:
    if preset.fit.nb_episodes is not None:
        return f"{preset.fit.nb_episodes:,} episodes"
    return f"{preset.fit.nb_steps:,} steps"


def _describe_score(name: str, scores: dict[str, Any]) -> str | None:
    """The score over seeds; of a preset that was trained once, that of its shipped weights."""
    weights = shipped_folder("weights") / f"{name}.h5"
    if name in scores:
        mean, low, high = scores[name]["score"]
        return f"{mean:g} ({low:g} to {high:g}), {scores[name]['seeds']} seeds"
    if weights.exists():
        return f"{read_weights(weights).attributes['score']['mean_return']:g}, one run"
    return None


@command.command("show")
@click.argument("preset")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one value.")
def show_preset(preset: str, overrides: tuple[str, ...]) -> None:
    """PRESET (a name or a .toml file) as it would run, in TOML."""
    click.echo(preset_to_toml(load_preset(preset, overrides)), nl=False)
