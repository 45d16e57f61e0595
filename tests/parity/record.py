"""Record updates of the keras-rl engine, in its own process.

`record.py FOLDER CASE_INDEX...`
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from cases import GRID, Case, agent_of, drive, probe

from kerasrl_runner.agents.keras_rl import VendorDQNAgent
from kerasrl_runner.vendor import tf

NAMES = ("online", "target", "slots", "q")


def record(case: Case, path: Path) -> None:
    """Write a row an update: what `reader` reads after it, and its loss."""
    agent = agent_of(case, VendorDQNAgent)
    rows: list[tuple[np.ndarray, ...]] = []
    losses: list[float] = []
    with agent._scope:  # once for all updates: entering it costs as much as an update
        updates = drive(agent)
        losses.append(next(updates)[0])
        read = reader(agent)  # Keras makes the optimizer's slots with the first update
        rows.append(read())
        for metrics in updates:
            losses.append(metrics[0])
            rows.append(read())
    columns = {
        name: np.stack(column) for name, column in zip(NAMES, zip(*rows, strict=True), strict=True)
    }
    np.savez(path, loss=np.array(losses), **columns)


def reader(agent: VendorDQNAgent) -> Callable[[], tuple[np.ndarray, ...]]:
    """A function that returns all of NAMES in one run of the session.

    Both networks' weights [P], the optimizer's slots [0 or more times P] and the Q values of
    `probe` [64, A].
    """
    optimizer = agent.trainable_model.optimizer
    optimizer = getattr(optimizer, "optimizer", optimizer)
    fetches = [
        flat(agent.model.weights),
        flat(agent.target_model.weights),
        flat(optimizer.weights[1:]),  # the first is the number of updates
        agent.model.output,
    ]
    run = tf.compat.v1.get_default_session().make_callable(fetches, [agent.model.input])
    return lambda: run(probe())


def flat(variables: list[tf.Variable]) -> tf.Tensor:
    return tf.concat([tf.reshape(variable, [-1]) for variable in variables] or [tf.zeros(0)], 0)


if __name__ == "__main__":
    for index in map(int, sys.argv[2:]):
        record(GRID[index], Path(sys.argv[1]) / f"{GRID[index].name}.npz")
