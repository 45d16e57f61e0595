"""Environments and trainings that break: the step, the cause, the remedy, and nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hard_presets
import pytest
from commands import Outcome
from forked_runs import RESULTS, results_of, run

from kerasrl_runner.files.run_directory import RunDirectory
from kerasrl_runner.weights.file import read_weights

slow = pytest.mark.slow

# keras-rl differs from compiled in none of what is asked here.
engines = pytest.mark.parametrize(
    "engine", ["reference", "compiled", pytest.param("keras-rl", marks=slow)]
)
mostly_reference = pytest.mark.parametrize(
    "engine", ["reference", *(pytest.param(e, marks=slow) for e in ("compiled", "keras-rl"))]
)
FIX = "Fix the environment; episode seed "


def fit(
    folder: Path, world: str, engine: str = "reference", *more: object, **changes: Any
) -> Outcome:
    preset = hard_presets.write(folder, world, **changes)
    arguments = ["fit", "--engine", engine, "--preset", preset, "--run-dir", "run"]
    return run(*arguments, "--checkpoint-every", 40, *more, folder=folder)


def check_failed(outcome: Outcome, *words: str) -> str:
    """One error that says all of it; returns it."""
    assert (outcome.code, outcome.stdout) == (1, "")
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("error: ")
    for word in words:
        assert word in line
    return line


def check_kept(folder: Path, env_steps: int) -> None:
    """The run says `failed`; weights.h5 is of that env step, best.h5 is there, and all finite."""
    directory = RunDirectory(folder / "run")
    record = directory.record()
    assert record.status == "failed"
    assert record.best is not None
    assert read_weights(directory.weights_file).attributes["env_steps"] == env_steps
    assert read_weights(directory.best_file).attributes["score"]
    directory.checkpoint.read()
    assert not list(directory.path.glob(".*"))


FAULTS = {
    "step raises": "failed (step) at env step 150, step 10 of episode 14: ZeroDivisionError",
    "step exit": "SystemExit: 0",
    "reset": "failed (reset) at env step 150, step 0 of episode 15: ConnectionError: the simulator",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_reported_with_its_step_cause_and_remedy(fault, tmp_path):
    outcome = fit(tmp_path, "Broken", env={"kwargs": {"fault": fault}})
    line = check_failed(outcome, "hard_worlds:Broken-v0"[12:], FAULTS[fault], FIX)
    assert "env step 150" in line
    assert line.endswith("Then go on: kerasrl-run fit --resume run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert line.startswith(f"error: {record['error']}")
    check_kept(tmp_path, env_steps=150 if fault == "reset" else 149)


@mostly_reference
def test_an_environment_that_failed_once_is_resumed_to_the_same_end(engine, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
    (whole / "once").touch()
    changes = {"env": {"kwargs": {"fault": "step raises", "once": "once"}}}
    assert fit(whole, "Broken", engine, **changes).code == 0
    check_failed(fit(broken, "Broken", engine, **changes), "env step 150")
    again = run("fit", "--resume", "run", folder=broken)
    assert (again.code, again.stderr) == (0, "")
    assert results_of(broken / "run") == results_of(whole / "run")


def test_a_close_that_fails_is_reported_and_costs_nothing_that_was_learned(tmp_path):
    outcome = fit(tmp_path, "Broken", env={"kwargs": {"fault": "close"}})
    check_failed(outcome, "failed (close) at env step 400", "OSError: the port is stuck", FIX)
    check_kept(tmp_path, env_steps=400)


def test_of_two_failures_the_first_is_reported(tmp_path):
    """The step fails, and the close of what is broken then as well."""
    outcome = fit(tmp_path, "Broken", env={"kwargs": {"fault": "step close"}})
    check_failed(outcome, "failed (step)", "the simulator broke")


def test_a_render_that_fails_is_reported(tmp_path):
    kwargs = {"fault": "render", "at": 60}
    assert fit(tmp_path, "Broken", env={"kwargs": kwargs}).code == 0
    arguments = ["test", "--run", "run", "--episodes", 9, "--video", "film.mp4"]
    outcome = run(*arguments, folder=tmp_path)
    assert outcome.code == 1
    assert "failed (render) at env step 60" in outcome.stderr
    assert "RuntimeError: no display" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".mp4"]


def test_an_environment_may_change_the_working_folder(tmp_path):
    outcome = fit(tmp_path, "Wanders")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert not [path for path in (tmp_path / "elsewhere").rglob("*") if path.is_file()]
    assert RunDirectory(tmp_path / "run").record().status == "finished"
    assert set(RESULTS) <= {path.name for path in (tmp_path / "run").iterdir()}


def test_episodes_that_never_end_are_reported_and_evaluations_of_them_end(tmp_path):
    changes = {
        "agent": {"nb_steps_warmup": 40, "train_interval": 1000},
        "evaluate": {"every_steps": 10_500, "episodes": 1, "nb_max_episode_steps": 50},
    }
    outcome = fit(tmp_path, "Endless", "reference", "--steps", 21_000, **changes)
    assert outcome.code == 0
    assert outcome.stderr == (
        "No episode has ended for 10000 env steps, and checkpoints are taken where one ends: a "
        "crash would lose these steps. Set fit.nb_max_episode_steps.\n"
    )
    record = RunDirectory(tmp_path / "run").record()
    assert (record.status, record.env_steps, record.episodes) == ("finished", 21_000, 0)
    log = (tmp_path / "run" / "evaluation.csv").read_text().splitlines()
    assert len(log) == 3


def sgd(rate: float) -> dict[str, Any]:
    """An optimizer of that learning rate; presets refuse one so high unless it is a schedule's."""
    schedule = {"initial_learning_rate": rate, "decay_steps": 1000, "decay_rate": 0.9}
    return {"SGD": {"learning_rate": {"ExponentialDecay": schedule}}}


