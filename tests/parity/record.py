"""Record updates of the keras-rl engine, in its own process: `record.py FOLDER CASE_INDEX...`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from cases import GRID, agent_of, drive, probe

from kerasrl_runner.agents.guarded import GuardedDQNAgent
from kerasrl_runner.keras_rl import keras


def flat(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.ravel(array) for array in arrays])


def record(case, path: Path) -> None:
    agent = agent_of(case, GuardedDQNAgent)
    optimizer = agent.trainable_model.optimizer
    optimizer = getattr(optimizer, "optimizer", optimizer)
    rows: dict[str, list] = {"online": [], "target": [], "loss": [], "q": [], "slots": []}

    def note(loss: float) -> None:
        with agent._scope:
            slots = keras.backend.batch_get_value(optimizer.weights)
            rows["online"].append(flat(agent.model.get_weights()))
            rows["target"].append(flat(agent.target_model.get_weights()))
        rows["slots"].append(flat(slots[1:]) if len(slots) > 1 else np.zeros(0, np.float32))
        rows["loss"].append(loss)
        rows["q"].append(agent.compute_batch_q_values(list(probe())))

    for metrics in drive(agent):
        note(metrics[0])
    np.savez(path, **{name: np.stack(values) for name, values in rows.items()})


if __name__ == "__main__":
    for index in map(int, sys.argv[2:]):
        record(GRID[index], Path(sys.argv[1]) / f"{GRID[index].name}.npz")
