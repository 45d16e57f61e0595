"""`kerasrl-run runs`."""

from __future__ import annotations

import json

import click

from kerasrl_runner.cli.output import print_table
from kerasrl_runner.files.places import runs_folder
from kerasrl_runner.files.run_directory import all_runs

_COLUMNS = ("status", "preset", "engine", "seed", "env_steps")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, nothing else.")
def command(as_json: bool) -> None:
    """List the runs of the runs folder, newest first."""
    rows = []
    for run, record in all_runs():
        columns = record.model_dump(include=set(_COLUMNS))
        best = record.best.mean_return if record.best else None
        rows.append({"run": run.path.name, **columns, "best": best})
    if as_json:
        click.echo(json.dumps({"folder": str(runs_folder()), "runs": rows}, allow_nan=False))
        return
    if not rows:
        click.echo(f"There are no runs in {runs_folder()}. Begin one: kerasrl-run fit")
        return
    print_table(rows)
