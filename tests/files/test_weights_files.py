"""Weights files: written whole, read with care, no TensorFlow."""

from __future__ import annotations

import os

import h5py
import numpy as np
import pytest

from kerasrl_runner.errors import RunError, WeightsError
from kerasrl_runner.files import weights_file
from kerasrl_runner.files.hdf5 import MAX_BYTES
from kerasrl_runner.weights.file import (
    Layer,
    WeightsFile,
    read_weights,
    write_weights,
)


def example(value: float = 1.5) -> WeightsFile:
    kernel = np.full((4, 3), value, np.float32)
    bias = np.arange(3, dtype=np.float32)
    layers = (
        Layer("flatten", ()),
        Layer("dense", (("dense/kernel:0", kernel), ("dense/bias:0", bias))),
    )
    attributes = {"seed": 7, "engine": "keras-rl", "score": {"mean_return": 475.5, "episodes": 9}}
    return WeightsFile(layers, attributes)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "weights.h5"
    write_weights(path, example(), overwrite=False)
    return path


def assert_equal(left: WeightsFile, right: WeightsFile) -> None:
    assert left.attributes == right.attributes
    assert [layer.name for layer in left.layers] == [layer.name for layer in right.layers]
    for mine, theirs in zip(left.layers, right.layers, strict=True):
        assert [name for name, _ in mine.weights] == [name for name, _ in theirs.weights]
        for (_, one), (_, other) in zip(mine.weights, theirs.weights, strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype


def test_what_is_written_is_read(path):
    assert_equal(read_weights(path), example())


def test_the_layout_is_legacy_keras(path):
    with h5py.File(path) as file:
        assert list(file.attrs["layer_names"]) == [b"flatten", b"dense"]
        assert list(file["flatten"].attrs["weight_names"]) == []
        assert list(file["dense"].attrs["weight_names"]) == [b"dense/kernel:0", b"dense/bias:0"]
        assert file["dense"]["dense/kernel:0"].shape == (4, 3)
        assert file.attrs["seed"] == 7


def test_equal_weights_make_equal_files(tmp_path, path):
    write_weights(tmp_path / "again.h5", example(), overwrite=False)
    assert (tmp_path / "again.h5").read_bytes() == path.read_bytes()


def test_a_file_in_the_way_is_kept_unless_overwriting_was_asked_for(path):
    with pytest.raises(WeightsError, match=r"exists\. Pass overwrite=True"):
        write_weights(path, example(2.5), overwrite=False)
    assert_equal(read_weights(path), example())
    write_weights(path, example(2.5), overwrite=True)
    assert_equal(read_weights(path), example(2.5))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_no_number_is_never_written(path, number):
    with pytest.raises(WeightsError, match="dense/kernel:0 holds NaN or infinite numbers"):
        write_weights(path, example(number), overwrite=True)
    assert_equal(read_weights(path), example())
    assert os.listdir(path.parent) == ["weights.h5"]


def test_a_weight_that_is_no_number_is_never_read(path):
    with h5py.File(path, "r+") as file:
        file["dense"]["dense/kernel:0"][0, 0] = np.nan
    with pytest.raises(WeightsError, match=r"weights\.h5: dense/kernel:0 holds NaN"):
        read_weights(path)


def test_a_failing_disk_keeps_the_old_file(path, monkeypatch):
    def broken(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(RunError, match="No space left on device"):
        write_weights(path, example(2.5), overwrite=True)
    assert_equal(read_weights(path), example())
    assert os.listdir(path.parent) == ["weights.h5"]


@pytest.mark.parametrize("name", ["a.weights.h5", "a.keras", "a.hdf5", "a"])
def test_another_suffix_is_refused_for_both_ways(tmp_path, name):
    for attempt in (
        lambda: write_weights(tmp_path / name, example(), overwrite=True),
        lambda: read_weights(tmp_path / name),
    ):
        with pytest.raises(WeightsError, match=r"\.h5"):
            attempt()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["nothing.h5", "x" * 300 + ".h5"])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(WeightsError, match="there is no weights file"):
        read_weights(tmp_path / name)


def test_a_folder_is_no_weights_file(tmp_path):
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(WeightsError, match="there is no weights file"):
        read_weights(tmp_path / "folder.h5")


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all", b"\x89HDF\r\n\x1a\n"])
def test_what_is_not_hdf5_is_refused(tmp_path, content):
    path = tmp_path / "other.h5"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="is not a readable HDF5 weights file"):
        read_weights(path)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(path, kept):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(WeightsError, match="a truncated download is the usual cause"):
        read_weights(path)


def test_hdf5_without_keras_weights_is_refused(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["measurements"] = np.zeros(3)
    with pytest.raises(WeightsError, match=r"no layer_names.*save_weights"):
        read_weights(tmp_path / "data.h5")


@pytest.mark.parametrize("break_file", ["missing layer", "missing weight", "group", "text"])
def test_a_file_that_contradicts_itself_is_refused(path, break_file):
    with h5py.File(path, "r+") as file:
        if break_file == "missing layer":
            del file["dense"]
        else:
            del file["dense"]["dense/kernel:0"]
        if break_file == "group":
            file["dense"].create_group("dense/kernel:0")
        if break_file == "text":
            file["dense"]["dense/kernel:0"] = "a kernel"
    with pytest.raises(WeightsError, match=r"weights\.h5"):
        read_weights(path)


def test_an_absurd_shape_is_refused_before_memory_is_asked_for(path):
    side = 2 * MAX_BYTES
    with h5py.File(path, "r+") as file:
        del file["dense"]["dense/kernel:0"]
        file["dense"].create_dataset(
            "dense/kernel:0", shape=(side, side), dtype="f4", chunks=(64, 64)
        )
    assert path.stat().st_size < 100_000
    most = f"{MAX_BYTES >> 20} MiB at most in all; received float32 of shape"
    with pytest.raises(WeightsError, match=most):
        read_weights(path)


def test_the_sizes_of_all_layers_count_together(path, monkeypatch):
    monkeypatch.setattr(weights_file, "MAX_BYTES", 4 * 4 * 3 + 4 * 3)
    assert_equal(read_weights(path), example())
    monkeypatch.setattr(weights_file, "MAX_BYTES", 4 * 4 * 3 + 4 * 3 - 1)
    with pytest.raises(WeightsError, match="dense/dense/bias:0: expected numbers"):
        read_weights(path)
