"""A weights file is data: what it describes runs no code, reads no files and takes no memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile.architectures import EVIL, REFUSED, Config, architectures, layer, told
from hostile.support import check, every
from hostile.worker import Worker

from kerasrl_runner.weights.file import Layer, WeightsFile, write_weights

FAST, FULL = 60, 2_000
GOOD = told(layer("Flatten"), layer("Dense", units=4), layer("Dense", units=2), shape=[1, 3])
PRESET = '[env]\nid = "CartPole-v1"\n[model]\nlayers = []\n'


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker("keras")
    (worker.folder / "evil.py").write_text(EVIL)
    check(worker.read("build", GOOD))
    yield worker
    worker.close()


def write(folder: Path, attributes: Config) -> str:
    """Good weights of the network GOOD beside hostile attributes."""
    shapes = {"dense": (3, 4), "dense_1": (4, 2)}
    layers = tuple(
        Layer(name, ((f"{name}/kernel:0", np.ones(shape)), (f"{name}/bias:0", np.ones(shape[1]))))
        for name, shape in shapes.items()
    )
    told = {"architecture": GOOD, **attributes}
    write_weights(folder / "case.h5", WeightsFile(layers, told), overwrite=True)
    return str(folder / "case.h5")


@pytest.mark.parametrize("way", ["build", "compare", "load"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_a_hostile_file_describes_is_refused(worker: Worker, name: str, way: str) -> None:
    described: Any = json.loads(json.dumps(REFUSED[name]))
    if way == "load":
        described = write(worker.folder, {"architecture": described})
    outcome = worker.read(way, described)
    check(outcome)
    assert outcome.startswith("refused"), outcome
    assert not (worker.folder / "pwned").exists()


@pytest.mark.parametrize(
    "attributes",
    [
        {"preset": "not a preset"},
        {"preset": '{"a": 1}'},
        {"preset": 7},
        {"preset": f"name = '..'\n{PRESET}"},
        {"preset": PRESET.replace("[model]", "observation_scale = [1, 2, 3, 4, 5]\n[model]")},
        {"preset": "extends = '/etc/passwd.toml'"},
        {"architecture": "Sequential"},
        {"architecture": 7},
    ],
    ids=str,
)
def test_hostile_attributes_are_refused(worker: Worker, attributes: Config) -> None:
    outcome = worker.read("load", write(worker.folder, attributes))
    check(outcome)
    assert outcome.startswith("refused"), outcome


def test_the_same_file_without_hostile_attributes_is_read(worker: Worker) -> None:
    assert worker.read("load", write(worker.folder, {"preset": PRESET})) == "read"


@every(architectures, FAST)
def test_any_architecture_is_built_or_refused(worker: Worker, case: Config) -> None:
    check(worker.read("build", case))
    check(worker.read("compare", case))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_thousands_of_architectures_are_built_or_refused(worker: Worker) -> None:
    @every(architectures, FULL)
    def architecture(case: Config) -> None:
        check(worker.read("build", case))

    architecture()
    assert not (worker.folder / "pwned").exists()
