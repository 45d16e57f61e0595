"""A long run in one process: resident memory, speed and open files over env steps.

    python benchmarks/soak.py [--steps 1000000] [--every 50000] [--json FILE]

CartPole, engine compiled, memory 50,000. Rows are printed as they come.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--every", type=int, default=50_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    import kerasrl_runner

    environment, agent = kerasrl_runner.build(
        "cartpole-kerasrl", env={"max_episode_steps": 500}, agent={"nb_steps_warmup": 1_000}
    )
    rows = []
    print("| env steps | resident MB | env steps/s | open files |")
    print("|---|---|---|---|")
    while agent.step < arguments.steps:
        started = time.perf_counter()
        agent.fit(environment, arguments.every, verbose=0)
        rate = arguments.every / (time.perf_counter() - started)
        files = len(os.listdir("/proc/self/fd"))
        rows.append([agent.step, resident_mb(), rate, files])
        print(f"| {agent.step:,} | {rows[-1][1]:.0f} | {rate:,.0f} | {files} |", flush=True)
        if arguments.json:
            arguments.json.write_text(json.dumps(rows) + "\n")


if __name__ == "__main__":
    main()
