"""best.h5 is that of the checkpoint's evaluations, and of a row of evaluation.csv, at any time."""

from __future__ import annotations

import csv
from pathlib import Path

import hard_presets
import pytest
from forked_runs import Fault, results_of, run

import kerasrl_runner
from kerasrl_runner.files.run_directory import RunDirectory
from kerasrl_runner.weights.file import read_weights

EVERY = 50  # env steps, between two evaluations


def write_preset(folder: Path) -> Path:
    evaluate = {"every_steps": EVERY, "episodes": 1, "nb_max_episode_steps": 10}
    return folder / hard_presets.write(folder, "Lottery", evaluate=evaluate)


def fit(folder: Path, steps: int) -> Path:
    """A run with a checkpoint at each episode's end, also at its last step."""
    kerasrl_runner.fit(
        write_preset(folder),
        engine="reference",
        seed=6,
        steps=steps,
        run_dir=folder / "run",
        checkpoint_every=10,
    )
    return folder / "run"


def check_best_has_a_row(run_dir: Path) -> None:
    attributes = read_weights(run_dir / "best.h5").attributes
    with (run_dir / "evaluation.csv").open(newline="", encoding="utf-8") as file:
        rows = {int(row["env_steps"]): row for row in csv.DictReader(file)}
    row = rows[attributes["env_steps"]]
    assert float(row["mean_return"]) == attributes["score"]["mean_return"]
    assert row["best"] == "1"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """An uninterrupted run of 300 steps, whose fourth evaluation is the best so far.

    Of a run that ends between its third and the one at step 200, that is the last step's.
    """
    return fit(tmp_path_factory.mktemp("whole"), 300)


# An evaluation is due at the last step; none is, and an episode ends there; none is, amid one.
@pytest.mark.parametrize("stages", [(150,), (170,), (165,), (170, 235)], ids=str)
def test_a_run_that_goes_on_to_more_steps_has_the_best_weights_of_one_begun_with_them(
    stages, whole, tmp_path
):
    run_dir = fit(tmp_path, stages[0])
    check_best_has_a_row(run_dir)
    best = (run_dir / "best.h5").read_bytes()
    for steps in (*stages[1:], 300):
        kerasrl_runner.resume(run_dir, steps=steps)
        check_best_has_a_row(run_dir)
    assert results_of(run_dir) == results_of(whole)
    assert RunDirectory(run_dir).record().best == RunDirectory(whole).record().best
    copies = {path.name: path.read_bytes() for path in run_dir.glob("best-*.h5")}
    assert copies.get(f"best-{stages[0]}.h5") == (None if stages[0] == 150 else best)


PLACES = [("replace", 2), ("replace", 9), ("fsync", 5), ("truncate", 2), ("row", 3), ("bytes", 1)]


@pytest.mark.parametrize("moment", ["before", pytest.param("after", marks=pytest.mark.slow)])
@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place[0]}-{place[1]}")
def test_killed_while_it_goes_back_and_on_it_ends_the_same(place, moment, whole, tmp_path):
    run_dir = fit(tmp_path, 170)
    best = (run_dir / "best.h5").read_bytes()
    arguments = ("fit", "--resume", "run", "--steps", 300)
    assert run(*arguments, folder=tmp_path, fault=Fault(*place, moment)).code == -9
    check_best_has_a_row(run_dir)
    record = RunDirectory(run_dir).record()
    assert (record.status, record.steps) in (("finished", 170), ("interrupted", 300))
    assert record.steps == 300 or (run_dir / "best.h5").read_bytes() == best
    assert run(*arguments, folder=tmp_path).code == 0
    assert results_of(run_dir) == results_of(whole)
    assert (run_dir / "best-170.h5").read_bytes() == best
