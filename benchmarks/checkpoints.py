"""What checkpoints cost, and what going on from one costs.

    python benchmarks/checkpoints.py [--engines compiled reference] [--json FILE]

The replay memory is filled first. Then training goes on in turns of the default interval, and each
turn is followed by a checkpoint, as a run does it: the share is that of the checkpoint in both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CAPACITIES = (50_000, 1_000_000)
TURNS = 5


def measured(engine: str, capacity: int) -> dict:
    """In a process of its own."""
    import numpy as np

    from kerasrl_runner import load_preset
    from kerasrl_runner.engines import build_learner
    from kerasrl_runner.files.lock import locked
    from kerasrl_runner.files.run_directory import RunDirectory
    from kerasrl_runner.runs.checkpoint import Checkpoints, restore
    from kerasrl_runner.runs.training import CHECKPOINT_EVERY

    sections = {"memory": {"limit": capacity}, "agent": {"nb_steps_warmup": 200},
                "env": {"max_episode_steps": 500}}  # fmt: skip
    preset = load_preset("cartpole-kerasrl", sections=sections)
    learner = build_learner(preset, 0, engine)
    learner.train(1_000, [])
    entries = learner.replay.entries(0)
    filled = {name: np.resize(column, (capacity, *column.shape[1:])).astype(column.dtype)
              for name, column in entries.items()}  # fmt: skip
    learner.replay.refill(capacity, filled)
    with tempfile.TemporaryDirectory() as folder, locked(Path(folder)):
        directory = RunDirectory(Path(folder))
        checkpoints = Checkpoints(directory, learner, None, {}, CHECKPOINT_EVERY)
        started = time.perf_counter()
        checkpoints.write()
        whole = time.perf_counter() - started
        size = sum(p.stat().st_size for p in directory.checkpoint.path.iterdir())
        turns = []
        for _ in range(TURNS):
            started = time.perf_counter()
            learner.train(learner.env_steps + CHECKPOINT_EVERY, [])
            trained = time.perf_counter()
            checkpoints.write()
            turns.append((trained - started, time.perf_counter() - trained))
        started = time.perf_counter()
        restore(directory.checkpoint.read(), learner)
        resumed = time.perf_counter() - started
    written = statistics.median(write for _, write in turns)
    share = written / (written + statistics.median(train for train, _ in turns))
    return {"engine": engine, "entries": capacity, "whole_ms": whole * 1e3, "mb": size / 1e6,
            "turn_ms": written * 1e3, "share": share, "restore_s": resumed}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engines", nargs="+", default=["compiled", "reference"])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", nargs=2)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measured(arguments.child[0], int(arguments.child[1]))))
        return
    rows = []
    print("| engine | entries | a whole checkpoint, ms | MB | a later one, ms | share of the time "
          "| restore, s |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    for engine in arguments.engines:
        for capacity in CAPACITIES:
            command = [sys.executable, __file__, "--child", engine, str(capacity)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            row = json.loads(done.stdout.splitlines()[-1])
            rows.append(row)
            print(
                f"| {engine} | {capacity:,} | {row['whole_ms']:.0f} | {row['mb']:.1f} "
                f"| {row['turn_ms']:.1f} | {row['share']:.1%} | {row['restore_s']:.2f} |"
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
