"""Hostile and broken weights files: their weights or one readable refusal, within 5 s and 1 GiB."""

from __future__ import annotations

from collections.abc import Iterator

import h5py
import numpy as np
import pytest
from hostile import h5_attacks, h5_cases
from hostile.support import check, every
from hostile.worker import Worker

from kerasrl_runner.weights.file import read_weights

FAST, FULL = 200, 2_000
CORPUS = sorted((h5_cases.CORPUS / "weights").glob("*.h5"))


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker("light")
    yield worker
    worker.close()


def read(worker: Worker, case: bytes) -> str:
    path = worker.folder / "case.h5"
    path.write_bytes(case)
    return worker.read("weights", str(path))


@every(h5_cases.damaged(), FAST)
def test_a_damaged_file_is_read_or_refused(worker: Worker, case: bytes) -> None:
    check(read(worker, case))


@every(h5_cases.rewritten, FAST)
def test_a_rewritten_file_is_read_or_refused(worker: Worker, case: bytes) -> None:
    check(read(worker, case))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_thousands_of_mutated_files_are_read_or_refused(worker: Worker) -> None:
    before = worker.cases

    @every(h5_cases.damaged(), FULL)
    def damaged(case: bytes) -> None:
        check(read(worker, case))

    @every(h5_cases.rewritten, FULL)
    def rewritten(case: bytes) -> None:
        check(read(worker, case))

    damaged()
    rewritten()
    assert worker.cases - before >= 2 * FULL


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_what_once_hung_or_crashed_is_read_or_refused(worker: Worker, path) -> None:
    check(worker.read("weights", str(path)))


@pytest.mark.parametrize(
    "case", [h5_cases.header_in_itself, h5_cases.tree_in_itself, h5_cases.heap_of_nothings]
)
def test_what_has_no_end_is_refused(worker: Worker, case) -> None:
    outcome = read(worker, case())
    check(outcome)
    assert "more parts than" in outcome


@pytest.mark.parametrize("name", h5_attacks.ATTACKS)
def test_what_is_hostile_on_purpose_is_refused(worker: Worker, name: str) -> None:
    attack, words = h5_attacks.ATTACKS[name]
    outcome = worker.read("weights", str(h5_attacks.write(attack, worker.folder)))
    check(outcome)
    assert not words or (outcome.startswith("refused") and words in outcome), outcome


@pytest.mark.parametrize("path", h5_cases.MODELS, ids=lambda path: path.stem)
def test_a_good_file_is_read_as_h5py_reads_it(path) -> None:
    with h5py.File(path) as file:
        root = file.get("model_weights", file)
        layers = [
            name.decode() if isinstance(name, bytes) else name for name in root.attrs["layer_names"]
        ]
        weights = read_weights(path)
        assert [layer.name for layer in weights.layers] == layers
        assert sum(len(layer.weights) for layer in weights.layers) >= 4
        for layer in weights.layers:
            for name, value in layer.weights:
                theirs = root[layer.name][name]
                assert value.dtype == theirs.dtype
                np.testing.assert_array_equal(value, theirs[()])


@pytest.mark.parametrize("kind", ["<f2", "<f4", "<f8", ">f4", ">f8", "<i4", ">i8", "u1", "i1"])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("shape", [(), (1,), (3, 4), (0, 2), (2, 1, 3, 2)])
def test_every_plain_type_and_shape_is_read(tmp_path, kind, libver, shape) -> None:
    value = np.random.default_rng(0).integers(0, 100, shape).astype(kind)
    with h5py.File(tmp_path / "w.h5", "w", libver=libver) as file:
        file.attrs["layer_names"] = np.array([b"one"])
        file.create_group("one").attrs["weight_names"] = ["one/w:0"]
        file["one"]["one/w:0"] = value
        file.attrs["seed"] = 3
    weights = read_weights(tmp_path / "w.h5")
    ((name, read),) = weights.layers[0].weights
    assert (name, weights.attributes) == ("one/w:0", {"seed": 3})
    assert read.dtype == np.dtype(kind).newbyteorder("=")
    np.testing.assert_array_equal(read, value)
