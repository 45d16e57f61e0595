"""`kerasrl-run test`."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import click

from kerasrl_runner.cli.output import reserve_stdout
from kerasrl_runner.errors import EXIT_INTERRUPTED
from kerasrl_runner.preset import load_preset


@click.command()
@click.option("--preset", help="Shipped name or .toml file.")
@click.option("--run", help="Run directory, its name, a unique prefix, or latest.")
@click.option("--weights", type=click.Path(path_type=Path), help="A weights file (.h5).")
@click.option("--engine", help="Another than the weights' own.")
@click.option("--episodes", type=int, help="How many, instead of the preset's.")
@click.option("--seed", default=0, show_default=True, help="Seeds the episodes.")
@click.option("--visualize", is_flag=True, help="In a window; without a display, into a video.")
@click.option("--video", type=click.Path(path_type=Path), help="Write a video (.mp4 or .gif).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, nothing else.")
def command(
    preset: str | None,
    run: str | None,
    weights: Path | None,
    engine: str | None,
    episodes: int | None,
    seed: int,
    visualize: bool,
    video: Path | None,
    as_json: bool,
) -> None:
    """Play greedy episodes: the newest finished run's, or what the options name."""
    write_json = reserve_stdout(as_json)
    if preset:
        load_preset(preset)  # its mistakes come before the imports

    from kerasrl_runner.cli.reuse import reuse_script
    from kerasrl_runner.cli.signals import stopping
    from kerasrl_runner.runs.testing import find_subject, play_subject

    def say(message: str) -> None:
        click.echo(message, err=as_json)

    subject = find_subject(preset, run, weights)
    say(f"Testing {subject.origin}")
    result = play_subject(
        subject,
        engine=engine,
        episodes=episodes,
        seed=seed,
        visualize=visualize,
        video_file=video,
        say=say,
        stopping=stopping,
    )
    if as_json:
        write_json(result.as_dict())
    else:
        click.echo("episode     return   length        seed")
        for number, episode in enumerate(result.score.episodes):
            click.echo(
                f"{number:7d} {episode.episode_return:10.1f} {episode.episode_length:8d} "
                f"{episode.seed or 0:11d}"
            )
        if result.score.episodes:
            score = result.score
            click.echo(
                f"Mean return {score.mean_return:.1f} ± {score.std_return:.1f} over "
                f"{len(score.episodes)} episodes"
            )
        if result.video:
            click.echo(f"Video: {result.video}")
        click.echo(f"\nWeights: {result.weights}")
        if subject.weights.config is not None:
            script = reuse_script(subject.path, subject.preset, result.observation_space)
            click.echo(f"Reuse them in any script:\n\n{textwrap.indent(script, '    ')}")
    if result.interrupted:
        sys.exit(EXIT_INTERRUPTED)
