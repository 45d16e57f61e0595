"""`fit.nb_episodes`: a run ends with that many, or with its env steps if those come first."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from forked_runs import results_of

import kerasrl_runner
from kerasrl_runner.files.run_directory import RunDirectory
from kerasrl_runner.runs.run import FitResult

EPISODES = 9
ENGINES = ["reference", "compiled", pytest.param("keras-rl", marks=pytest.mark.slow)]


def fit(run_dir: Path, engine: str = "reference", steps: int = 20_000) -> FitResult:
    return kerasrl_runner.fit(
        "cartpole",
        engine=engine,
        seed=2,
        steps=steps,
        run_dir=run_dir,
        checkpoint_every=1,
        fit={"nb_episodes": EPISODES},
        agent={"nb_steps_warmup": 50},
        evaluate={"every_steps": 70, "episodes": 2, "nb_max_episode_steps": 20},
    )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    fit(folder)
    return folder


@pytest.mark.parametrize("engine", ENGINES)
def test_the_run_ends_with_its_last_episode_and_evaluates_what_it_learned(engine, tmp_path):
    result = fit(tmp_path / "run", engine)
    assert (result.status, result.episodes) == ("finished", EPISODES)
    ends = [int(row["env_steps"]) for row in rows(tmp_path / "run" / "log.csv")]
    assert (len(ends), ends[-1]) == (EPISODES, result.env_steps)
    evaluated = [int(row["env_steps"]) for row in rows(tmp_path / "run" / "evaluation.csv")]
    assert evaluated == [*range(70, ends[-1], 70), ends[-1]]


def test_env_steps_end_it_where_they_come_first(tmp_path):
    result = fit(tmp_path / "run", steps=100)
    assert (result.status, result.env_steps) == ("finished", 100)
    assert 0 < result.episodes < EPISODES


def test_it_goes_on_to_as_many_episodes_as_a_run_that_was_not_cut_short(whole, tmp_path):
    fit(tmp_path / "run", steps=100)
    kerasrl_runner.resume(tmp_path / "run", steps=20_000)
    assert results_of(tmp_path / "run") == results_of(whole)


def test_killed_after_its_last_episode_it_plays_no_other(whole, tmp_path):
    run_dir = tmp_path / "run"
    shutil.copytree(whole, run_dir)
    record = json.loads((run_dir / "run.json").read_text())
    (run_dir / "run.json").write_text(json.dumps({**record, "status": "running"}))
    assert kerasrl_runner.resume(run_dir).status == "finished"
    assert results_of(run_dir) == results_of(whole)
    assert RunDirectory(run_dir).record().episodes == EPISODES
