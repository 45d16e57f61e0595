"""`kill -9` at any moment leaves a run that goes on to the same end, byte for byte."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import hard_presets
import pytest
from forked_runs import RESULTS, WRITES, Child, Fault, results_of, run, start

from kerasrl_runner.files.run_directory import RunDirectory

STEPS = {"reference": 3000, "compiled": 1800, "keras-rl": 900}
QUICK = {"reference": 3, "compiled": 1, "keras-rl": 0}
KILLS = {"reference": 10, "compiled": 10, "keras-rl": 2}  # of each kind

slow = pytest.mark.slow


def beginning(engine: str) -> list[str]:
    """The command that begins the run, into the folder run/."""
    settings = {
        "agent.nb_steps_warmup": 200,
        "evaluate.every_steps": STEPS[engine] // 6,
        "evaluate.episodes": 3,
        "evaluate.stop_at_return": 600,  # out of reach: CartPole-v1 ends at 500
        "memory.limit": 1000,  # full before the end
    }
    words = ["fit", "--engine", engine, "--steps", STEPS[engine], "--run-dir", "run"]
    words += ["--checkpoint-every", STEPS[engine] // 10]
    return [*map(str, words), *(w for k, v in settings.items() for w in ("--set", f"{k}={v}"))]


@dataclass(frozen=True)
class Whole:
    """An uninterrupted run: what it leaves, how long it took, what it called how often."""

    results: dict[str, bytes]
    seconds: float
    training_seconds: float
    calls: dict[str, int]
    record: dict[str, object]


def record_of(folder: Path) -> dict[str, object]:
    """What the record says of the result."""
    record = json.loads((folder / "run" / "run.json").read_text())
    return {key: record[key] for key in ("status", "error", "env_steps", "episodes", "best")}


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """engine -> its uninterrupted run, made when it is first asked for."""

    @cache
    def of(engine: str) -> Whole:
        folder = tmp_path_factory.mktemp(f"whole-{engine}")
        child = start(*beginning(engine), folder=folder)
        started = time.monotonic()
        outcome = child.finish()
        seconds = time.monotonic() - started
        assert outcome.code == 0, outcome.stderr
        (calls,) = folder.glob("calls-*")
        record = json.loads((folder / "run" / "run.json").read_text())
        return Whole(
            results_of(folder / "run"),
            seconds,
            record["wall_seconds"],
            json.loads(calls.read_text()),
            record_of(folder),
        )

    return of


def go_on(engine: str, folder: Path, fault: Fault | None = None) -> Child:
    """What a user does next: resume it, or begin it again where it had not begun."""
    if (folder / "run" / "run.json").exists():
        return start("fit", "--resume", "run", folder=folder, fault=fault)
    shutil.rmtree(folder / "run", ignore_errors=True)
    return start(*beginning(engine), folder=folder, fault=fault)


def check_same_end(whole: Whole, folder: Path) -> None:
    assert results_of(folder / "run") == whole.results
    assert record_of(folder) == whole.record
    left = {path.name for path in (folder / "run").iterdir()}
    assert left == {*RESULTS, "preset.toml", "run.json", "run.lock", "checkpoint"}
    checkpoint = folder / "run" / "checkpoint"
    manifest = json.loads((checkpoint / "checkpoint.json").read_text())
    segments = {f"replay-{first}-{end}.npz" for first, end in manifest["segments"]}
    kept = {"checkpoint.json", manifest["state"], manifest["best"], *segments} - {None}
    assert {path.name for path in checkpoint.iterdir()} == kept


def check_killed_run(engine: str, folder: Path) -> None:
    """What the killed run says of itself, and that it goes on to its end."""
    directory = RunDirectory(folder / "run")
    if directory.record_file.exists():
        assert directory.record().status in ("interrupted", "finished")
        directory.checkpoint.read()
    outcome = go_on(engine, folder).finish()
    assert (outcome.code, outcome.stderr) == (0, "")


def faults(engine: str, whole: Whole) -> list[Fault]:
    """As many as are tried, each kind of call in turn, at moments that the seed decides."""
    rng = random.Random(f"faults of {engine}")
    kinds = ("array", "fsync", "replace", "row", "bytes", "unlink", "text")
    chosen = []
    for number in range(KILLS[engine]):
        call = kinds[number % len(kinds)]
        moments = ("before", "middle", "after") if call in WRITES else ("before", "after")
        at = rng.randint(1, whole.calls[call])
        chosen.append(Fault(call, at, rng.choice(moments)))
    return chosen


# The first ones are tried always, the others by `make test-slow`.
CASES = [
    pytest.param(engine, number, marks=[slow] if number >= QUICK[engine] else [])
    for engine, kills in KILLS.items()
    for number in range(kills)
]


@pytest.mark.parametrize(("engine", "number"), CASES)
def test_a_run_killed_at_a_random_time_goes_on_to_the_same_end(engine, number, whole, tmp_path):
    expected = whole(engine)
    at = random.Random(f"time {number} of {engine}").random()
    child = start(*beginning(engine), folder=tmp_path)
    if number % 5 == 4:  # at any moment, else at one of its training
        time.sleep(at * expected.seconds)
    else:
        child.wait_for((tmp_path / "run" / "run.json").exists)
        time.sleep(at * expected.training_seconds)
    if child.running():
        child.send(signal.SIGKILL)
    assert child.finish().code in (-signal.SIGKILL, 0)
    check_killed_run(engine, tmp_path)
    check_same_end(expected, tmp_path)


@pytest.mark.parametrize(("engine", "number"), CASES)
def test_a_run_killed_in_the_midst_of_a_write_goes_on_to_the_same_end(
    engine, number, whole, tmp_path
):
    expected = whole(engine)
    fault = faults(engine, expected)[number]
    assert run(*beginning(engine), folder=tmp_path, fault=fault).code == -signal.SIGKILL
    check_killed_run(engine, tmp_path)
    check_same_end(expected, tmp_path)


@pytest.mark.parametrize(
    ("engine", "kills"),
    [
        ("reference", 6),
        pytest.param("compiled", 6, marks=slow),
        pytest.param("keras-rl", 3, marks=slow),
    ],
)
def test_a_run_killed_again_and_again_goes_on_to_the_same_end(engine, kills, whole, tmp_path):
    expected = whole(engine)
    rng = random.Random(f"chain of {engine}")
    killed = 0
    for _ in range(kills):
        # A checkpoint or two on from where it stands, so that it gets on a little each time.
        call, most = rng.choice((("fsync", 14), ("replace", 7), ("array", 16)))
        fault = Fault(call, rng.randint(3, most), rng.choice(("before", "after")))
        child = go_on(engine, tmp_path, fault)
        killed += child.finish().code == -signal.SIGKILL
    assert killed >= kills // 2
    check_killed_run(engine, tmp_path)
    check_same_end(expected, tmp_path)
    assert not re.search("Traceback", "".join(p.read_text() for p in tmp_path.glob("stderr-*")))


@pytest.mark.parametrize("way", ["steps", "return"])
@pytest.mark.parametrize(
    "engine",
    ["reference", pytest.param("compiled", marks=slow), pytest.param("keras-rl", marks=slow)],
)
def test_a_run_killed_between_its_last_checkpoint_and_its_end_learns_no_more(engine, way, tmp_path):
    """Both ends are at the 100th env step, where an episode ends and a checkpoint is due."""
    evaluate = {"every_steps": 100, "episodes": 1, "nb_max_episode_steps": 10}
    evaluate |= {"stop_at_return": -1.0} if way == "return" else {}
    steps = 100 if way == "steps" else 400
    folders = [tmp_path / "whole", tmp_path / "killed"]
    for folder in folders:
        folder.mkdir()
        preset = hard_presets.write(folder, "Walk", evaluate=evaluate, fit={"nb_steps": steps})
        arguments = ["fit", "--engine", engine, "--preset", preset, "--run-dir", "run"]
        arguments += ["--checkpoint-every", "10"]
        # The first file of bytes is best.h5, the second weights.h5.
        fault = Fault("bytes", 2, "middle") if folder.name == "killed" else None
        code = run(*arguments, folder=folder, fault=fault).code
        assert code == (-signal.SIGKILL if fault else 0)
    again = run("fit", "--resume", "run", folder=tmp_path / "killed")
    assert (again.code, again.stderr) == (0, "")
    assert record_of(tmp_path / "killed") == record_of(tmp_path / "whole")
    assert record_of(tmp_path / "killed")["env_steps"] == 100
    assert results_of(tmp_path / "killed" / "run") == results_of(tmp_path / "whole" / "run")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_run_killed_before_it_began_is_begun_again_once_its_folder_is_deleted(number, tmp_path):
    """preset.toml, checkpoint.json and run.json are its first texts."""
    preset = hard_presets.write(tmp_path, "Walk")
    arguments = ["fit", "--engine", "reference", "--preset", preset, "--run-dir", "run"]
    assert run(*arguments, folder=tmp_path, fault=Fault("text", number, "middle")).code == -9
    refusals = {
        "delete the folder and begin again": ["fit", "--resume", "run"],
        "is not empty; expected a new or empty one. Delete it": arguments,
    }
    before = sorted((tmp_path / "run").rglob("*"))
    for words, command in refusals.items():
        refused = run(*command, folder=tmp_path)
        assert refused.code == 1
        assert words in refused.stderr
    assert sorted((tmp_path / "run").rglob("*")) == before
    shutil.rmtree(tmp_path / "run")
    assert run(*arguments, folder=tmp_path).code == 0


def test_what_killed_writers_left_does_not_pile_up(tmp_path):
    preset = hard_presets.write(tmp_path, "Walk")
    arguments = ["fit", "--engine", "reference", "--preset", preset, "--run-dir", "run"]
    command = [*arguments, "--checkpoint-every", 30]
    for call, number in (("bytes", 1), ("bytes", 2), ("array", 30), ("text", 3)):
        run(*command, folder=tmp_path, fault=Fault(call, number, "middle"))
        command = ["fit", "--resume", "run"]
    hidden = list((tmp_path / "run").rglob(".*"))
    assert 0 < len(hidden) <= 2  # of the last two kills at most
    assert run(*command, folder=tmp_path).code == 0
    assert not list((tmp_path / "run").rglob(".*"))
