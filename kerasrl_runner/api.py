"""The Python API behind `import kerasrl_runner`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasrl_runner.engines import DEFAULT_ENGINE
from kerasrl_runner.engines import build as build_parts
from kerasrl_runner.preset import Preset, load_preset
from kerasrl_runner.runs.run import FitResult
from kerasrl_runner.runs.testing import TestResult, find_subject, play_subject
from kerasrl_runner.runs.training import CHECKPOINT_EVERY, train
from kerasrl_runner.runs.training import resume as train_on


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

    Args:
        steps: env steps instead of the preset's.
        engine: "compiled", "keras-rl" or "reference".
        run_dir: the run's own folder, new or empty; else a new one under runs/.
        initial_weights: a weights file to begin with.
        checkpoint_every: env steps between checkpoints, 0 for none.
        overrides: sections to lay over the preset's: `fit("cartpole", agent={"gamma": 0.95})`.

    Raises:
        RunnerError: for all that a caller can mend; its message says how.
    """
    return train(
        _preset(preset, overrides),
        seed=seed,
        steps=steps,
        engine=engine,
        run_dir=Path(run_dir) if run_dir is not None else None,
        initial_weights=Path(initial_weights) if initial_weights is not None else None,
        checkpoint_every=checkpoint_every,
        progress=progress,
    )


def resume(run: str | Path, *, steps: int | None = None, progress: bool = False) -> FitResult:
    """Go on with a run from its last checkpoint, to the same end as if it had not been stopped.

    Args:
        run: a run directory, its name, a unique prefix of it, or "latest".
        steps: env steps in all, where more are wanted than the run was begun with.

    Raises:
        RunnerError: for all that a caller can mend; its message says how.
    """
    return train_on(str(run), steps=steps, progress=progress)


def test(
    preset: str | Path | Preset | None = None,
    *,
    run: str | None = None,
    weights: str | Path | None = None,
    episodes: int | None = None,
    seed: int = 0,
    visualize: bool = False,
    video: str | Path | None = None,
) -> TestResult:
    """Play greedy episodes; what is tested is chosen as by `kerasrl-run test`.

    Raises:
        RunnerError: for all that a caller can mend; its message says how.
    """
    return play_subject(
        find_subject(preset, run, weights),
        episodes=episodes,
        seed=seed,
        visualize=visualize,
        video_file=Path(video) if video is not None else None,
    )


test.__test__ = False  # type: ignore[attr-defined]  # pytest collects functions of this name


def build(
    preset: str | Path | Preset, seed: int = 0, **overrides: Mapping[str, Any]
) -> tuple[Any, Any]:
    """(environment, agent): the agent is compiled and ready for your own `agent.fit(environment)`.

    Raises:
        RunnerError: for all that a caller can mend; its message says how.
    """
    return build_parts(_preset(preset, overrides), seed)


def _preset(preset: str | Path | Preset, overrides: Mapping[str, Mapping[str, Any]]) -> Preset:
    if isinstance(preset, Preset):
        if overrides:
            raise TypeError("overrides go with a preset's name or file; build the Preset with them")
        return preset
    return load_preset(preset, sections=overrides)
