"""Env steps per second of CartPole training, every engine in one run, in turn.

    python benchmarks/throughput.py [--rounds 3] [--networks 16-16-16] [--batches 32] [--json FILE]

Same settings everywhere: one update an env step, epsilon 0.1, memory 50,000, soft target 0.01
(Stable-Baselines3: its hard target every 100 steps, which costs it less). Each measurement is a
process of its own; import, build, compilation and the first env steps are left out of the rate and
reported beside it. Stable-Baselines3 takes part where it is installed
(`pip install -r benchmarks/requirements.txt`). The network "conv" is that of Mnih et al. (2015) on
84x84x4 bytes of noise, for keras-rl and compiled alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

WARM_UP_STEPS = 600
# Env steps measured: about the same seconds for each.
STEPS = {"keras-rl": 2_000, "compiled": 10_000, "reference": 20_000, "stable-baselines3": 3_000}


CONV_STEPS = 150
CONV_LAYERS = [
    {"Permute": {"dims": [2, 3, 1]}},
    {"Rescaling": {"scale": 1 / 255}},
    {"Conv2D": {"filters": 32, "kernel_size": 8, "strides": 4, "activation": "relu"}},
    {"Conv2D": {"filters": 64, "kernel_size": 4, "strides": 2, "activation": "relu"}},
    {"Conv2D": {"filters": 64, "kernel_size": 3, "activation": "relu"}},
    {"Dense": {"units": 512, "activation": "relu"}},
]


def preset(network: str, batch_size: int):
    from kerasrl_runner import load_preset

    if network == "conv":
        return load_preset(
            "cartpole-kerasrl",
            sections={
                "env": {"id": "frames:Frames-v0", "max_episode_steps": 500},
                "memory": {"window_length": 4, "limit": 2_000},
                "model": {"layers": CONV_LAYERS},
                "agent": {"batch_size": batch_size, "nb_steps_warmup": WARM_UP_STEPS - 50},
            },
        )
    hidden = [int(units) for units in network.split("-")]
    return load_preset(
        "cartpole-kerasrl",
        sections={
            "env": {"max_episode_steps": 500},
            "model": {
                "layers": [{"Dense": {"units": units, "activation": "relu"}} for units in hidden]
            },
            "agent": {"batch_size": batch_size, "nb_steps_warmup": 200},
        },
    )


def ours(engine: str, network: str, batch_size: int, steps: int) -> tuple[float, float]:
    started = time.perf_counter()
    from kerasrl_runner.engines import build_learner

    learner = build_learner(preset(network, batch_size), 0, engine)
    learner.train(WARM_UP_STEPS, [])
    ready = time.perf_counter()
    learner.train(WARM_UP_STEPS + steps, [])
    return steps / (time.perf_counter() - ready), ready - started


def stable_baselines3(hidden: list[int], batch_size: int, steps: int) -> tuple[float, float]:
    started = time.perf_counter()
    import gymnasium
    import torch
    from stable_baselines3 import DQN

    torch.set_num_threads(1)
    agent = DQN(
        "MlpPolicy",
        gymnasium.make("CartPole-v1"),
        learning_rate=1e-3,
        buffer_size=50_000,
        learning_starts=200,
        batch_size=batch_size,
        train_freq=1,
        gradient_steps=1,
        target_update_interval=100,
        exploration_initial_eps=0.1,
        exploration_final_eps=0.1,
        policy_kwargs={"net_arch": hidden},
        seed=0,
    )
    agent.learn(WARM_UP_STEPS)
    ready = time.perf_counter()
    agent.learn(steps, reset_num_timesteps=False)
    return steps / (time.perf_counter() - ready), ready - started


def child(kind: str, network: str, batch_size: int) -> None:
    steps = CONV_STEPS if network == "conv" else STEPS[kind]
    if kind == "stable-baselines3":
        hidden = [int(units) for units in network.split("-")]
        result = stable_baselines3(hidden, batch_size, steps)
    else:
        result = ours(kind, network, batch_size, steps)
    print(json.dumps(result))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", default=["16-16-16", "120-84", "256-256"])
    parser.add_argument("--batches", nargs="+", type=int, default=[32, 128])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", choices=list(STEPS))
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.networks[0], arguments.batches[0])
        return
    kinds = [k for k in STEPS if k != "stable-baselines3" or importlib.util.find_spec(
        "stable_baselines3")]  # fmt: skip
    rows = []
    print("| network | batch | engine | env steps/s | × keras-rl | until then, s |")
    print("|---|---|---|---|---|---|")
    for network in arguments.networks:
        for batch_size in arguments.batches:
            able = ["keras-rl", "compiled"] if network == "conv" else kinds
            rows += measured(network, batch_size, able, arguments.rounds)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


def measured(network: str, batch_size: int, kinds: list[str], rounds: int) -> list[dict]:
    results: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            command = [sys.executable, __file__, "--child", kind, "--networks", network,
                       "--batches", str(batch_size)]  # fmt: skip
            # As `kerasrl-run` does for NumPy's matrix products.
            environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
            done = subprocess.run(
                command, check=True, capture_output=True, text=True, env=environment
            )
            results[kind].append(json.loads(done.stdout.splitlines()[-1]))
    rows = []
    for kind in kinds:
        rate = statistics.median(rate for rate, _ in results[kind])
        start = statistics.median(start for _, start in results[kind])
        pairs = zip(results[kind], results["keras-rl"], strict=True)
        ratio = statistics.median(mine / yardstick for (mine, _), (yardstick, _) in pairs)
        print(f"| {network} | {batch_size} | {kind} | {rate:,.0f} | {ratio:.1f} | {start:.1f} |")
        sys.stdout.flush()
        rows.append({"network": network, "batch_size": batch_size, "engine": kind, "ratio": ratio,
                     "start_seconds": start, "rates": [r for r, _ in results[kind]]})  # fmt: skip
    return rows


if __name__ == "__main__":
    main()
