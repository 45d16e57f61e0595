"""Damaged and forged checkpoints: refused with an explanation, or whole; never anything else."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kerasrl_runner.engines import build_learner
from kerasrl_runner.engines.learner import Learner
from kerasrl_runner.errors import RunnerError
from kerasrl_runner.files.checkpoint import CheckpointFolder, checksum
from kerasrl_runner.files.run_directory import RunDirectory
from kerasrl_runner.preset import load_preset
from kerasrl_runner.runs.checkpoint import Checkpoints, cut_logs, restore

DAMAGED = 700
FORGED = 300
SECONDS = 5


def learner() -> Learner:
    sections = {"memory": {"limit": 100}, "agent": {"nb_steps_warmup": 40}}
    return build_learner(load_preset("cartpole-kerasrl", sections=sections), 0, "reference")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A checkpoint of three segments."""
    folder = tmp_path_factory.mktemp("whole")
    trained = learner()
    checkpoints = Checkpoints(RunDirectory(folder), trained, None, {}, 1)
    for env_steps in (60, 90, 130):
        trained.train(env_steps, [])
        checkpoints.write()
    return folder


@pytest.fixture(autouse=True)
def time_limit() -> Iterator[None]:
    signal.alarm(SECONDS * 60)  # of all the cases of a test; each takes milliseconds
    yield
    signal.alarm(0)


def state_of(learner: Learner) -> tuple:
    state = learner.state()
    arrays = {name: array.tobytes() for name, array in state.arrays.items()}
    return arrays, json.dumps(state.numbers), learner.replay.appended


def is_refused(folder: Path) -> bool:
    """Whether the checkpoint is refused; any other exception fails the test."""
    checkpoint = CheckpointFolder(folder / "checkpoint")
    mine = learner()
    try:
        restore(read := checkpoint.read(), mine)
        cut_logs(RunDirectory(folder), read)
    except RunnerError as error:
        assert len(str(error)) < 2_000  # noqa: PT017
        return True
    return False


def test_a_whole_one_is_taken(whole):
    assert not is_refused(whole)


def test_damage_is_refused_or_changes_nothing(whole, tmp_path):
    generator = np.random.default_rng(0)
    mine = learner()
    restore(CheckpointFolder(whole / "checkpoint").read(), mine)
    expected = state_of(mine)
    names = sorted(path.name for path in (whole / "checkpoint").iterdir())
    refused = 0
    for _ in range(DAMAGED):
        shutil.copytree(whole, tmp_path / "case", dirs_exist_ok=True)
        path = tmp_path / "case" / "checkpoint" / names[generator.integers(len(names))]
        content = bytearray(path.read_bytes())
        kind = generator.integers(4)
        if kind == 0:
            content = content[: generator.integers(len(content))]
        elif kind == 1:
            content[generator.integers(len(content))] ^= 1 << int(generator.integers(8))
        elif kind == 2:
            start = int(generator.integers(len(content)))
            content[start : start + 20] = generator.bytes(20)
        else:
            start = int(generator.integers(len(content)))
            del content[start : start + int(generator.integers(1, 50))]
        path.write_bytes(content)
        if is_refused(tmp_path / "case"):
            refused += 1
        else:  # a date or another byte that says nothing
            mine = learner()
            restore(CheckpointFolder(tmp_path / "case" / "checkpoint").read(), mine)
            assert state_of(mine) == expected
    assert refused > DAMAGED / 2


VALUES = (None, True, -1, 0, 10**25, 1.5, "3", "", "../../x", [], {}, [1, 2], {"a": {"b": []}})


def places(part: object, path: tuple = ()) -> Iterator[tuple]:
    """The path of every value in nested JSON."""
    yield path
    if isinstance(part, dict | list):
        for key in part if isinstance(part, dict) else range(len(part)):
            yield from places(part[key], (*path, key))


def test_forged_manifests_are_refused_or_taken_as_numbers(whole, tmp_path):
    generator = np.random.default_rng(1)
    manifest = json.loads((whole / "checkpoint" / "checkpoint.json").read_text())
    every = [path for path in places(manifest) if path and path != ("checksum",)]
    refused = 0
    for _ in range(FORGED):
        forged = json.loads(json.dumps(manifest))
        path = every[generator.integers(len(every))]
        part = forged
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = VALUES[generator.integers(len(VALUES))]
        forged["checksum"] = checksum({k: v for k, v in forged.items() if k != "checksum"})
        shutil.copytree(whole, tmp_path / "case", dirs_exist_ok=True)
        (tmp_path / "case" / "checkpoint" / "checkpoint.json").write_text(json.dumps(forged))
        refused += is_refused(tmp_path / "case")
    assert refused > FORGED / 2
    assert {path.name for path in tmp_path.iterdir()} == {"case"}
