"""The command `kerasrl-run`. Commands are loaded when called; --help imports no TensorFlow."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import sys

import click

from kerasrl_runner.cli.output import drop_stdout
from kerasrl_runner.cli.signals import Interrupted, interruptible
from kerasrl_runner.errors import EXIT_FAILED, EXIT_INTERRUPTED, RunnerError, suggest_name
from kerasrl_runner.files.places import working_folder

_COMMANDS = ("fit", "test", "runs", "presets", "script", "doctor")


class _Commands(click.Group):
    """Imports a command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        if cmd_name not in _COMMANDS:
            ctx.fail(
                f'there is no command "{cmd_name}".{suggest_name(cmd_name, list(_COMMANDS))} '
                f"Known: {', '.join(_COMMANDS)}."
            )
        module = importlib.import_module(f"kerasrl_runner.cli.{cmd_name}")
        command: click.Command = module.command
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kerasrl-runner", prog_name="kerasrl-run")
def _group() -> None:
    """Train and play keras-rl DQN agents from preset files."""
    working_folder()  # Each command needs it.


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    atexit.register(gc.freeze)  # else the last collection walks for a second through TensorFlow
    # Read when NumPy is loaded, which no module has done so far. Its matrix products are those of
    # the reference engine; on a busy machine two threads waited for each other up to 100 ms.
    threads = os.environ.get("KERASRL_THREADS") or "1"
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ.get("OPENBLAS_NUM_THREADS") or threads
    try:
        try:
            with interruptible():
                then = _group.main(arguments, prog_name="kerasrl-run", standalone_mode=False)
            if callable(then):  # an old script, which handles signals itself
                then()
        finally:
            if sys.stdout is not None:  # `>&-`
                sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except RunnerError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except (Interrupted, KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except OSError as error:
        drop_stdout()
        if not isinstance(error, BrokenPipeError):  # `kerasrl-run presets show x | head`
            where = f"{error.filename}: " if error.filename else "cannot write the output: "
            click.echo(f"error: {where}{error.strerror or error}", err=True)
        sys.exit(EXIT_FAILED)
