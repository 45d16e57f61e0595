"""`kerasrl-run fit`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from kerasrl_runner.errors import EXIT_INTERRUPTED
from kerasrl_runner.preset import load_preset


@click.command()
@click.option("--preset", default="cartpole", show_default=True, help="Shipped name or .toml file.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one value.")
@click.option("--seed", default=0, show_default=True, help="Seeds everything random.")
@click.option("--steps", type=int, help="Env steps, instead of the preset's.")
@click.option("--engine", default="compiled", show_default=True, help="compiled, keras-rl.")
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
    run_dir: Path | None,
    visualize: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train a preset's agent into a new run directory."""
    loaded = load_preset(preset, overrides)

    from kerasrl_runner.environments.display import can_open_window
    from kerasrl_runner.runs.testing import check_rendering, find_subject, play_subject
    from kerasrl_runner.runs.training import train

    def say(message: str) -> None:
        click.echo(message, err=as_json)

    if visualize:
        check_rendering(loaded, "human" if can_open_window() else "rgb_array")
    windowless = visualize and not can_open_window()
    if windowless:
        say("There is no display to open a window on; a video of the result follows the training.")
    result = train(
        loaded,
        seed=seed,
        steps=steps,
        engine=engine,
        run_dir=run_dir,
        render=visualize and not windowless,
        progress=not quiet,
    )
    if windowless:
        video_file = Path(result.run) / f"{result.preset}.mp4"
        play_subject(find_subject(run=result.run), episodes=1, seed=seed, video_file=video_file)
        say(f"Video: {video_file}")
    if as_json:
        click.echo(json.dumps(result.as_dict(), allow_nan=False))
    else:
        rate = result.env_steps_per_second
        say(
            f"{result.status.capitalize()}: {result.env_steps} env steps, {result.episodes} "
            f"episodes in {result.wall_seconds:.1f} s"
            f"{f' ({rate:.0f} env steps/s)' if rate else ''}"
        )
        if result.best:
            say(
                f"Best:    {result.best['weights']} (mean return "
                f"{result.best['mean_return']:.1f} after {result.best['env_steps']} env steps)"
            )
        say(f"Last:    {result.weights or 'lost to NaN'}")
    if result.status == "interrupted":
        sys.exit(EXIT_INTERRUPTED)
