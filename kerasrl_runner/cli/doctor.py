"""`kerasrl-run doctor`."""

from __future__ import annotations

import json
import sys
import textwrap
from collections import Counter

import click

from kerasrl_runner.doctor import examine
from kerasrl_runner.doctor.findings import BROKEN, OK, WARNING, Finding
from kerasrl_runner.errors import EXIT_FAILED

_COLOURS = {OK: "green", WARNING: "yellow", BROKEN: "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, nothing else.")
def command(as_json: bool) -> None:
    """Check this machine and train for a moment. Exit code 1: something is broken."""
    checks = []
    click.get_current_context().call_on_close(_clear_line)
    for name, finding in examine(lambda name: _show_progress(f"         {name} …")):
        _clear_line()
        checks.append({"name": name, **finding._asdict()})
        if not as_json:
            _print_check(name, finding)
    count = Counter(check["status"] for check in checks)
    if as_json:
        click.echo(json.dumps({"ok": not count[BROKEN], "checks": checks}))
    else:
        warnings = "1 warning" if count[WARNING] == 1 else f"{count[WARNING] or 'no'} warnings"
        click.echo(f"\n{count[BROKEN] or 'Nothing is'} broken, {warnings}.")
    if count[BROKEN]:
        sys.exit(EXIT_FAILED)


def _show_progress(text: str) -> None:
    if sys.stderr.isatty():
        click.echo(text, nl=False, err=True)


def _clear_line() -> None:
    _show_progress("\r\033[K")


def _print_check(name: str, finding: Finding) -> None:
    status = click.style(f"{finding.status:7}", fg=_COLOURS[finding.status])
    click.echo(f"{status}  {name:14}  {finding.found}")
    if finding.remedy:
        click.echo(textwrap.indent(finding.remedy, " " * 25))
