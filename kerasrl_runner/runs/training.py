"""Training runs from the outside: begin one, go on with one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasrl_runner.engines import DEFAULT_ENGINE, ENGINES
from kerasrl_runner.errors import RunError, UsageError
from kerasrl_runner.files.lock import locked
from kerasrl_runner.files.run_directory import RunDirectory, find_run, new_run
from kerasrl_runner.files.run_record import RunRecord, installed_versions
from kerasrl_runner.preset import Preset, load_preset, preset_to_toml
from kerasrl_runner.runs.host import Console, borrowed_streams
from kerasrl_runner.runs.run import FitResult, Run, result_of
from kerasrl_runner.runs.settings import CHECKPOINT_EVERY, RunSettings


def fit(
    preset: str | Path | Preset,
    *,
    seed: int = 0,
    steps: int | None = None,
    engine: str = DEFAULT_ENGINE,
    run_dir: str | Path | None = None,
    initial_weights: str | Path | None = None,
    checkpoint_every: int = CHECKPOINT_EVERY,
    progress: bool = False,
    **overrides: Mapping[str, Any],
) -> FitResult:
    """Train a preset into a new run directory.

    Python's and NumPy's global random streams are afterwards as they were before. TensorFlow keeps
    the seed and the number of threads that the training gave it: KERASRL_THREADS, else all cores
    for convolutions over screens and 1 for others.

    Args:
        preset: a shipped preset's name, a .toml file or a Preset.
        seed: seeds everything random.
        steps: env steps instead of the preset's `fit.nb_steps`.
        engine: "compiled", "keras-rl", "reference" or "qtable".
        run_dir: the run's own folder, new or empty; else a new one under runs/.
        initial_weights: a weights file to begin with, for the online and the target network.
        checkpoint_every: env steps between checkpoints, which are taken at ends of episodes;
            0 takes none, and the run cannot be resumed.
        progress: a progress line on stderr, where that is a terminal.
        overrides: sections to lay over the preset's: `fit("cartpole", agent={"gamma": 0.95})`.

    Raises:
        RunnerError: for all that a caller can fix; its message says how. Where training had
            begun, the run's status is `failed` and its best weights are kept.
        KeyboardInterrupt: Ctrl-C, after weights, logs and record were written.
    """
    chosen = load_preset(preset, sections=overrides)
    settings = RunSettings(
        preset=chosen,
        steps=chosen.fit.nb_steps if steps is None else steps,
        seed=seed,
        engine=engine,
        checkpoint_every=checkpoint_every,
        initial_weights=None if initial_weights is None else Path(initial_weights),
    )
    folder = None if run_dir is None else Path(run_dir)
    return begin_run(settings, folder, Console(progress=progress))


def resume(
    run: str | Path,
    *,
    steps: int | None = None,
    other_versions: bool = False,
    progress: bool = False,
) -> FitResult:
    """Go on with a run from its last checkpoint, to the same end as if it had not been stopped.

    Args:
        run: a run directory, its name, a unique prefix of it, or "latest".
        steps: env steps in all, where more are wanted than the run was begun with.
        other_versions: go on though TensorFlow, NumPy or another package that computes has
            another version; the record then lists both.
        progress: a progress line on stderr, where that is a terminal.

    Returns:
        The run's own result, where nothing is left to train.

    Raises:
        RunnerError: for all that a caller can fix; its message says how.
        KeyboardInterrupt: Ctrl-C, after weights, logs and record were written.
    """
    return continue_run(
        str(run), steps=steps, other_versions=other_versions, console=Console(progress=progress)
    )


def begin_run(settings: RunSettings, run_dir: Path | None, console: Console) -> FitResult:
    """Train into a new run directory. Raises as `fit`."""
    with borrowed_streams():
        run = Run(settings, console)
        preset = settings.preset
        with new_run(preset.name, preset_to_toml(preset), run_dir) as directory:
            return run.execute(directory)


def continue_run(
    name: str, *, steps: int | None, other_versions: bool, console: Console
) -> FitResult:
    """Go on with a run. Raises as `resume`."""
    directory = find_run(name)
    with borrowed_streams(), locked(directory.path):
        record = directory.record()
        preset = load_preset(directory.preset_file)
        preset._folder = Path(record.preset_folder) if record.preset_folder else None
        settings = RunSettings(
            preset=preset,
            steps=record.steps if steps is None else steps,
            seed=record.seed,
            engine=record.engine,
            checkpoint_every=record.checkpoint_every,
        )
        if settings.steps < record.steps:
            raise UsageError(
                f"--steps: a run that goes on may get more env steps, not fewer; it was begun with "
                f"{record.steps}, received {settings.steps}."
            )
        reason = _nothing_left(directory, record, settings)
        if reason:
            console.say(reason)
            return result_of(directory, record)
        differences = _compare_versions(record)
        if differences and not other_versions:
            raise RunError(
                f"the run {directory.path} would go on with other versions of what computes: "
                f"{'; '.join(differences)}. It may not end as it would have: install the former "
                f"versions, or go on all the same by --other-versions (from Python "
                f"other_versions=True)."
            )
        run = Run(settings, console)
        if run.learner.threads != record.threads:
            console.say(
                f"The run had TensorFlow's threads {record.threads}, and goes on with "
                f"{run.learner.threads}: sums may round differently (KERASRL_THREADS)."
            )
        return run.execute(directory, before=record)


def _nothing_left(directory: RunDirectory, record: RunRecord, settings: RunSettings) -> str | None:
    """Why there is nothing to train, in words; None where there is."""
    if record.status != "finished":
        return None
    goal, best = settings.preset.evaluate.stop_at_return, record.best
    if goal is not None and best is not None and best.mean_return >= goal:
        return (
            f"The run {directory.path} reached its goal after {best.env_steps} env steps: a mean "
            f"return of {best.mean_return:.1f}, where evaluate.stop_at_return is {goal}. It "
            f"trains no further. To train on, begin a new run with a higher goal and with its "
            f"weights: --set evaluate.stop_at_return=... --initial-weights "
            f"{directory.weights_file}"
        )
    limit = settings.preset.fit.nb_episodes
    if limit is not None and record.episodes >= limit:
        return (
            f"The run {directory.path} is finished: it played the {limit} episodes of "
            f"fit.nb_episodes. To train on, begin a new run with its weights: "
            f"--initial-weights {directory.weights_file}"
        )
    if settings.steps == record.steps:
        return f"The run {directory.path} is finished; --steps trains it for more."
    return None


def _compare_versions(record: RunRecord) -> list[str]:
    """Every package whose other version may compute other numbers than the run's so far."""
    before, now = dict(record.versions), installed_versions()
    for found in (before, now):  # Python's sum of floats, for one, changed with 3.12.
        found["python"] = ".".join(found.get("python", "").split(".")[:2])
    return [
        f"{package} was {before.get(package)}, now it is {now[package]}"
        for package in ("python", *ENGINES[record.engine])
        if before.get(package) != now[package]
    ]