DIVERGING = sgd(1e30)
REMEDY = "Lower the learning rate, clip gradients (optimizer clipnorm) or errors (delta_clip)"


@engines
def test_a_training_that_diverges_keeps_the_weights_of_its_last_checkpoint(engine, tmp_path):
    outcome = fit(tmp_path, "Walk", engine, optimizer=DIVERGING,
                  agent={"nb_steps_warmup": 95, "target_model_update": 0.1})  # fmt: skip
    line = check_failed(outcome, "at env step 8", REMEDY)
    assert "--resume" not in line  # it would diverge again
    check_kept(tmp_path, env_steps=80)
    kept = RunDirectory(tmp_path / "run").checkpoint.read()
    assert kept.scalars["environment"]["env_steps"] == 80


@mostly_reference
def test_weights_that_only_the_last_update_broke_are_no_end_but_a_failure(engine, tmp_path):
    """Learning starts at 100 entries: 91 env steps and 9 ends of episodes."""
    changes = {
        "optimizer": sgd(1e38),
        "agent": {"nb_steps_warmup": 100, "target_model_update": 0.1},
        "evaluate": {"every_steps": 0},  # it would find them
        "env": {"reward_scale": 1e6},
    }
    outcome = fit(tmp_path, "Walk", engine, "--steps", 91, **changes)
    check_failed(outcome, "error: a weight became NaN or infinite at env step 91.", REMEDY)
    directory = RunDirectory(tmp_path / "run")
    assert directory.record().status == "failed"
    assert directory.record().env_steps == 91
    assert read_weights(directory.weights_file).attributes["env_steps"] == 80


@mostly_reference
def test_broken_weights_never_enter_a_checkpoint(engine, tmp_path):
    """The first update is at the 90th env step, where an episode ends and a checkpoint is due."""
    changes = {
        "optimizer": sgd(1e38),
        "agent": {"nb_steps_warmup": 98, "target_model_update": 0.1},
        "evaluate": {"every_steps": 0},
        "env": {"reward_scale": 1e6},
    }
    outcome = fit(tmp_path, "Walk", engine, "--checkpoint-every", 10, **changes)
    check_failed(outcome, "became NaN or infinite at env step 90.", REMEDY)
    directory = RunDirectory(tmp_path / "run")
    assert directory.checkpoint.read().scalars["environment"]["env_steps"] == 80
    assert read_weights(directory.weights_file).attributes["env_steps"] == 80


@mostly_reference
def test_without_checkpoints_a_training_that_diverges_leaves_the_best_weights(engine, tmp_path):
    agent = {"nb_steps_warmup": 95, "target_model_update": 0.1}
    outcome = fit(
        tmp_path, "Walk", engine, "--checkpoint-every", 0, optimizer=DIVERGING, agent=agent
    )
    check_failed(outcome, REMEDY)
    directory = RunDirectory(tmp_path / "run")
    assert directory.record().status == "failed"
    assert directory.best_file.exists()
    assert not directory.weights_file.exists()


def test_a_reward_that_float32_cannot_hold_diverges_and_is_reported(tmp_path):
    outcome = fit(tmp_path, "Walk", env={"reward_scale": 1e300})
    check_failed(outcome, "became", "reward_scale")
