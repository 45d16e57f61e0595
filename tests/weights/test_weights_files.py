"""Weights files: written whole, read by h5py within limits, no TensorFlow."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from commands import python

from kerasrl_runner.errors import RunError, WeightsError, WeightsNotFound
from kerasrl_runner.weights.file import (
    Layer,
    WeightsFile,
    check_suffix,
    read_weights,
    write_weights,
)

CONFIG = {"class_name": "Sequential", "config": {"name": "q_network", "layers": []}}
KERNEL = "model_weights/dense/dense/kernel:0"


def example(value: float = 1.5) -> WeightsFile:
    kernel = np.full((4, 3), value, np.float32)
    bias = np.arange(3, dtype=np.float32)
    count, nothing = np.array(7, np.int64), np.zeros((0, 2), np.float32)
    layers = (
        Layer("flatten", ()),
        Layer("dense", (("dense/kernel:0", kernel), ("dense/bias:0", bias))),
        Layer("custom", (("custom/count:0", count), ("nothing", nothing))),
    )
    attributes = {
        "seed": 7,
        "rate": 0.5,
        "engine": "keras-rl",
        "score": {"mean_return": 475.5, "episodes": 9},
        "preset": "# ä preset of more than HDF5 puts into an object's header\n" * 2_000,
    }
    return WeightsFile(layers, CONFIG, attributes)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "weights.h5"
    write_weights(path, example(), overwrite=False)
    return path


def assert_equal(left: WeightsFile, right: WeightsFile) -> None:
    assert (left.attributes, left.config) == (right.attributes, right.config)
    assert [layer.name for layer in left.layers] == [layer.name for layer in right.layers]
    for mine, theirs in zip(left.layers, right.layers, strict=True):
        assert [name for name, _ in mine.weights] == [name for name, _ in theirs.weights]
        for (_, one), (_, other) in zip(mine.weights, theirs.weights, strict=True):
            np.testing.assert_array_equal(one, other)
            assert (one.dtype, one.shape) == (other.dtype, other.shape)


@pytest.mark.parametrize("config", [CONFIG, None], ids=["model", "weights alone"])
def test_what_is_written_is_read(tmp_path, config):
    written = WeightsFile(example().layers, config, example().attributes)
    write_weights(tmp_path / "w.h5", written, overwrite=False)
    assert_equal(read_weights(tmp_path / "w.h5"), written)


def test_equal_weights_make_equal_files_at_any_time(tmp_path, path):
    time.sleep(1.1)  # HDF5 would write down seconds
    write_weights(tmp_path / "again.h5", example(), overwrite=False)
    assert (tmp_path / "again.h5").read_bytes() == path.read_bytes()


def test_a_file_in_the_way_is_kept_unless_overwriting_was_asked_for(path):
    with pytest.raises(WeightsError, match=r"exists\. Pass overwrite=True"):
        write_weights(path, example(2.5), overwrite=False)
    assert_equal(read_weights(path), example())
    write_weights(path, example(2.5), overwrite=True)
    assert_equal(read_weights(path), example(2.5))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_not_finite_is_never_written(path, number):
    with pytest.raises(WeightsError, match="dense/kernel:0 holds NaN or infinite numbers"):
        write_weights(path, example(number), overwrite=True)
    assert_equal(read_weights(path), example())
    assert os.listdir(path.parent) == ["weights.h5"]


def test_a_failing_disk_keeps_the_old_file(path, monkeypatch):
    def broken(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(RunError, match="No space left on device"):
        write_weights(path, example(2.5), overwrite=True)
    assert_equal(read_weights(path), example())
    assert os.listdir(path.parent) == ["weights.h5"]


def test_the_suffix_of_another_format_is_refused_for_both_ways(tmp_path):
    path = tmp_path / "a.weights.h5"
    for attempt in (
        lambda: check_suffix(path),  # for what names a file before a training
        lambda: write_weights(path, example(), overwrite=True),
        lambda: read_weights(path),
    ):
        with pytest.raises(WeightsError, match=r"\.weights\.h5 means another file format"):
            attempt()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["nothing.h5", "x" * 300 + ".h5", "folder.h5"])
def test_a_missing_file_is_named(tmp_path, name):
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(WeightsNotFound, match="there is no weights file"):
        read_weights(tmp_path / name)


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.999])
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


def test_what_keras_2_wrote_in_2018_is_read(tmp_path):
    """HDF5's oldest layout, texts as bytes, any name, and layers without weights."""
    kernel, bias = np.ones((4, 2), np.float32), np.zeros(2, np.float32)
    with h5py.File(tmp_path / "dqn_weights.h5f", "w", libver="earliest") as file:
        file.attrs["layer_names"] = [b"flatten_1", b"dense_1"]
        file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.1.6"
        file.create_group("flatten_1").attrs["weight_names"] = np.array([])
        dense = file.create_group("dense_1")
        dense.attrs["weight_names"] = [b"dense_1/kernel:0", b"dense_1/bias:0"]
        dense["dense_1/kernel:0"], dense["dense_1/bias:0"] = kernel, bias
    flatten, read = read_weights(tmp_path / "dqn_weights.h5f").layers
    assert flatten == ("flatten_1", ())
    for (_, value), expected in zip(read.weights, (kernel, bias), strict=True):
        np.testing.assert_array_equal(value, expected)


def replace_kernel(file: h5py.File, **arguments: object) -> None:
    del file[KERNEL]
    file.create_dataset(KERNEL, **arguments)


def link_to(link: object):
    def change(file: h5py.File) -> None:
        del file[KERNEL]
        file[KERNEL] = link

    return change


