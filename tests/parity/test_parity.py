"""The compiled engine and the reference give the keras-rl engine's answer, update by update."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import child_environment

sys.path.insert(0, str(Path(__file__).parent))

from cases import GRID, UPDATES, Case, pairs_of_settings, probe
from engines import CompiledEngine, ReferenceEngine

from kerasrl_runner.agents.compiled import CompiledDQNAgent

pytestmark = pytest.mark.timeout(900)  # the first test waits for all records

FOLDER = Path(__file__).parent
WARM = 20  # Adam magnifies rounding from a zero state: a running one is compared
Q_TOLERANCE = LOSS_TOLERANCE = 1e-5
CHANGE_TOLERANCE = 1e-4

# Each pair of settings occurs in these; the rest of the grid is among the slow tests.
PAIRS = [0, 7, 10, 13, 19, 20, 25, 30, 33, 38, 43, 44, 48, 55, 58, 61]
ADAM_SOFT = Case(huber=False, soft=True, double=False, dueling="", optimizer="Adam")
SGD_HARD = Case(huber=False, soft=False, double=False, dueling="", optimizer="SGD")

EACH_ENGINE = pytest.mark.parametrize("engine_class", [CompiledEngine, ReferenceEngine])


@pytest.fixture(scope="module")
def records(tmp_path_factory, request) -> dict[str, dict[str, np.ndarray]]:
    """Records of all the cases that this session's selected tests ask for, by name."""
    folder = tmp_path_factory.mktemp("records")
    wanted = sorted(
        {
            GRID.index(item.callspec.params["case"])
            for item in request.session.items
            if item.path == Path(__file__) and "case" in _parameters(item)
        }
        | {GRID.index(ADAM_SOFT), GRID.index(SGD_HARD)}
    )
    command = [sys.executable, str(FOLDER / "record.py"), str(folder), *map(str, wanted)]
    subprocess.run(command, check=True, env=child_environment(TF_USE_LEGACY_KERAS="1"))
    return {GRID[index].name: dict(np.load(folder / f"{GRID[index].name}.npz")) for index in wanted}


def _parameters(item: pytest.Item) -> dict[str, object]:
    return item.callspec.params if hasattr(item, "callspec") else {}


def worst_differences(engine: Any, record: dict[str, np.ndarray]) -> dict[str, float]:
    """Largest differences over single updates, each from keras-rl's weights and optimizer state."""
    worst = {"q": 0.0, "loss": 0.0, "change": 0.0, "target": 0.0}
    for number, loss in enumerate(engine.losses()):
        if number >= WARM:
            before, after = record["online"][number - 1 : number + 1]
            theirs, expected = record["q"][number], float(record["loss"][number])
            for name, difference, size in (
                ("change", engine.online() - after, after - before),
                ("target", engine.target() - record["target"][number], record["target"][number]),
                ("q", engine.q_values(probe()) - theirs, theirs),
                ("loss", loss - expected, max(1.0, expected)),
            ):
                worst[name] = max(worst[name], np.abs(difference).max() / np.abs(size).max())
        _put(engine, record, number)
    return worst


def _put(engine: Any, record: dict[str, np.ndarray], number: int) -> None:
    """Give the engine keras-rl's weights and optimizer state after update `number`."""
    online, target = record["online"][number], record["target"][number]
    engine.put(online, target, record["slots"][number].reshape(-1, online.size), number + 1)


def assert_same(engine: Any, record: dict[str, np.ndarray]) -> None:
    worst = worst_differences(engine, record)
    assert worst["q"] <= Q_TOLERANCE, worst
    assert worst["loss"] <= LOSS_TOLERANCE, worst
    assert worst["change"] <= CHANGE_TOLERANCE, worst
    assert worst["target"] <= Q_TOLERANCE, worst


@EACH_ENGINE
@pytest.mark.parametrize("case", [GRID[i] for i in PAIRS], ids=lambda case: case.name)
def test_one_update_from_the_same_state_gives_the_same_weights(engine_class, case, records):
    assert_same(engine_class(case), records[case.name])


@pytest.mark.slow
@EACH_ENGINE
@pytest.mark.parametrize(
    "case", [c for i, c in enumerate(GRID) if i not in PAIRS], ids=lambda case: case.name
)
def test_the_rest_of_the_grid_agrees_as_well(engine_class, case, records):
    assert_same(engine_class(case), records[case.name])


@EACH_ENGINE
@pytest.mark.parametrize("case", [ADAM_SOFT, SGD_HARD], ids=lambda case: case.name)
def test_drift_over_updates_in_a_row_stays_within_the_rounding_of_each(engine_class, case, records):
    """From the state after WARM updates each may differ by CHANGE_TOLERANCE of its own change.

    A difference in the weights moves the next gradients in turn, so the sum of those differences
    gets a factor of 10. The first updates are left out: Adam from a zero state divides by nearly
    nothing and turns a rounding into a step of its own.
    """
    record = records[case.name]
    engine = engine_class(case)
    for number, _ in enumerate(engine.losses()):
        if number < WARM:
            _put(engine, record, number)
    changes = np.abs(np.diff(record["online"][WARM - 1 :], axis=0)).max(axis=1)
    drift = np.abs(engine.online() - record["online"][-1]).max()
    assert drift <= 10 * CHANGE_TOLERANCE * changes.sum()


def late(monkeypatch) -> dict[str, float]:
    monkeypatch.setattr(
        CompiledDQNAgent,
        "_is_hard_update",
        lambda self: (self.step - 1) % self.target_model_update == 0,
    )
    return {}


def without_terminals(monkeypatch) -> dict[str, float]:
    store = CompiledDQNAgent._store_and_learn
    monkeypatch.setattr(
        CompiledDQNAgent,
        "_store_and_learn",
        lambda self, reward, terminated, learns: store(self, reward, False, learns),
    )
    return {}


def other_gamma(monkeypatch) -> dict[str, float]:
    return {"gamma": 0.95 * 0.99}


@pytest.mark.parametrize("mutation", [other_gamma, late, without_terminals])
def test_a_wrong_update_is_caught(mutation, records, monkeypatch):
    engine = CompiledEngine(SGD_HARD, **mutation(monkeypatch))
    worst = worst_differences(engine, records[SGD_HARD.name])
    assert max(worst["change"] / CHANGE_TOLERANCE, worst["target"] / Q_TOLERANCE) > 10


def test_all_pairs_of_settings_occur_in_the_fast_grid():
    assert pairs_of_settings(GRID[index] for index in PAIRS) == pairs_of_settings(GRID)


def test_the_records_hold_every_update(records):
    lengths = {name: len(record["loss"]) for name, record in records.items()}
    assert set(lengths.values()) == {UPDATES}
