"""A run that was interrupted and goes on ends as the uninterrupted one, bit for bit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import Outcome, run_many
from forked_runs import results_of

pytestmark = pytest.mark.timeout(900)  # the first test of an engine waits for all its runs

STEPS = 700
BASE = {
    "agent.nb_steps_warmup": 50,
    "evaluate.every_steps": 200,
    "evaluate.episodes": 2,
    "evaluate.nb_max_episode_steps": 60,
    "evaluate.stop_at_return": 10_000.0,
}
# What has a state of its own: each must be in the checkpoint, or the runs part.
SETTINGS: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "hard target, a memory that wraps, window of 3": {
        "agent.target_model_update": 37,
        "memory.limit": 120,
        "memory.window_length": 3,
    },
    "dueling, MSE, annealed epsilon, several updates": {
        "agent.enable_dueling_network": True,
        "agent.train_interval": 4,
        "agent.gradient_steps": 2,
    },
    "RMSprop with momentum, Boltzmann": {
        "policy.BoltzmannQPolicy.tau": 0.7,
        "optimizer.RMSprop.momentum": 0.5,
        "optimizer.RMSprop.centered": True,
    },
    "legal actions": {
        "env.id": "Taxi-v4",
        "env.action_mask": True,
        "env.observation_scale": 1.0,
        "env.max_episode_steps": 30,
        "memory.limit": 120,
    },
    "prioritized, three steps, two updates, a memory that wraps": {
        "memory.priority.beta_steps": 500,
        "memory.limit": 120,
        "memory.window_length": 2,
        "agent.n_steps": 3,
        "agent.gradient_steps": 2,
    },
    "Gumbel, Dropout, BatchNormalization": {
        "policy.BoltzmannGumbelQPolicy.C": 1.5,
        "model.layers": [
            {"Dense": {"units": 8, "activation": "relu"}},
            {"BatchNormalization": {}},
            {"Dropout": {"rate": 0.2}},
        ],
    },
    "a table": {"agent.nb_steps_warmup": None},
    "decay per replay, one an episode, batches of one, no target network": {
        "policy.ExponentialAnnealedPolicy": {
            "inner_policy": {"EpsGreedyQPolicy": {}},
            "attr": "eps",
            "value_max": 1.0,
            "value_min": 0.01,
            "value_test": 0.0,
            "factor": 0.9,
            "per": "learn_call",
        },
        "agent.train_interval": "episode",
        "agent.batch_size": 1,
        "agent.target_network": False,
        "agent.enable_double_dqn": False,
        "env.terminal_reward": -5.0,
    },
    "a game of MinAtar, a wrapper that draws": {
        "env.id": "kerasrl_runner.environments.minatar:MinAtar/Breakout-v1",
        "env.wrappers": [
            {"gymnasium.wrappers:StickyAction": {"repeat_action_probability": 0.2}},
        ],
        "env.observation_scale": 1.0,
        "model.layers": [
            {"Reshape": {"target_shape": [10, 10, 4]}},
            {"Conv2D": {"filters": 4, "kernel_size": 3, "activation": "relu"}},
        ],
    },
}
PRESETS = {"qtable": "frozenlake-table"}
# The reference engine has no such layers; keras-rl updates once at a time, draws all transitions
# alike and looks one step ahead, and its Dropout draws from a random stream inside TensorFlow's
# graph, which nothing outside can keep.
CANNOT = {
    *((engine, "a table") for engine in ("compiled", "keras-rl", "reference")),
    ("reference", "Gumbel, Dropout, BatchNormalization"),
    ("keras-rl", "legal actions"),
    ("reference", "a game of MinAtar, a wrapper that draws"),
    ("keras-rl", "Gumbel, Dropout, BatchNormalization"),
    ("keras-rl", "prioritized, three steps, two updates, a memory that wraps"),
    ("keras-rl", "dueling, MSE, annealed epsilon, several updates"),
}


def settings_of(engine: str) -> list[str]:
    return [name for name in SETTINGS if (engine, name) not in CANNOT]


# Each group is played in one child process.
SLOW_IN_COMPILED = settings_of("compiled")[2:4]
GROUPS = [
    ("compiled", [name for name in settings_of("compiled") if name not in SLOW_IN_COMPILED]),
    pytest.param(("compiled", SLOW_IN_COMPILED), marks=pytest.mark.slow),
    ("reference", settings_of("reference")),
    ("qtable", ["a table"]),
    ("keras-rl", ["as shipped"]),
    pytest.param(("keras-rl", settings_of("keras-rl")[1:]), marks=pytest.mark.slow),
]


def options(settings: dict[str, Any]) -> list[str]:
    chosen = {key: value for key, value in {**BASE, **settings}.items() if value is not None}
    return [part for key, value in chosen.items() for part in ("--set", f"{key}={_toml(value)}")]


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    return (
        "[" + ", ".join(map(_toml, value)) + "]" if isinstance(value, list) else json.dumps(value)
    )


def jobs_of(engine: str, names: list[str]) -> Iterator[dict[str, Any]]:
    """For each setting: a whole run, and one of fewer steps that gets Ctrl-C twice, comes to its
    end and goes on to as many steps as the whole one."""
    for number, name in enumerate(names):
        begin = ["fit", "--quiet", "--engine", engine, "--seed", "3", "--checkpoint-every", "60"]
        begin += [*options(SETTINGS[name]), "--preset", PRESETS.get(engine, "cartpole")]
        go_on = ["fit", "--quiet", "--resume", f"{number}-cut"]
        yield {"arguments": [*begin, "--run-dir", f"{number}-whole", "--steps", str(STEPS)]}
        cut = [*begin, "--run-dir", f"{number}-cut", "--steps", "500"]
        yield {"arguments": cut, "signal_at": 190}
        yield {"arguments": go_on, "signal_at": 411}
        yield {"arguments": go_on}
        yield {"arguments": [*go_on, "--steps", str(STEPS)]}
    yield {"arguments": go_on}


@pytest.fixture(scope="module", params=GROUPS, ids=lambda group: f"{group[0]}-{len(group[1])}")
def played(request, tmp_path_factory) -> tuple[list[str], Path, list[Outcome]]:
    """All runs of a group: (names of its settings, folder, outcomes)."""
    engine, names = request.param
    folder = tmp_path_factory.mktemp("resumed")
    program = Path(__file__).parent / "interrupting.py"
    return names, folder, run_many(list(jobs_of(engine, names)), folder, 900, program)


def test_the_resumed_run_ends_as_the_uninterrupted_one(played):
    names, folder, outcomes = played
    for number, name in enumerate(names):
        of_this = outcomes[5 * number : 5 * number + 5]
        assert [outcome.code for outcome in of_this] == [0, 130, 130, 0, 0], of_this
        for stopped, env_steps in zip(of_this[1:3], (190, 411), strict=True):
            assert f"Interrupted: {env_steps} env steps" in stopped.stdout
        whole, cut = results_of(folder / f"{number}-whole"), results_of(folder / f"{number}-cut")
        assert [file for file in whole if whole[file] != cut[file]] == [], name
        assert min(whole["log.csv"].count(b"\n"), whole["evaluation.csv"].count(b"\n")) > 3


def test_resuming_a_finished_run_says_so_and_ends_well(played):
    _, _, outcomes = played
    assert outcomes[-1].code == 0, outcomes[-1].stderr
    assert "is finished" in outcomes[-1].stdout
    assert f"{STEPS} env steps" in outcomes[-1].stdout
