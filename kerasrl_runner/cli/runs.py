"""`kerasrl-run runs`."""

from __future__ import annotations

import json
from typing import Any

import click

from kerasrl_runner.files.places import runs_folder
from kerasrl_runner.files.run_directory import all_runs
from kerasrl_runner.files.run_record import RunRecord

_COLUMNS = ("status", "preset", "engine", "seed", "env_steps", "best")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, nothing else.")
def command(as_json: bool) -> None:
    """List the runs of the runs folder, newest first."""
    rows = [{"run": run.path.name, **summarize_record(record)} for run, record in all_runs()]
    if as_json:
        click.echo(json.dumps({"folder": str(runs_folder()), "runs": rows}, allow_nan=False))
        return
    if not rows:
        click.echo(f"There are no runs in {runs_folder()}. Begin one: kerasrl-run fit")
        return
    titles = ("run", *(name.replace("_", " ") for name in _COLUMNS))
    table = [titles, *(tuple(map(format_cell, row.values())) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(titles))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def summarize_record(record: RunRecord) -> dict[str, Any]:
    """The listed values of a run."""
    summary = {name: getattr(record, name) for name in _COLUMNS}
    return {**summary, "best": record.best.mean_return if record.best else None}


def format_cell(value: Any) -> str:
    """A value as the table shows it."""
    if isinstance(value, float):
        return f"{value:.1f}"
    return "-" if value is None else str(value)
