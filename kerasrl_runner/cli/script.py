"""`kerasrl-run script`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import click


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--explain", is_flag=True, help="Say what to change in the script, run nothing.")
@click.argument("script", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(explain: bool, script: Path, arguments: tuple[str, ...]) -> Callable[[], None] | None:
    """Run a keras-rl script of 2019, unchanged, with its own arguments."""
    from kerasrl_runner.old_scripts.running import explain_script, run_script

    if explain:
        click.echo(explain_script(script))
        return None
    # Signals are the script's own business, so it runs once the command has ended.
    return functools.partial(run_script, script, arguments)
