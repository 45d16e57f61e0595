"""What `--resume` refuses, with the difference shown and nothing changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from commands import Outcome, run_many

COMMON = ["--engine", "reference", "--steps", "300", "--quiet", "--seed", "4"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A folder with two runs, one of them without checkpoints."""
    folder = tmp_path_factory.mktemp("runs")
    jobs = [
        {"arguments": ["fit", *COMMON, "--checkpoint-every", every, "--run-dir", f"every-{every}"]}
        for every in ("50", "0")
    ]
    for outcome in run_many(jobs, folder, 120):
        assert outcome.code == 0, outcome.stderr
    return folder


def resume(folder: Path, *arguments: str, run: str = "every-50") -> Outcome:
    job = {"arguments": ["fit", "--resume", run, "--steps", "400", "--quiet", *arguments]}
    return run_many([job], folder, 120)[0]


def content(folder: Path) -> dict[str, bytes]:
    """What the runs in the folder hold."""
    return {str(path): path.read_bytes() for path in folder.glob("*/**/*") if path.is_file()}


def change_record(folder: Path, **changes: object) -> None:
    path = folder / "every-50" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--seed", "5"], 1, ("seed is 4, not 5",)),
        (["--engine", "compiled"], 1, ("engine is 'reference', not 'compiled'",)),
        (["--preset", "cartpole", "--set", "agent.gamma=0.5"], 1, ("agent.gamma is", "not 0.5")),
        (["--preset", "cartpole-kerasrl"], 1, ("memory.limit is 2000, not 50000", "env")),
        (["--steps", "299"], 2, ("more env steps, not fewer", "300", "299")),
        (["--run-dir", "other"], 2, ("--run-dir",)),
        (["--checkpoint-every", "7"], 2, ("--checkpoint-every",)),
        (["--initial-weights", "w.h5"], 2, ("--initial-weights",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_run_goes_on_as_it_was_begun_or_not_at_all(finished, arguments, code, words):
    before = content(finished)
    outcome = resume(finished, *arguments)
    assert outcome.code == code, outcome
    for word in words:
        assert word in outcome.stderr
    assert content(finished) == before


def test_naming_what_it_was_begun_with_is_no_difference(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "copy")
    same = ("--preset", "cartpole", "--seed", "4", "--engine", "reference")
    outcome = resume(tmp_path / "copy", *same)
    assert outcome.code == 0, outcome.stderr
    assert "400 env steps" in outcome.stdout


def test_another_version_is_refused_with_both_named(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "copy")
    record = json.loads((finished / "every-50" / "run.json").read_text())
    change_record(tmp_path / "copy", versions=record["versions"] | {"numpy": "1.26.4"})
    outcome = resume(tmp_path / "copy")
    assert outcome.code == 1
    assert f"numpy was 1.26.4, now it is {record['versions']['numpy']}" in outcome.stderr


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": "4"},
        {"engine": 3},
        {"steps": None},
        {"versions": []},
        {"checkpoint_every": "x"},
        {"status": None},
        {"wall_seconds": "long"},
        {"best": "best.h5"},
        {"episodes": []},
    ],
    ids=str,
)
def test_a_broken_record_is_refused(finished, tmp_path, changes):
    shutil.copytree(finished, tmp_path / "copy")
    change_record(tmp_path / "copy", **changes)
    outcome = resume(tmp_path / "copy")
    assert outcome.code in (1, 2)
    assert "Traceback" not in outcome.stderr
    assert next(iter(changes)) in outcome.stderr


def test_a_run_without_checkpoints_says_so(finished):
    outcome = resume(finished, run="every-0")
    assert outcome.code == 1
    assert "--checkpoint-every 0" in outcome.stderr


def test_a_log_that_lost_rows_is_refused(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "copy")
    (tmp_path / "copy" / "every-50" / "log.csv").write_text("episode\n")
    outcome = resume(tmp_path / "copy")
    assert outcome.code == 1
    assert "shorter than at the checkpoint" in outcome.stderr


def test_a_checkpoint_of_another_network_is_refused(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "copy")
    job = ["fit", *COMMON, "--checkpoint-every", "50", "--run-dir", "other"]
    other = [*job, "--set", "model.layers=[{Dense={units=3}}]"]
    assert run_many([{"arguments": other}], tmp_path / "copy", 120)[0].code == 0
    own, others = (tmp_path / "copy" / run / "checkpoint" for run in ("every-50", "other"))
    shutil.rmtree(own)
    shutil.copytree(others, own)
    outcome = resume(tmp_path / "copy")
    assert outcome.code == 1
    assert "not of this training" in outcome.stderr


def test_no_such_run_is_named(finished):
    outcome = resume(finished, run="nothing")
    assert outcome.code == 1
    assert '"nothing" names 0 runs' in outcome.stderr
