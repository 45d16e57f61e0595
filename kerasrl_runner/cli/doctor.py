"""`kerasrl-run doctor`."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict

import click

from kerasrl_runner.doctor import examine
from kerasrl_runner.doctor.findings import BROKEN, OK, WARNING, Check
from kerasrl_runner.errors import EXIT_FAILED

_COLOURS = {OK: "green", WARNING: "yellow", BROKEN: "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, nothing else.")
def command(as_json: bool) -> None:
    """Check this machine and train for a moment. Exit code 1: something is broken."""
    checks = []
    for check in _watched():
        checks.append(check)
        if not as_json:
            _show(check)
    count = {status: sum(check.status == status for check in checks) for status in _COLOURS}
    if as_json:
        result = {"ok": not count[BROKEN], "checks": [asdict(check) for check in checks]}
        click.echo(json.dumps(result, allow_nan=False))
    else:
        warnings = "1 warning" if count[WARNING] == 1 else f"{count[WARNING] or 'no'} warnings"
        click.echo(f"\n{count[BROKEN] or 'Nothing is'} broken, {warnings}.")
    if count[BROKEN]:
        sys.exit(EXIT_FAILED)


def _watched() -> Iterator[Check]:
    """Every check; while one runs, a terminal on stderr shows its name."""
    terminal = sys.stderr.isatty()

    def clear() -> None:
        if terminal:
            click.echo("\r\033[K", nl=False, err=True)

    def starting(name: str) -> None:
        if terminal:
            click.echo(f"         {name} …", nl=False, err=True)

    try:
        for check in examine(starting):
            clear()
            yield check
    finally:
        clear()


def _show(check: Check) -> None:
    status = click.style(f"{check.status:7}", fg=_COLOURS[check.status])
    click.echo(f"{status}  {check.name:19}  {check.found}")
    if check.remedy:
        click.echo(textwrap.indent(check.remedy, " " * 30))
