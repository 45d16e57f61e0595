"""Replay memory: microseconds a sample(32) and bytes a stored entry, by size, and by priority.

    python benchmarks/memory.py [--json FILE]

CartPole vectors (4 float32, window 1) at 1k to 1M entries, Atari frames (84 × 84 uint8, window 4)
at 1k to 50k. The vendor's memory stands beside ours up to 100k vectors. By priority: a sample with
its importance weights, and an update of 32 priorities, the best round beside the median.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from pathlib import Path

import numpy as np

from kerasrl_runner.keras_rl import SequentialMemory
from kerasrl_runner.reference.priorities import Priorities
from kerasrl_runner.vendor import rl_memory

ROUNDS, CALLS = 7, 300
PRIORITY_SIZES = (1_000, 100_000, 1_000_000)


def filled(memory, observation: np.ndarray, entries: int):
    for number in range(entries):
        memory.append(observation, 1, 1.0, False)
        if number % 200 == 199 and isinstance(memory, SequentialMemory):
            memory.end_episode(observation)
    return memory


def rounds(call) -> list[float]:
    call()
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(CALLS):
            call()
        times.append((time.perf_counter() - started) / CALLS * 1e6)
    return times


def microseconds(call) -> float:
    return statistics.median(rounds(call))


def measure_priorities(entries: int) -> dict[str, list[float]]:
    """Microseconds of each round: a sample, uniform and by priority, and an update."""
    memory = SequentialMemory(entries)
    memory.priorities = Priorities(entries, 1, alpha=0.6, beta=0.4, beta_steps=entries)
    observation, random = np.ones(4, np.float32), np.random.default_rng(0)
    filled(memory, observation, entries)
    for _ in range(entries // 32):
        drawn = memory.sample_batch(32)
        memory.priorities.update(drawn.place, random.normal(size=32))
    priorities, errors = memory.priorities, random.normal(size=32)

    def sample() -> None:
        priorities.weights(memory.sample_batch(32).place)

    by_priority = rounds(sample)
    places = iter([memory.sample_batch(32).place for _ in range(ROUNDS * CALLS + 1)])
    update = rounds(lambda: priorities.update(next(places), errors))
    memory.priorities = None
    uniform = rounds(lambda: memory.sample_batch(32))
    return {"uniform": uniform, "by priority": by_priority, "update": update}


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    print("| observation | window | entries | ours, µs | vendor's, µs | bytes an entry |")
    print("|---|---|---|---|---|---|")
    vector, frame = np.ones(4, np.float32), np.ones((84, 84), np.uint8)
    cases = [(vector, 1, size) for size in (1_000, 10_000, 100_000, 1_000_000)]
    cases += [(frame, 4, size) for size in (1_000, 10_000, 50_000)]
    for observation, window, entries in cases:
        before = resident_bytes()
        memory = filled(SequentialMemory(entries, window), observation, entries)
        size = (resident_bytes() - before) / entries
        ours = microseconds(lambda memory=memory: memory.sample_batch(32))
        vendor = None
        if observation.ndim == 1 and entries <= 100_000:
            theirs = filled(rl_memory.SequentialMemory(entries, window_length=window),
                            observation, entries)  # fmt: skip
            vendor = microseconds(lambda theirs=theirs: theirs.sample(32))
        shape = "×".join(map(str, observation.shape))
        beside = f"{vendor:.0f}" if vendor else "–"
        print(f"| {shape} {observation.dtype} | {window} | {entries:,} | {ours:.0f} | {beside} | "
              f"{size:,.0f} |")  # fmt: skip
        rows.append({"shape": observation.shape, "window": window, "entries": entries,
                     "microseconds": ours, "vendor": vendor, "bytes": size})  # fmt: skip
        del memory
    print()
    print("| entries | uniform sample, µs (best) | by priority, µs (best) | update, µs (best) |")
    print("|---|---|---|---|")
    for entries in PRIORITY_SIZES:
        measured = measure_priorities(entries)
        cells = [f"{statistics.median(m):.0f} ({min(m):.0f})" for m in measured.values()]
        print(f"| {entries:,} | {' | '.join(cells)} |")
        rows.append({"entries": entries, "priorities": measured})
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
