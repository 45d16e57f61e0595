"""Training runs from the outside: begin one, go on with one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import NoneType
from typing import Any

from kerasrl_runner.engines import DEFAULT_ENGINE, check_engine
from kerasrl_runner.environments.seeds import check_seed
from kerasrl_runner.errors import RunError, UsageError
from kerasrl_runner.files.lock import locked
from kerasrl_runner.files.run_directory import FINISHED, RunDirectory, find_run, new_run
from kerasrl_runner.preset import Preset, preset_from_toml, preset_to_toml
from kerasrl_runner.runs.record import versions
from kerasrl_runner.runs.run import FitResult, Parts, Run, RunSettings, result_of
from kerasrl_runner.runs.stopping import Stopping, without_signals
from kerasrl_runner.weights.file import read_weights

# Some seconds of training, and about ten milliseconds to write (benchmarks/README.md).
CHECKPOINT_EVERY = 5_000


# What going on needs of run.json.
_RECORDED: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("status", "preset", "engine"), str),
    **dict.fromkeys(("seed", "steps", "checkpoint_every", "env_steps", "episodes"), int),
    "versions": dict,
    "wall_seconds": (int, float),
    "env_steps_per_second": (int, float, NoneType),
    "best": (dict, NoneType),
}


def train(
    preset: Preset,
    *,
    seed: int = 0,
    steps: int | None = None,
    engine: str = DEFAULT_ENGINE,
    run_dir: Path | None = None,
    initial_weights: Path | None = None,
    checkpoint_every: int = CHECKPOINT_EVERY,
    render: bool = False,
    progress: bool = False,
    stopping: Stopping = without_signals,
) -> FitResult:
    """Train a preset into a new run directory.

    Args:
        steps: env steps instead of the preset's `fit.nb_steps`.
        initial_weights: a weights file to begin with, for the online and the target network.
        checkpoint_every: env steps between checkpoints, which are taken at ends of episodes;
            0 takes none, and the run cannot be resumed.
        render: show the training in a window.
        progress: a progress line on stderr, where that is a terminal.

    Raises:
        RunnerError: for all that a user can cause; where training had begun, the run's status is
            `failed` and its best weights are kept.
    """
    _check(engine, steps, seed, checkpoint_every)
    given = read_weights(initial_weights) if initial_weights is not None else None
    settings = RunSettings(preset, seed, engine, steps or preset.fit.nb_steps, checkpoint_every)
    parts = Parts(settings, render)
    if given is not None:
        parts.learner.set_weights(given)
    # All that could be refused was refused: from here on there is something on disk.
    with new_run(preset.name, preset_to_toml(preset), run_dir) as directory:
        return Run(parts, directory, progress=progress, stopping=stopping).train()


def resume(
    run: str,
    *,
    steps: int | None = None,
    expected: dict[str, Any] | None = None,
    progress: bool = False,
    stopping: Stopping = without_signals,
    render: bool = False,
    say: Callable[[str], None] = lambda message: None,
) -> FitResult:
    """Go on with a run from its last checkpoint, as if it had never been stopped.

    Args:
        run: a run directory, its name, a unique prefix, or "latest".
        steps: env steps in all, where more are wanted than the run was begun with.
        expected: what the caller takes the run to be: `preset`, `seed`, `engine`.

    Returns:
        The finished run's own result, if there is nothing left to do.

    Raises:
        RunError: no such run, another process writes it, or it is not what was expected.
        CheckpointError: it has no checkpoint, or a damaged one.
    """
    directory = find_run(run)
    with locked(directory.path):
        record = directory.record()
        preset = _preset_of(directory, record)
        _check_same(directory, record, preset, expected or {})
        target = _target_steps(record, steps)
        if record["status"] == FINISHED and target == record["steps"]:
            say(f"The run {directory.path} is finished; --steps trains it for more.")
            return result_of(directory, record, FINISHED)
        settings = RunSettings(
            preset, record["seed"], record["engine"], target, record["checkpoint_every"]
        )
        parts = Parts(settings, render)
        return Run(parts, directory, before=record, progress=progress, stopping=stopping).train()


def _check(engine: str, steps: int | None, seed: int, checkpoint_every: int) -> None:
    check_engine(engine)
    if steps is not None and steps < 1:
        raise UsageError(f"--steps: expected 1 or more env steps, received {steps}.")
    if checkpoint_every < 0:
        raise UsageError(
            f"--checkpoint-every: expected env steps, or 0 for no checkpoints; received "
            f"{checkpoint_every}."
        )
    check_seed(seed)


def _preset_of(directory: RunDirectory, record: dict[str, Any]) -> Preset:
    for key, kind in _RECORDED.items():
        if not isinstance(record.get(key), kind):
            raise RunError(f"{directory.path}/run.json: {key} is missing or of a wrong type.")
    _check(record["engine"], record["steps"], record["seed"], record["checkpoint_every"])
    try:
        text = directory.preset_file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {directory.preset_file}: {error}.") from error
    preset = preset_from_toml(text, str(directory.preset_file))
    folder = record.get("preset_folder")
    preset._folder = Path(folder) if isinstance(folder, str) else None
    return preset


def _check_same(
    directory: RunDirectory, record: dict[str, Any], preset: Preset, expected: dict[str, Any]
) -> None:
    """Raises RunError with every difference between the run and what is asked for now."""
    differences = [
        f"{key} is {record[key]!r}, not {expected[key]!r}"
        for key in ("seed", "engine")
        if key in expected and expected[key] != record[key]
    ]
    if "preset" in expected:
        ours, theirs = _flat(preset.model_dump()), _flat(expected["preset"].model_dump())
        differences += [
            f"{key} is {ours.get(key)!r}, not {theirs.get(key)!r}"
            for key in sorted({**ours, **theirs})
            if ours.get(key) != theirs.get(key)
        ]
    differences += [
        f"{package} was {record['versions'].get(package)}, now it is {version}"
        for package, version in versions().items()
        if record["versions"].get(package) != version
    ]
    if differences:
        raise RunError(
            f"the run {directory.path} cannot go on as asked: {'; '.join(differences)}. Resume it "
            f"with what it was begun with, or begin a new run."
        )


def _flat(part: Any, prefix: str = "") -> dict[str, Any]:
    """{"agent.gamma": 0.99, ...} of nested dicts."""
    if not isinstance(part, dict):
        return {prefix: part}
    flat: dict[str, Any] = {}
    for key, value in part.items():
        flat |= _flat(value, f"{prefix}.{key}" if prefix else key)
    return flat


def _target_steps(record: dict[str, Any], steps: int | None) -> int:
    begun_with: int = record["steps"]
    if steps is not None and steps < begun_with:
        raise UsageError(
            f"--steps: a run that goes on may get more env steps, not fewer; it was begun with "
            f"{begun_with}, received {steps}."
        )
    return begun_with if steps is None else steps
