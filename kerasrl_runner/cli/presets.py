"""`kerasrl-run presets`."""

from __future__ import annotations

import click

from kerasrl_runner.preset import known_presets, load_preset, preset_to_toml


@click.group()
def command() -> None:
    """List presets, or show one with every default."""


@command.command("list")
def list_presets() -> None:
    """The shipped presets."""
    for name in known_presets():
        click.echo(f"{name:24} {load_preset(name).description}")


@command.command("show")
@click.argument("preset")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one value.")
def show_preset(preset: str, overrides: tuple[str, ...]) -> None:
    """PRESET (a name or a .toml file) as it would run, in TOML."""
    click.echo(preset_to_toml(load_preset(preset, overrides)), nl=False)
