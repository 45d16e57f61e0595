"""`kerasrl-run runs`."""

from __future__ import annotations

import json
from typing import Any

import click

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
    titles = [name.replace("_", " ") for name in rows[0]]
    table = [titles, *([_format_cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def _format_cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.1f}"
    return "-" if value is None else str(value)
