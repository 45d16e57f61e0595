"""`fit`: what it says and what it leaves."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Outcome, run_many

from kerasrl_runner.preset import known_presets, load_preset, preset_from_toml
from kerasrl_runner.weights.file import read_weights

SHORT = {
    "agent.nb_steps_warmup": 100,
    "evaluate.every_steps": 150,
    "evaluate.episodes": 2,
    "evaluate.nb_max_episode_steps": 50,
}
SETTINGS = [word for key, value in SHORT.items() for word in ("--set", f"{key}={value}")]
# What the tests below say of rows and shapes is CartPole's.
CARTPOLE = ["cartpole", "cartpole-kerasrl"]
OTHERS = [name for name in known_presets() if name not in CARTPOLE]
PRESETS = CARTPOLE + OTHERS


def options_of(name: str) -> list[str]:
    """The options of a short run by the fastest engine that has all of the preset."""
    if name in CARTPOLE:
        return ["--steps", "300", *SETTINGS]
    layers = {layer.name for layer in load_preset(name).layers}
    engine = "reference" if layers <= {"Flatten", "Dense"} else "compiled"
    if load_preset(name).model is None:  # A table has no warm-up.
        return ["--steps", "150", "--engine", "qtable", *SETTINGS[2:]]
    return ["--steps", "150", "--engine", engine, *SETTINGS]


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> tuple[Path, list[Outcome]]:
    """The folder and outcomes of short runs: each shipped preset, the first again, another seed."""
    folder = tmp_path_factory.mktemp("fit")
    jobs = []
    runs = [(name, name, "3") for name in PRESETS]
    runs += [(PRESETS[0], "again", "3"), (PRESETS[0], "other", "4")]
    for preset, run, seed in runs:
        named = ["--preset", preset, "--run-dir", run, "--seed", seed, "--json"]
        jobs.append({"arguments": ["fit", *named, *options_of(preset)]})
    return folder, run_many(jobs, folder, 240)


@pytest.mark.parametrize("name", OTHERS)
def test_every_shipped_preset_trains_for_a_moment(played, name):
    folder, outcomes = played
    outcome = outcomes[PRESETS.index(name)]
    assert outcome.code == 0, outcome.stderr
    assert (outcome.json["status"], outcome.json["env_steps"]) == ("finished", 150)
    assert read_weights(folder / outcome.json["best"]["weights"]).config is not None


@pytest.fixture(params=range(len(CARTPOLE)), ids=CARTPOLE)
def finished(request, played) -> tuple[str, Path, dict[str, Any]]:
    """(preset's name, run directory, printed JSON) of a short run of CartPole's presets."""
    folder, outcomes = played
    outcome, name = outcomes[request.param], PRESETS[request.param]
    assert (outcome.code, outcome.stderr) == (0, "")
    return name, folder / name, outcome.json


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_json_is_one_object_of_these_keys(finished):
    name, folder, said = finished
    assert set(said) == {
        "run", "status", "preset", "engine", "seed", "env_steps", "episodes", "wall_seconds",
        "env_steps_per_second", "weights", "best",
    }  # fmt: skip
    assert (said["status"], said["preset"], said["engine"]) == ("finished", name, "compiled")
    assert (said["seed"], said["env_steps"]) == (3, 300)
    assert said["env_steps_per_second"] > 0
    assert (said["run"], said["weights"]) == (name, f"{name}/weights.h5")
    assert {file.name for file in folder.iterdir()} == {
        "preset.toml", "run.json", "run.lock", "log.csv", "evaluation.csv", "weights.h5",
        "best.h5", "checkpoint",
    }  # fmt: skip
    assert set(said["best"]) == {"weights", "mean_return", "env_steps"}
    assert said["best"]["weights"] == f"{name}/best.h5"
    assert said["best"]["env_steps"] in (150, 300)


def test_the_record_says_where_the_result_comes_from(finished):
    name, folder, said = finished
    record = json.loads((folder / "run.json").read_text())
    assert (record["status"], record["error"]) == ("finished", None)
    assert record["command"].endswith(" ".join(SETTINGS))
    assert (record["preset"], record["seed"], record["engine"]) == (name, 3, "compiled")
    assert (record["env_steps"], record["episodes"]) == (300, said["episodes"])
    assert {"python", "tensorflow", "keras-rl2", "gymnasium"} <= set(record["versions"])
    assert set(record["hardware"]) == {"machine", "system", "cores"}
    assert record["best"] == {**said["best"], "weights": "best.h5"}
    text = (folder / "preset.toml").read_text()
    assert preset_from_toml(text) == load_preset(name, [f"{k}={v}" for k, v in SHORT.items()])


def test_the_log_has_a_row_an_episode(finished):
    _, folder, said = finished
    log = rows(folder / "log.csv")
    assert [int(row["episode"]) for row in log] == list(range(said["episodes"]))
    lengths = [int(row["length"]) for row in log]
    assert [int(row["env_steps"]) for row in log] == np.cumsum(lengths).tolist()
    assert [float(row["return"]) for row in log] == lengths  # CartPole gives 1 a step
    assert {row["end"] for row in log} <= {"terminated", "truncated"}
    learned = [row["loss"] != "" for row in log]
    # An entry a step and one for each closed episode: the warm-up counts entries.
    entries = [int(row["env_steps"]) + int(row["episode"]) for row in log]
    assert learned == [count >= 100 for count in entries]


def test_the_evaluations_are_logged_and_the_best_is_kept(finished):
    _, folder, said = finished
    log = rows(folder / "evaluation.csv")
    assert [(row["env_steps"], row["episodes"]) for row in log] == [("150", "2"), ("300", "2")]
    best = max(log, key=lambda row: float(row["mean_return"]))
    assert said["best"]["mean_return"] == float(best["mean_return"])
    assert said["best"]["env_steps"] == int(best["env_steps"])
    kept = read_weights(folder / "best.h5")
    assert kept.attributes["env_steps"] == int(best["env_steps"])
    assert kept.attributes["score"]["mean_return"] == float(best["mean_return"])


def test_the_weights_describe_themselves(finished):
    name, folder, _ = finished
    weights = read_weights(folder / "weights.h5")
    attributes = weights.attributes
    assert preset_from_toml(attributes["preset"]).name == name
    assert (attributes["engine"], attributes["seed"]) == ("compiled", 3)
    assert attributes["env_steps"] == 300
    assert weights.config["config"]["layers"][0]["config"]["batch_input_shape"] == [None, 1, 4]
    assert "tensorflow" in attributes["versions"]


def test_the_same_seed_gives_the_same_run_and_another_seed_another(played):
    folder, outcomes = played
    assert [outcome.code for outcome in outcomes[-2:]] == [0, 0]
    first = folder / PRESETS[0]
    for file in ("log.csv", "evaluation.csv", "weights.h5", "best.h5"):
        assert (folder / "again" / file).read_bytes() == (first / file).read_bytes()
        assert (folder / "other" / file).read_bytes() != (first / file).read_bytes()
