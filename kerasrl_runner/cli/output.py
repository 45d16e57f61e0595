"""The command's stdout: kept for one JSON object, or unable to take what is written."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click


def reserve_stdout(wanted: bool) -> Callable[[dict[str, Any]], None]:
    """Where `wanted`, keep stdout for one JSON object: all other output goes to stderr from now on.

    That holds for environments that print, for C libraries and for child processes, and until the
    process ends, since C writes its buffer only then.

    Returns:
        A function that writes the object.
    """
    stdout, kept = sys.stdout, -1
    if wanted and stdout is not None:
        click.get_current_context().call_on_close(lambda: setattr(sys, "stdout", stdout))
        sys.stdout = sys.stderr
        with contextlib.suppress(OSError):  # a Python object without a file stands in for stdout
            kept = os.dup(stdout.fileno())
            os.dup2(2, stdout.fileno())

    def write(result: dict[str, Any]) -> None:
        if kept >= 0:
            os.dup2(kept, stdout.fileno())
        click.echo(json.dumps(result, allow_nan=False), file=stdout)
        if kept >= 0:
            os.dup2(2, stdout.fileno())

    return write


def drop_stdout() -> None:
    """Forget what stdout could not take: Python would try to write it again when it ends."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows of equal keys in columns, the keys as titles."""
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
