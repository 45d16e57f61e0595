"""10,000 mutated presets and `--set` strings: a preset that reads back, or one readable refusal."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile import preset_cases
from hostile.big_presets import BIG_PRESETS
from hostile.support import check, every
from hostile.worker import Worker

FAST, FULL = 300, 5_000  # of files and of strings each
CORPUS = sorted((Path(__file__).resolve().parent.parent / "corpus" / "presets").glob("*.toml"))


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker()
    make_folder(worker.folder)
    yield worker
    worker.close()


def make_folder(folder: Path) -> None:
    """What a case in `folder` may name: itself in a circle, a long chain, and what is no file."""
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


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_what_once_ended_in_a_traceback_is_refused(worker: Worker, path: Path) -> None:
    outcome = worker.read("preset", str(path), [])
    check(outcome)
    assert outcome.startswith("refused")
    assert outcome.isprintable()


@pytest.mark.parametrize("name", BIG_PRESETS)
def test_what_once_took_minutes_is_refused_at_once(worker: Worker, name: str) -> None:
    (worker.folder / "mine.toml").write_text(BIG_PRESETS[name])
    outcome = worker.read("preset", "mine.toml", [])
    check(outcome)
    assert outcome.startswith("refused")


@pytest.mark.parametrize(
    "override",
    [
        "agent.gamma=" + "9" * 5_000,
        "agent.gamma=1" + "0" * 400,
        "agent.gamma=0x" + "f" * 5_000,
        "env.kwargs." + "a." * 3_000 + "b=1",
        "env.kwargs.x=" + "[" * 3_000,
        "env.kwargs.x=" + "[" * 100 + "]" * 100,
        "env.kwargs.x={" + "a." * 30_000 + "a=1}",
        "env.kwargs.x=0x" + "f" * 4_000,
        "env=" + "x" * 100_000,
        "description=\udc80",
        'agent."a[b"=1',
        'agent={ "a[b" = 1 }',
        "int=1",
    ],
    ids=lambda override: override[:20].encode("unicode_escape").decode(),
)
def test_an_override_that_once_failed_is_refused(worker: Worker, override: str) -> None:
    outcome = worker.read("preset", "cartpole", [override])
    check(outcome)
    assert outcome.startswith("refused")


@pytest.mark.parametrize(
    "name",
    [
        *("chain0.toml", "zero.toml", "pipe.toml", "huge.toml", "loop.toml", "folder.toml"),
        *("/dev/zero", "/dev/stdin", "/proc/self/environ", "other.toml", "bytes.toml", "a\0.toml"),
        "x" * 300 + ".toml",
    ],
)
@pytest.mark.parametrize("way", ["named", "extended"])
def test_what_is_no_preset_file_is_refused(worker: Worker, name: str, way: str) -> None:
    (worker.folder / "mine.toml").write_text(f'extends = "{name}"\n'.replace("\0", "\\u0000"))
    outcome = worker.read("preset", name if way == "named" else "mine.toml", [])
    check(outcome)
    assert outcome.startswith("refused")


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../up", "a/b", "a/../../b", "/abs", "a\\n", ".hidden", "-rf", "a\\u0000", "~"],
)
def test_a_preset_is_never_called_what_leads_out_of_the_run_directory(
    worker: Worker, name: str
) -> None:
    (worker.folder / "mine.toml").write_text(f'name = "{name}"\nextends = "cartpole"\n')
    outcome = worker.read("preset", "mine.toml", [])
    assert outcome.startswith("refused")
    assert "name" in outcome
