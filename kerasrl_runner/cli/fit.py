"""`kerasrl-run fit`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from kerasrl_runner.cli.output import reserve_stdout
from kerasrl_runner.errors import EXIT_INTERRUPTED, UsageError
from kerasrl_runner.files.run_directory import RunDirectory
from kerasrl_runner.preset import load_preset

if TYPE_CHECKING:
    from kerasrl_runner.runs.run import FitResult


# The options that go with --resume; all others are decided when a run begins.
_OF_RESUME = ("resume", "steps", "other_versions", "visualize", "quiet", "as_json")


@click.command(context_settings={"show_default": True})
@click.option("--preset", default="cartpole", help="Shipped name or .toml file.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one value.")
@click.option("--seed", default=0, help="Seeds everything random.")
@click.option("--steps", type=int, help="Env steps, instead of the preset's.")
@click.option("--engine", default="compiled", help="compiled, keras-rl, reference or qtable.")
@click.option(
    "--initial-weights", type=click.Path(path_type=Path), help="A .h5 file to begin with."
)
@click.option("--checkpoint-every", default=5_000, help="In env steps; 0: no checkpoints.")
@click.option("--resume", metavar="RUN", help="Go on with a run: a folder, a name or latest.")
@click.option("--other-versions", is_flag=True, help="Resume though other versions would compute.")
@click.option(
    "--run-dir", type=click.Path(path_type=Path), help="This run's own folder, new or empty."
)
@click.option("--visualize", is_flag=True, help="Show the training in a window.")
@click.option("--quiet", is_flag=True, help="No progress line.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, nothing else.")
def command(
    preset: str,
    overrides: tuple[str, ...],
    seed: int,
    steps: int | None,
    engine: str,
    initial_weights: Path | None,
    checkpoint_every: int,
    resume: str | None,
    other_versions: bool,
    run_dir: Path | None,
    visualize: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train a preset's agent into a new run directory, or go on with an interrupted run."""
    context = click.get_current_context()
    given = [
        option.opts[0]
        for option in context.command.params
        if option.name not in _OF_RESUME
        and context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
    ]
    if resume is not None and given:
        raise UsageError(
            f"--resume goes on with a run as it was begun; leave out {', '.join(given)}."
        )
    if other_versions and resume is None:
        raise UsageError("--other-versions goes with --resume RUN.")
    write_json = reserve_stdout(as_json)
    loaded = load_preset(preset, overrides) if resume is None else None

    from kerasrl_runner.cli.signals import stopping
    from kerasrl_runner.environments.make import check_rendering
    from kerasrl_runner.environments.rendering import can_open_window
    from kerasrl_runner.runs.host import Console
    from kerasrl_runner.runs.settings import RunSettings
    from kerasrl_runner.runs.training import begin_run, continue_run

    def say(message: str) -> None:
        click.echo(message, err=as_json)

    render = visualize and can_open_window()
    windowless = visualize and not render
    if visualize and loaded:
        check_rendering(loaded, "human" if render else "rgb_array")
    if windowless:
        say("There is no display to open a window on; a video of the result follows the training.")
    console = Console(progress=not quiet, render=render, say=say, stopping=stopping)
    if resume is not None:
        result = continue_run(resume, steps=steps, other_versions=other_versions, console=console)
    else:
        assert loaded is not None
        settings = RunSettings(
            preset=loaded,
            steps=loaded.fit.nb_steps if steps is None else steps,
            seed=seed,
            engine=engine,
            checkpoint_every=checkpoint_every,
            initial_weights=initial_weights,
        )
        result = begin_run(settings, run_dir, console)
    if windowless and result.status == "finished":
        from kerasrl_runner.runs.testing import find_subject, play_subject

        video_file = Path(result.run) / f"{result.preset}.mp4"
        subject = find_subject(run=result.run)
        play_subject(
            subject, episodes=1, seed=result.seed, video_file=video_file, stopping=stopping
        )
        say(f"Video: {video_file}")
    if as_json:
        write_json(result.as_dict())
    else:
        _print_result(result)
    if result.status == "interrupted":
        sys.exit(EXIT_INTERRUPTED)


def _print_result(result: FitResult) -> None:
    rate = result.env_steps_per_second
    click.echo(
        f"{result.status.capitalize()}: {result.env_steps} env steps, {result.episodes} "
        f"episodes in {result.wall_seconds:.1f} s"
        f"{f' ({rate:.0f} env steps/s)' if rate else ''}"
    )
    if result.best:
        click.echo(
            f"Best:    {result.best['weights']} (mean return "
            f"{result.best['mean_return']:.1f} after {result.best['env_steps']} env steps)"
        )
    click.echo(f"Last:    {result.weights or 'lost to NaN'}")
    if result.status == "interrupted" and RunDirectory(Path(result.run)).checkpoint.exists():
        click.echo(f"Go on:   kerasrl-run fit --resume {result.run}")
