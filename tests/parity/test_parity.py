"""The compiled engine gives the keras-rl engine's answer, update by update."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cases import GRID, UPDATES, Case, agent_of, drive, probe

from kerasrl_runner.agents.compiled import CompiledDQNAgent

FOLDER = Path(__file__).parent
WARM = 20  # Adam magnifies rounding from a zero state: a running one is compared
Q_TOLERANCE = LOSS_TOLERANCE = 1e-5
CHANGE_TOLERANCE = 1e-4

# Each pair of settings occurs; the whole grid is among the slow tests.
PAIRS = [0, 7, 10, 13, 19, 20, 25, 30, 33, 38, 43, 44, 48, 55, 58, 61]


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
    subprocess.run(command, check=True, env={**os.environ, "TF_USE_LEGACY_KERAS": "1"})
    return {GRID[index].name: dict(np.load(folder / f"{GRID[index].name}.npz")) for index in wanted}


def _parameters(item: pytest.Item) -> dict[str, object]:
    return item.callspec.params if hasattr(item, "callspec") else {}


ADAM_SOFT = Case(huber=False, soft=True, double=False, dueling="", optimizer="Adam")
SGD_HARD = Case(huber=False, soft=False, double=False, dueling="", optimizer="SGD")


def worst_differences(case: Case, record: dict[str, np.ndarray], **changed) -> dict[str, float]:
    """Largest differences over single updates, each from keras-rl's weights and optimizer state."""
    agent = agent_of(case, CompiledDQNAgent, **changed)
    worst = {"q": 0.0, "loss": 0.0, "change": 0.0, "target": 0.0}
    for number, metrics in enumerate(drive(agent)):
        parameters = agent._update.parameters
        parameters.sync_to_models()
        if number >= WARM:
            before = record["online"][number - 1]
            change = record["online"][number] - before
            online, target = _flat(agent._model), _flat(agent.target_model)
            worst["change"] = max(
                worst["change"], np.abs(online - before - change).max() / np.abs(change).max()
            )
            theirs = record["q"][number]
            ours = agent.compute_batch_q_values(list(probe()))
            worst["q"] = max(worst["q"], np.abs(ours - theirs).max() / np.abs(theirs).max())
            expected = float(record["loss"][number])
            worst["loss"] = max(worst["loss"], abs(metrics[0] - expected) / max(1.0, expected))
            size = np.abs(record["target"][number]).max()
            worst["target"] = max(
                worst["target"], np.abs(target - record["target"][number]).max() / size
            )
        _put(agent, record, number)
    return worst


def _put(agent, record: dict[str, np.ndarray], number: int) -> None:
    """Give the agent keras-rl's weights and optimizer state after update `number`."""
    parameters = agent._update.parameters
    state = parameters.state()
    slots = record["slots"][number].reshape(-1, record["online"].shape[1])
    state.update(flat=record["online"][number], target=record["target"][number])
    for name in state:
        if name.startswith("optimizer/_variables/"):
            slot = int(name.rpartition("/")[2])
            state[name] = np.int64(number + 1) if slot == 0 else slots[slot - 1]
    parameters.restore(state)


def _flat(model) -> np.ndarray:
    return np.concatenate([np.ravel(weight) for weight in model.get_weights()])


def assert_same(case: Case, records) -> None:
    worst = worst_differences(case, records[case.name])
    assert worst["q"] <= Q_TOLERANCE, worst
    assert worst["loss"] <= LOSS_TOLERANCE, worst
    assert worst["change"] <= CHANGE_TOLERANCE, worst
    assert worst["target"] <= Q_TOLERANCE, worst


@pytest.mark.parametrize("case", [GRID[i] for i in PAIRS], ids=lambda case: case.name)
def test_one_update_from_the_same_state_gives_the_same_weights(case, records):
    assert_same(case, records)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [c for i, c in enumerate(GRID) if i not in PAIRS], ids=lambda case: case.name
)
def test_the_rest_of_the_grid_agrees_as_well(case, records):
    assert_same(case, records)


@pytest.mark.parametrize("case", [ADAM_SOFT, SGD_HARD], ids=lambda case: case.name)
def test_drift_over_updates_in_a_row_stays_within_the_rounding_of_each(case, records):
    """From the state after WARM updates each may differ by CHANGE_TOLERANCE of its own change.

    A difference in the weights moves the next gradients in turn, so the sum of those differences
    gets a factor of 10. The first updates are left out: Adam from a zero state divides by nearly
    nothing and turns a rounding into a step of its own.
    """
    record = records[case.name]
    agent = agent_of(case, CompiledDQNAgent)
    for number, _ in enumerate(drive(agent)):
        if number < WARM:
            _put(agent, record, number)
    changes = np.abs(np.diff(record["online"][WARM - 1 :], axis=0)).max(axis=1)
    drift = np.abs(_flat(agent.model) - record["online"][-1]).max()
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
    worst = worst_differences(SGD_HARD, records[SGD_HARD.name], **mutation(monkeypatch))
    assert max(worst["change"] / CHANGE_TOLERANCE, worst["target"] / Q_TOLERANCE) > 10


def test_all_pairs_of_settings_occur_in_the_fast_grid():
    chosen = [GRID[index] for index in PAIRS]
    fields = list(Case.__dataclass_fields__)
    for first in fields:
        for second in fields:
            of_all = {(getattr(c, first), getattr(c, second)) for c in GRID}
            assert {(getattr(c, first), getattr(c, second)) for c in chosen} == of_all


def test_the_records_hold_every_update(records):
    assert all(len(record["loss"]) == UPDATES for record in records.values())
