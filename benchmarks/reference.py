"""Microseconds an update and an action: the NumPy reference beside the compiled engine, in turns.

    python benchmarks/reference.py [--rounds 15] [--json FILE]

An update draws a batch from the replay memory, learns from it (Adam, soft target) and, in the
compiled engine, crosses into TensorFlow and back: all that a training waits for. An action is the
Q values of one state. Both engines work on the same 2,000 transitions of 4 float32 each in one
process, TensorFlow and NumPy's BLAS on one thread as in `kerasrl-run fit`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CASES = [([16, 16, 16], 32)]
CASES += [([units] * 2, batch_size) for units in (64, 128, 256, 512) for batch_size in (32, 128)]
FEATURES, ACTIONS, TRANSITIONS, EPISODE = 4, 2, 2_000, 200
ROUND_SECONDS = 0.1


def fill(memory: Any) -> None:
    import numpy as np

    generator = np.random.default_rng(0)
    for number in range(1, TRANSITIONS + 1):
        observation, last = generator.normal(size=(2, FEATURES)).astype(np.float32)
        memory.append(observation, int(generator.integers(ACTIONS)), 1.0, False)
        if number % EPISODE == 0:
            memory.end_episode(last)


def reference(hidden: list[int], batch_size: int) -> tuple[Callable, Callable]:
    """(update, act) of the reference agent."""
    import numpy as np

    from kerasrl_runner.reference.agent import GREEDY, Agent
    from kerasrl_runner.reference.network import Dense, Network
    from kerasrl_runner.reference.optimizers import Adam
    from kerasrl_runner.reference.replay import ReplayMemory

    rng = np.random.default_rng(0)
    agent = Agent(
        Network(FEATURES, [Dense(units, "relu") for units in hidden], ACTIONS, rng),
        Adam(1e-3),
        ReplayMemory(50_000, (FEATURES,), rng),
        GREEDY,
        rng,
        batch_size=batch_size,
        target_rate=0.01,
    )
    fill(agent.memory)
    state = np.ones((1, FEATURES), np.float32)  # [W, *observation]
    return agent.learn, lambda: agent.q_values(state)


def compiled(hidden: list[int], batch_size: int) -> tuple[Callable, Callable]:
    """(update, act) of the compiled engine."""
    import numpy as np

    from kerasrl_runner.agents.compiled import CompiledDQNAgent
    from kerasrl_runner.engines.keras_agents import set_threads
    from kerasrl_runner.keras_rl import GreedyQPolicy, SequentialMemory, keras
    from kerasrl_runner.parts.model import build_q_network

    set_threads()
    layers = [("Dense", {"units": units, "activation": "relu"}) for units in hidden]
    agent = CompiledDQNAgent(
        build_q_network(layers, (1, FEATURES), ACTIONS),
        GreedyQPolicy(),
        nb_actions=ACTIONS,
        memory=SequentialMemory(50_000, 1, generator=np.random.default_rng(0)),
        batch_size=batch_size,
        target_model_update=0.01,
    )
    agent.compile(keras.optimizers.Adam(1e-3))
    fill(agent.memory)
    state = [np.ones(FEATURES, np.float32)]
    return agent._learn, lambda: agent.compute_q_values(state)


ENGINES = (reference, compiled)


def medians(calls: dict[str, Callable], rounds: int) -> dict[str, float]:
    """Microseconds of each call, the median of rounds taken in turns after a warm-up."""
    repeats = {}
    for name, call in calls.items():
        call()  # compiles
        started = time.perf_counter()
        for _ in range(100):
            call()
        repeats[name] = max(1, int(ROUND_SECONDS * 100 / (time.perf_counter() - started)))
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            started = time.perf_counter()
            for _ in range(repeats[name]):
                call()
            seconds[name].append((time.perf_counter() - started) / repeats[name])
    return {name: statistics.median(values) * 1e6 for name, values in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when NumPy is imported
    rows = []
    print("| network | batch | update: reference | compiled | act: reference | compiled |")
    print("|---|---|---|---|---|---|")
    for hidden, batch_size in CASES:
        network = "-".join(map(str, hidden))
        calls = {}
        for engine in ENGINES:
            update, act = engine(hidden, batch_size)
            calls |= {f"update {engine.__name__}": update, f"act {engine.__name__}": act}
        times = medians(calls, arguments.rounds)
        names = [f"{what} {who.__name__}" for what in ("update", "act") for who in ENGINES]
        cells = " | ".join(f"{times[name]:.0f}" for name in names)
        print(f"| {network} | {batch_size} | {cells} |", flush=True)
        rows.append({"network": network, "batch_size": batch_size, "microseconds": times})
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