def make_virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[...] = h5py.VirtualSource("other.h5", "kernel", (4, 3))
    del file[KERNEL]
    file.create_virtual_dataset(KERNEL, layout)


REFUSED = {
    "missing layer": (lambda file: file.pop("model_weights/dense"), "dense is missing"),
    "missing weight": (lambda file: file.pop(KERNEL), "kernel:0 is missing"),
    "group for a weight": (lambda file: (file.pop(KERNEL), file.create_group(KERNEL)), "no array"),
    "text for a weight": (lambda file: replace_kernel(file, data="a kernel"), "no array"),
    "NaN": (lambda file: file[KERNEL].write_direct(np.full((4, 3), np.nan, "f4")), "holds NaN"),
    "soft link": (link_to(h5py.SoftLink("/model_weights/dense/dense/bias:0")), "link to elsewhere"),
    "external link": (link_to(h5py.ExternalLink("other.h5", "/")), "link to elsewhere"),
    "external array": (
        lambda file: replace_kernel(file, shape=4, dtype="f4", external=[("secret", 0, 16)]),
        "kept in another file",
    ),
    "virtual array": (make_virtual, "kept in another file"),
    "absurd shape": (
        lambda file: replace_kernel(file, shape=(2**40,), dtype="f4", chunks=(64,)),
        "larger than the file",
    ),
    "absurd compressed shape": (
        lambda file: replace_kernel(file, shape=(2**40,), dtype="f4", compression="gzip"),
        "larger than the file",
    ),
    "broken configuration": (lambda file: file.attrs.update(model_config="{"), "not a readable"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_broken_or_leads_out_of_the_file_is_refused(path, name):
    change, words = REFUSED[name]
    (path.parent / "secret").write_bytes(bytes(16))
    with h5py.File(path.parent / "other.h5", "w") as file:
        file["kernel"] = np.ones((4, 3), np.float32)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(WeightsError, match=words):
        read_weights(path)


@pytest.mark.parametrize("kind", ["<f2", ">f4", "<f8", "<i4", "u1"])
@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}, {"chunks": (2, 2)}], ids=str)
def test_arrays_of_others_are_read_as_h5py_reads_them(tmp_path, kind, options):
    value = np.random.default_rng(0).integers(0, 100, (30, 4)).astype(kind)
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names"] = ["one"]
        file.create_group("one").attrs["weight_names"] = ["one/w:0"]
        file["one"].create_dataset("one/w:0", data=value, **options)
    ((_, read),) = read_weights(tmp_path / "w.h5").layers[0].weights
    assert read.dtype == np.dtype(kind).newbyteorder("=")
    np.testing.assert_array_equal(read, value)


# Reads damaged copies of a file: 1 to 16 bytes changed, or every tenth cut short.
READ_DAMAGED = """
import random, signal, sys
from pathlib import Path
import numpy as np
from kerasrl_runner.errors import WeightsError
from kerasrl_runner.weights.file import read_weights

good = Path("weights.h5")
content, expected = good.read_bytes(), read_weights(good).layers
generator, case, read = random.Random({seed}), Path("case.h5"), 0
for number in range({count}):
    data = bytearray(content)
    for _ in range(generator.randint(1, 16)):
        data[generator.randrange(len(data))] = generator.randrange(256)
    if number % 10 == 0:
        del data[generator.randrange(len(data)):]
    case.write_bytes(data)
    signal.alarm(5)  # ends this process where a read hangs
    try:
        layers = read_weights(case).layers
    except WeightsError:
        continue
    finally:
        signal.alarm(0)
    read += 1
    assert len(layers) == len(expected), number
    for mine, theirs in zip(layers, expected):
        for (name, value), (other, wanted) in zip(mine.weights, theirs.weights, strict=True):
            assert name == other and np.array_equal(value, wanted), (number, name)
print(read)
"""


@pytest.mark.parametrize(
    ("count", "seed"), [(300, 0), pytest.param(5_000, 1, marks=pytest.mark.slow)]
)
def test_damaged_copies_are_refused_or_hold_the_same_weights(tmp_path, count, seed):
    small = WeightsFile(example().layers, CONFIG, {"preset": "[env]\n" * 20, "seed": 3})
    write_weights(tmp_path / "weights.h5", small, overwrite=False)
    read = int(python(READ_DAMAGED.format(count=count, seed=seed), tmp_path, timeout=250))
    assert read < count / 2  # nearly every part of the file has a checksum


def test_the_checksums_are_what_finds_damage(tmp_path):
    """The same damage in a file without them changes weights silently."""
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names"] = [b"one"]
        file.create_group("one").attrs["weight_names"] = [b"w:0"]
        file["one/w:0"] = np.ones(1_000, np.float32)
    write_weights(
        tmp_path / "ours.h5",
        WeightsFile((Layer("one", (("w:0", np.ones(1_000, np.float32)),)),), None, {}),
        overwrite=False,
    )
    outcomes = [read_after_damage(tmp_path / name) for name in ("w.h5", "ours.h5")]
    assert outcomes == ["changed", "refused"]


def read_after_damage(path: Path) -> str:
    data = bytearray(path.read_bytes())
    at = data.index(np.ones(1_000, np.float32).tobytes()) + random.Random(0).randrange(4_000)
    data[at] ^= 1
    path.write_bytes(data)
    try:
        ((_, value),) = read_weights(path).layers[0].weights
    except WeightsError:
        return "refused"
    return "same" if np.array_equal(value, np.ones(1_000)) else "changed"
