"""Whatever a user does wrong ends in one message that helps, and changes nothing."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
from bad_input import CASES, Case
from commands import Outcome, run_many


@dataclass(frozen=True)
class Result:
    outcome: Outcome
    folder: Path
    before: dict[str, bytes]


def content(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` and what it holds; folders hold nothing."""
    return {
        str(path.relative_to(folder)): b"" if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
        if "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """All cases in one child process, each in a folder of its own."""
    root = tmp_path_factory.mktemp("bad")
    jobs, before = [], {}
    for number, case in enumerate(CASES):
        folder = root / str(number)
        folder.mkdir()
        case.prepare(folder)
        before[case.name] = content(folder)
        jobs.append(
            {
                "arguments": shlex.split(case.arguments),
                "folder": str(folder),
                "environment": dict(case.environment),
            }
        )
    outcomes = run_many(jobs, root, timeout=240)
    return {
        case.name: Result(outcome, Path(job["folder"]), before[case.name])
        for case, job, outcome in zip(CASES, jobs, outcomes, strict=True)
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input(case: Case, results: dict[str, Result]):
    result = results[case.name]
    outcome = result.outcome
    assert "Traceback" not in outcome.stderr, outcome.stderr
    assert outcome.code == case.code
    assert sum(line.lower().startswith("error:") for line in outcome.stderr.splitlines()) == 1
    for word in case.words:
        assert word in outcome.stderr
    # `test` says what it tests before it meets a problem of those weights.
    assert outcome.stdout == "" or outcome.stdout.startswith("Testing the weights weights.h5")
    assert outcome.stdout.count("\n") <= case.arguments.startswith("test")
    assert content(result.folder) == result.before
