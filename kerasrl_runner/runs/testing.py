"""`test`: which weights, and greedy episodes of them by the engine that trained them."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasrl_runner.engines import DEFAULT_ENGINE, build_learner
from kerasrl_runner.engines.greedy import Episode, Score
from kerasrl_runner.environments.make import build_environment, check_rendering
from kerasrl_runner.environments.rendering import can_open_window
from kerasrl_runner.environments.seeds import TEST, check_seed
from kerasrl_runner.errors import RunError, UsageError, WeightsError, shorten, whole_number
from kerasrl_runner.files.places import shipped_folder
from kerasrl_runner.files.run_directory import RunDirectory, find_run, newest_finished
from kerasrl_runner.pictures.video import check_video_path, video
from kerasrl_runner.preset import Preset, load_preset, preset_from_toml
from kerasrl_runner.preset.modules import modules_of
from kerasrl_runner.runs.host import Stopping, borrowed_streams, without_signals
from kerasrl_runner.weights.file import WeightsFile, read_weights


@dataclass(frozen=True)
class Subject:
    """What is tested: a preset, its weights, and where they are from."""

    preset: Preset
    weights: WeightsFile
    path: Path
    origin: str
    run: RunDirectory | None


@dataclass(frozen=True)
class TestResult:
    """What `test` found."""

    preset: str
    weights: str
    engine: str
    score: Score
    video: str | None
    interrupted: bool
    observation_space: Any

    def as_dict(self) -> dict[str, Any]:
        """JSON as it stands; None for means of no episode."""
        episodes = [
            {"return": e.episode_return, "length": e.episode_length, "seed": e.seed}
            for e in self.score.episodes
        ]
        return {
            "preset": self.preset,
            "weights": self.weights,
            "engine": self.engine,
            "episodes": episodes,
            "mean_return": self.score.mean_return if episodes else None,
            "std_return": self.score.std_return if episodes else None,
            "video": self.video,
        }


def find_subject(
    preset: str | Path | Preset | None = None,
    run: str | None = None,
    weights: str | Path | None = None,
) -> Subject:
    """Choose what to test: the named weights or run, else the newest finished run (of the
    preset, if one is named), else the shipped weights (of the preset, or of cartpole).

    Raises:
        UsageError: a run and weights both, or weights that do not say their preset.
        RunError, PresetError, WeightsError: what was named is not there or does not fit, or
            weights whose own preset, where the caller names none, would import modules.
    """
    if run is not None and weights is not None:
        raise UsageError("--run and --weights both say what to test; give one of them.")
    named = None if preset is None else load_preset(preset)
    if weights is not None:
        path = Path(weights)
        subject = _read_subject(path, named, f"the weights {path}", None)
        if named is None:
            _check_modules(subject)
        return subject
    directory = find_run(run) if run is not None else None
    if directory is None:
        directory = newest_finished(named.name if named else None)
    if directory is not None:
        path = directory.best_file if directory.best_file.exists() else directory.weights_file
        if not path.exists():
            raise RunError(f"the run {directory.path} has no weights yet.")
        kind = "best" if path == directory.best_file else "last"
        return _read_subject(path, named, f"the {kind} weights of run {directory.path}", directory)
    name = named.name if named else "cartpole"
    path = shipped_folder("weights") / f"{name}.h5"
    if not path.exists():
        chosen = name if isinstance(preset, Preset) else preset or name
        engine = " --engine qtable" if named and named.model is None else ""
        raise RunError(
            f"there is no finished run of {name}, and no shipped weights. Train it first: "
            f"kerasrl-run fit --preset {chosen}{engine}"
        )
    return _read_subject(path, named, f"the shipped weights of {name}", None)


def _read_subject(
    path: Path, named: Preset | None, origin: str, run: RunDirectory | None
) -> Subject:
    weights = read_weights(path)
    recorded = None
    if "preset" in weights.attributes:
        recorded = preset_from_toml(str(weights.attributes["preset"]), str(path))
        if run is not None:
            folder = run.record().preset_folder
            recorded._folder = Path(folder) if folder else None
    if named is None and recorded is None:
        raise UsageError(f"{path} does not say which preset it is of; give --preset.")
    if named is not None and recorded is not None and named.env.id != recorded.env.id:
        raise WeightsError(
            f"{path} was trained on {recorded.env.id}, and {named.name} plays {named.env.id}. "
            f"Give weights of that environment, or leave out --preset."
        )
    preset = named or recorded
    assert preset is not None
    return Subject(preset, weights, path, origin, run)


def _check_modules(subject: Subject) -> None:
    """Weights are data: a module that only their file names is not imported, and so not run."""
    missing = sorted(modules_of(subject.preset) - set(sys.modules))
    if missing:
        beside = subject.path.parent
        run = f", the run by --run {beside}" if (beside / "run.json").is_file() else ""
        raise WeightsError(
            f"{subject.path} says that it needs {shorten(', '.join(missing))}. A weights file is "
            f"data and imports nothing by itself: name the preset by --preset{run}, or import "
            f"that yourself before."
        )


def play_subject(
    subject: Subject,
    *,
    engine: str | None = None,
    episodes: int | None = None,
    seed: int = 0,
    visualize: bool = False,
    video_file: Path | None = None,
    say: Callable[[str], None] = lambda message: None,
    stopping: Stopping = without_signals,
) -> TestResult:
    """Play greedy episodes, each of a capped length (D22).

    Args:
        engine: instead of the one that trained the weights, which their file names; `compiled`
            where it names none.
        visualize: in a window; without a display into a video in the run directory, or in the
            working folder, and `say` is called with its name.
        video_file: a video of all episodes, in any case.

    Raises:
        UsageError, EnvironmentFailed, WeightsError, RunError: see the messages.
        KeyboardInterrupt: Ctrl-C, where `stopping` does not take it.
    """
    preset = subject.preset
    count = preset.test.nb_episodes if episodes is None else whole_number("--episodes", episodes)
    engine = engine or shorten(subject.weights.attributes.get("engine", DEFAULT_ENGINE))
    seed = check_seed(seed)
    if count < 1:
        raise UsageError(f"--episodes: expected 1 or more, received {count}.")
    if video_file is None and visualize and not can_open_window():
        folder = subject.run.path if subject.run else Path()
        video_file = folder / f"{preset.name}.mp4"
        say(f"There is no display to open a window on; the video goes to {video_file}")
    render_mode = "rgb_array" if video_file else "human" if visualize else None
    if video_file is not None:
        check_video_path(video_file)
    check_rendering(preset, render_mode)
    environment = build_environment(preset, seed, TEST, render_mode)
    played: list[Episode] = []
    # Playing needs no replay memory, and the training's may not fit this machine.
    memory = preset.memory.model_copy(update={"limit": preset.memory.window_length + 2})
    agent = preset.agent.model_copy(update={"nb_steps_warmup": 0, "batch_size": 1})
    playing = preset.model_copy(update={"memory": memory, "agent": agent})

    def add_episode() -> None:
        if environment.terminated or environment.truncated:
            played.append(Episode.of(environment))

    with contextlib.closing(environment), contextlib.ExitStack() as stack:
        player = build_learner(playing, seed, engine, environment)
        player.set_weights(subject.weights)
        environment.watchers.append(add_episode)
        if video_file:
            if "SDL_VIDEODRIVER" not in os.environ:
                os.environ["SDL_VIDEODRIVER"] = "dummy"  # frames alone need no display
                stack.callback(os.environ.pop, "SDL_VIDEODRIVER")
            rate = float(environment.env.metadata.get("render_fps") or 30)
            add_frame = stack.enter_context(video(video_file, rate))
            environment.watchers.append(lambda: add_frame(environment.frame()))
        asked_to_stop = False

        def stop() -> None:
            nonlocal asked_to_stop
            asked_to_stop = player.stop_training = True

        with stopping(stop):
            player.test(count, preset.test.nb_max_episode_steps)
    if player.interrupted and not asked_to_stop:  # keras-rl's loop swallows it
        raise KeyboardInterrupt
    return TestResult(
        preset=preset.name,
        weights=str(subject.path),
        engine=engine,
        score=Score(tuple(played)),
        video=str(video_file) if video_file else None,
        interrupted=asked_to_stop,
        observation_space=environment.observation_space,
    )


def test(
    preset: str | Path | Preset | None = None,
    *,
    run: str | None = None,
    weights: str | Path | None = None,
    engine: str | None = None,
    episodes: int | None = None,
    seed: int = 0,
    visualize: bool = False,
    video: str | Path | None = None,
) -> TestResult:
    """Play greedy episodes; what is tested is chosen as by `kerasrl-run test`.

    Args:
        engine: instead of the one that trained the weights.

    Raises:
        RunnerError: for all that a caller can fix; its message says how.
    """
    with borrowed_streams():
        return play_subject(
            find_subject(preset, run, weights),
            engine=engine,
            episodes=episodes,
            seed=seed,
            visualize=visualize,
            video_file=Path(video) if video is not None else None,
        )


test.__test__ = False  # type: ignore[attr-defined]  # pytest collects functions of this name
