"""`fit`: what it says and what it leaves."""

from __future__ import annotations

import csv
import json
from pathlib import Path

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
PRESETS = list(known_presets())


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> tuple[Path, list[Outcome]]:
    """A short training of each shipped preset, then of the first again and with another seed.

    All of them in one process.
    """
    folder = tmp_path_factory.mktemp("fit")
    jobs = []
    for name in PRESETS:
        (folder / name).mkdir()
        arguments = ["fit", "--preset", name, "--steps", "300", "--seed", "3", "--json", *SETTINGS]
        jobs.append({"folder": str(folder / name), "arguments": arguments})
    for run_dir, seed in (("again", "3"), ("other", "4")):
        arguments = ["fit", "--preset", PRESETS[0], "--steps", "300", "--seed", seed, *SETTINGS]
        jobs.append({"arguments": [*arguments, "--run-dir", run_dir]})
    return folder, run_many(jobs, folder, 240)


@pytest.fixture(params=range(len(PRESETS)), ids=PRESETS)
def finished(request, played) -> tuple[str, Path, Outcome]:
    """(name, folder, outcome) of a short training of each shipped preset."""
    folder, outcomes = played
    name = PRESETS[request.param]
    return name, folder / name, outcomes[request.param]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_json_is_one_object_of_these_keys(finished):
    name, folder, outcome = finished
    assert (outcome.code, outcome.stderr) == (0, "")
    said = outcome.json
    assert set(said) == {
        "run", "status", "preset", "engine", "seed", "env_steps", "episodes", "wall_seconds",
        "env_steps_per_second", "weights", "best",
    }  # fmt: skip
    assert (said["status"], said["preset"], said["engine"]) == ("finished", name, "compiled")
    assert (said["seed"], said["env_steps"]) == (3, 300)
    assert said["env_steps_per_second"] > 0
    (path,) = (folder / "runs").iterdir()
    assert (said["run"], said["weights"]) == (f"runs/{path.name}", f"runs/{path.name}/weights.h5")
    assert {file.name for file in path.iterdir()} == {
        "preset.toml", "run.json", "run.lock", "log.csv", "evaluation.csv", "weights.h5",
        "best.h5", "checkpoint",
    }  # fmt: skip
    assert set(said["best"]) == {"weights", "mean_return", "env_steps"}
    assert said["best"]["weights"] == f"runs/{path.name}/best.h5"
    assert said["best"]["env_steps"] in (150, 300)


def test_the_record_says_where_the_result_comes_from(finished):
    name, folder, outcome = finished
    record = json.loads((folder / outcome.json["run"] / "run.json").read_text())
    assert (record["status"], record["error"]) == ("finished", None)
    assert record["command"].endswith(" ".join(SETTINGS))
    assert (record["preset"], record["seed"], record["engine"]) == (name, 3, "compiled")
    assert (record["env_steps"], record["episodes"]) == (300, outcome.json["episodes"])
    assert {"python", "tensorflow", "keras-rl2", "gymnasium"} <= set(record["versions"])
    assert set(record["hardware"]) == {"machine", "system", "cores"}
    assert record["best"] == {**outcome.json["best"], "weights": "best.h5"}
    text = (folder / outcome.json["run"] / "preset.toml").read_text()
    assert preset_from_toml(text) == load_preset(name, [f"{k}={v}" for k, v in SHORT.items()])


def test_the_log_has_a_row_an_episode(finished):
    _, folder, outcome = finished
    log = rows(folder / outcome.json["run"] / "log.csv")
    assert [int(row["episode"]) for row in log] == list(range(outcome.json["episodes"]))
    lengths = [int(row["length"]) for row in log]
    assert [int(row["env_steps"]) for row in log] == np.cumsum(lengths).tolist()
    assert [float(row["return"]) for row in log] == lengths  # CartPole gives 1 a step
    assert {row["end"] for row in log} <= {"terminated", "truncated"}
    learned = [row["loss"] != "" for row in log]
    # An entry a step and one for each closed episode: the warm-up counts entries.
    entries = [int(row["env_steps"]) + int(row["episode"]) for row in log]
    assert learned == [count >= 100 for count in entries]


def test_the_evaluations_are_logged_and_the_best_is_kept(finished):
    _, folder, outcome = finished
    log = rows(folder / outcome.json["run"] / "evaluation.csv")
    assert [(row["env_steps"], row["episodes"]) for row in log] == [("150", "2"), ("300", "2")]
    best = max(log, key=lambda row: float(row["mean_return"]))
    assert outcome.json["best"]["mean_return"] == float(best["mean_return"])
    assert outcome.json["best"]["env_steps"] == int(best["env_steps"])
    kept = read_weights(folder / outcome.json["best"]["weights"])
    assert kept.attributes["env_steps"] == int(best["env_steps"])
    assert kept.attributes["score"]["mean_return"] == float(best["mean_return"])


def test_the_weights_describe_themselves(finished):
    name, folder, outcome = finished
    weights = read_weights(folder / outcome.json["weights"])
    attributes = weights.attributes
    assert preset_from_toml(attributes["preset"]).name == name
    assert (attributes["engine"], attributes["seed"]) == ("compiled", 3)
    assert attributes["env_steps"] == 300
    assert weights.config is not None
    assert weights.config["config"]["layers"][0]["config"]["batch_input_shape"] == [None, 1, 4]
    assert "tensorflow" in attributes["versions"]


def test_the_same_seed_gives_the_same_run_and_another_seed_another(played):
    folder, outcomes = played
    assert [outcome.code for outcome in outcomes[-2:]] == [0, 0]
    first = folder / PRESETS[0] / outcomes[0].json["run"]
    for file in ("log.csv", "evaluation.csv", "weights.h5", "best.h5"):
        assert (folder / "again" / file).read_bytes() == (first / file).read_bytes()
        assert (folder / "other" / file).read_bytes() != (first / file).read_bytes()
