"""10,000 mutated presets and `--set` strings: a preset that reads back, or one readable refusal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile import preset_cases
from hostile.worker import Worker
from hypothesis import HealthCheck, given, settings

FAST, FULL = 300, 5_000  # of each of the two kinds


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker("light")
    make_folder(worker.folder)
    yield worker
    worker.close()


def make_folder(folder: Path) -> None:
    """What a case in `folder` may name: itself in a circle, long chains, and what is no file."""
    (folder / "other.toml").write_text('extends = "mine.toml"\n')
    (folder / "link.toml").symlink_to("mine.toml")
    (folder / "loop.toml").symlink_to("loop.toml")
    (folder / "zero.toml").symlink_to("/dev/zero")
    (folder / "folder.toml").mkdir()
    (folder / "sub").mkdir()
    (folder / "bytes.toml").write_bytes(bytes(range(256)))
    os.mkfifo(folder / "pipe.toml")
    with (folder / "huge.toml").open("wb") as huge:
        huge.truncate(1 << 40)
    for number in range(1_500):
        (folder / f"chain{number}.toml").write_text(f'extends = "chain{number + 1}.toml"\n')
    (folder / "chain1500.toml").write_text('extends = "cartpole"\n')


def check(outcome: str) -> None:
    assert outcome == "read" or outcome.startswith("refused: "), outcome


def every(strategy: Any, examples: int) -> Callable[[Any], Any]:
    """The same `examples` cases at each run."""
    health = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    chosen = settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=health,
    )
    return lambda test: chosen(given(case=strategy)(test))


def read_file(worker: Worker, case: bytes) -> None:
    (worker.folder / "mine.toml").write_bytes(case)
    check(worker.read("preset", "mine.toml", []))


def read_override(worker: Worker, case: str) -> None:
    check(worker.read("preset", "cartpole", [case]))


@every(preset_cases.preset_bytes(), FAST)
def test_a_mutated_preset_is_read_or_refused(worker: Worker, case: bytes) -> None:
    read_file(worker, case)


@every(preset_cases.overrides, FAST)
def test_a_mutated_override_is_read_or_refused(worker: Worker, case: str) -> None:
    read_override(worker, case)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_mutations_are_read_or_refused(worker: Worker) -> None:
    before = worker.cases

    @every(preset_cases.preset_bytes(), FULL)
    def files(case: bytes) -> None:
        read_file(worker, case)

    @every(preset_cases.overrides, FULL)
    def strings(case: str) -> None:
        read_override(worker, case)

    files()
    strings()
    assert worker.cases - before >= 2 * FULL
