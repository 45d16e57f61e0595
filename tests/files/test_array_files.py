"""Arrays on disk: equal after a round trip, and every damage noticed."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from kerasrl_runner.errors import CheckpointError
from kerasrl_runner.files.arrays_file import read_arrays, write_arrays

ENTRY = np.dtype([("observation", np.float32, (4,)), ("action", np.int64), ("terminated", bool)])


def arrays() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    entries = np.zeros(7, ENTRY)
    entries["observation"] = generator.normal(size=(7, 4))
    return {
        "online": generator.normal(size=(5, 3)),
        "columns/first": np.asfortranarray(generator.normal(size=(4, 6))),
        "step": np.array(3, np.int64),
        "nothing": np.zeros((0, 4), np.float32),
        "entries": entries,
    }


def test_what_was_written_is_read_bit_for_bit(tmp_path):
    write_arrays(tmp_path / "a.npz", arrays())
    read = read_arrays(tmp_path / "a.npz")
    assert list(read) == list(arrays())
    for name, array in arrays().items():
        assert read[name].dtype == array.dtype
        assert read[name].shape == array.shape
        assert read[name].tobytes() == array.tobytes()
        read[name][...] = 0  # the reader's own, not a view of the file


def test_equal_arrays_give_equal_files(tmp_path):
    for name in "ab":
        write_arrays(tmp_path / f"{name}.npz", arrays())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_numpy_reads_it_too(tmp_path):
    write_arrays(tmp_path / "a.npz", arrays())
    with np.load(tmp_path / "a.npz") as loaded:
        assert np.array_equal(loaded["online"], arrays()["online"])


def test_every_flipped_byte_of_the_arrays_is_noticed(tmp_path):
    path = tmp_path / "a.npz"
    values = np.arange(50, dtype=np.float64)
    write_arrays(path, {"values": values})
    whole = path.read_bytes()
    start = whole.index(values.tobytes())
    for place in range(start, start + values.nbytes):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(CheckpointError, match="damaged"):
            read_arrays(path)


def test_a_flipped_byte_elsewhere_is_noticed_or_changes_nothing(tmp_path):
    path = tmp_path / "a.npz"
    write_arrays(path, arrays())
    whole = path.read_bytes()
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        try:
            read = read_arrays(path)
        except CheckpointError:
            continue
        for name in read:
            if name in arrays():  # a name that changed is the reader's caller's to notice
                assert read[name].tobytes() == arrays()[name].tobytes(), place


@pytest.mark.parametrize("size", [0, 1, 100, 1_000, -1])
def test_a_truncated_file_is_refused(tmp_path, size):
    path = tmp_path / "a.npz"
    write_arrays(path, arrays())
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CheckpointError, match="damaged"):
        read_arrays(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"gone\.npz"):
        read_arrays(tmp_path / "gone.npz")


def test_pickled_objects_are_never_loaded(tmp_path):
    np.savez(tmp_path / "a.npz", bad=np.array([{"a": 1}], object))
    with pytest.raises(CheckpointError):
        read_arrays(tmp_path / "a.npz")


def test_compressed_members_are_refused_since_they_could_claim_any_size(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", zeros=np.zeros(10_000_000))
    assert (tmp_path / "a.npz").stat().st_size < 100_000
    with pytest.raises(CheckpointError, match="compressed"):
        read_arrays(tmp_path / "a.npz")


def test_a_header_that_claims_more_than_there_is_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(4))
    content = (tmp_path / "a.npy").read_bytes().replace(b"(4,)", b"(1099511627776,)"[:4])
    content = content.replace(b"'shape': (109", b"'shape': (9,)")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", content)
    with pytest.raises(CheckpointError):
        read_arrays(tmp_path / "a.npz")
