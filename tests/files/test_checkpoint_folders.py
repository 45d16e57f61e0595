"""Checkpoints on disk: the newest whole one, its entries in segments, no damage unnoticed."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from kerasrl_runner.errors import CheckpointError, RunError
from kerasrl_runner.files import atomic
from kerasrl_runner.files.checkpoint import Checkpoint, CheckpointFolder

CAPACITY = 10


def write(folder: CheckpointFolder, appended: int, weight: float = 0.0) -> list[int]:
    """Checkpoint a memory whose entry number i holds i; returns the firsts that were asked for."""
    asked = []

    def entries(first: int) -> dict[str, np.ndarray]:
        asked.append(first)
        return {"number": np.arange(first, appended), "flag": np.arange(first, appended) % 2 == 0}

    folder.write(
        {"weights": np.full(3, weight)},
        {"step": appended},
        appended=appended,
        capacity=CAPACITY,
        entries=entries,
    )
    return asked


@pytest.fixture
def folder(tmp_path) -> CheckpointFolder:
    return CheckpointFolder(tmp_path / "checkpoint")


def files(folder: CheckpointFolder) -> set[str]:
    return {path.name for path in folder.path.iterdir()}


def test_what_was_written_is_read(folder):
    write(folder, 4, weight=2.5)
    read = folder.read()
    assert read.arrays["weights"].tolist() == [2.5] * 3
    assert read.scalars == {"step": 4}
    assert read.appended == 4
    assert read.entries["number"].tolist() == [0, 1, 2, 3]
    assert read.entries["flag"].tolist() == [True, False, True, False]


def test_an_empty_memory_has_no_entries(folder):
    assert write(folder, 0) == []
    assert folder.read().entries == {}


def test_a_checkpoint_adds_the_entries_since_the_one_before(folder):
    write(folder, 4)
    assert write(folder, 6) == [4]
    assert write(folder, 6) == []
    assert {"replay-0-4.npz", "replay-4-6.npz"} <= files(folder)
    assert folder.read().entries["number"].tolist() == list(range(6))


@pytest.mark.parametrize("steps", [(4, 6, 9, 13, 17), (3, 30), (10, 11), (25, 26, 60), (9, 19, 29)])
def test_the_newest_entries_are_kept_over_any_number_of_rounds(folder, steps):
    for appended in steps:
        write(folder, appended)
        expected = list(range(max(0, appended - CAPACITY), appended))
        assert folder.read().entries["number"].tolist() == expected


def test_segments_that_the_memory_no_longer_reaches_are_dropped(folder):
    for appended in range(3, 60, 3):
        write(folder, appended)
    names = files(folder)
    assert "replay-0-3.npz" not in names
    assert sum(name.startswith("replay") for name in names) <= CAPACITY / 3 + 2
    assert sum(name.startswith("state") for name in names) == 1


def test_leftovers_of_a_killed_writer_are_cleared_away(folder):
    write(folder, 3)
    (folder.path / ".state-1.77.npz").write_bytes(b"half")
    (folder.path / "replay-3-9.npz").write_bytes(b"not in the manifest")
    write(folder, 5)
    assert files(folder) == {
        "checkpoint.json", "state-1.npz", "replay-0-3.npz", "replay-3-5.npz"
    }  # fmt: skip


@pytest.mark.parametrize("call", range(9))
@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_write_that_fails_anywhere_leaves_the_checkpoint_before(folder, monkeypatch, name, call):
    write(folder, 4, weight=1.0)
    done = 0
    real = getattr(atomic.os, name)

    def failing(*arguments):
        nonlocal done
        done += 1
        if done == call + 1:
            raise OSError(28, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(atomic.os, name, failing)
    try:
        write(folder, 7, weight=2.0)
    except RunError as error:
        assert "No space left" in str(error)  # noqa: PT017
    monkeypatch.undo()
    read = folder.read()
    assert (read.appended, read.arrays["weights"][0]) in [(4, 1.0), (7, 2.0)]
    assert read.entries["number"].tolist() == list(range(read.appended))
    write(folder, 8, weight=3.0)
    assert folder.read().entries["number"].tolist() == list(range(8))


def test_without_a_checkpoint_it_says_how_that_came(folder):
    assert not folder.exists()
    with pytest.raises(CheckpointError, match="--checkpoint-every 0"):
        folder.read()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, "\udcff", '{"format": 1}'])
def test_a_manifest_that_is_none_is_refused(folder, text):
    write(folder, 4)
    (folder.path / "checkpoint.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CheckpointError):
        folder.read()


def test_a_missing_segment_is_named(folder):
    write(folder, 4)
    write(folder, 6)
    (folder.path / "replay-0-4.npz").unlink()
    with pytest.raises(CheckpointError, match=r"replay-0-4\.npz"):
        folder.read()


def test_the_best_weights_are_kept_as_they_were(folder, tmp_path):
    best_file = tmp_path / "best.h5"

    def write_with_best(env_steps: int) -> None:
        folder.write({}, {}, appended=0, capacity=1, entries=dict, best=(env_steps, best_file))

    best_file.write_bytes(b"of step 5")
    write_with_best(5)
    best_file.write_bytes(b"of step 9, and no checkpoint since")
    assert folder.read().best_file.read_bytes() == b"of step 5"
    write_with_best(9)
    assert folder.read().best_file.read_bytes() == b"of step 9, and no checkpoint since"
    assert files(folder) == {"checkpoint.json", "state-1.npz", "best-9.h5"}


def content_of(checkpoint: Checkpoint) -> tuple:
    columns = (checkpoint.arrays, checkpoint.entries)
    arrays = [{k: (v.dtype, v.shape, v.tobytes()) for k, v in c.items()} for c in columns]
    return arrays, checkpoint.scalars, checkpoint.appended


def test_damage_is_refused_or_changes_nothing(folder, tmp_path):
    """Truncated, a bit or twenty bytes changed, bytes missing; in every file, 280 times."""
    for appended in (3, 5, 8):
        write(folder, appended, weight=1.5)
    expected = content_of(folder.read())
    generator = np.random.default_rng(0)
    case, names = CheckpointFolder(tmp_path / "case"), sorted(files(folder))
    refused = 0
    for number in range(280):
        shutil.copytree(folder.path, case.path, dirs_exist_ok=True)
        path = case.path / names[number % len(names)]
        content = bytearray(path.read_bytes())
        place = int(generator.integers(len(content)))
        if number % 4 == 0:
            del content[place:]
        elif number % 4 == 1:
            content[place] ^= 1 << int(generator.integers(8))
        elif number % 4 == 2:
            content[place : place + 20] = generator.bytes(20)
        else:
            del content[place : place + int(generator.integers(1, 50))]
        path.write_bytes(content)
        try:
            read = case.read()
        except CheckpointError as error:
            assert len(str(error)) < 1_000  # noqa: PT017
            refused += 1
        else:  # A date of the archive, or another byte that says nothing.
            assert content_of(read) == expected
    assert refused > 200


def test_pickled_objects_are_never_loaded(folder):
    write(folder, 4)
    np.savez(folder.path / "state-0.npz", weights=np.array([{"a": 1}], object))
    with pytest.raises(CheckpointError, match="pickle"):
        folder.read()
