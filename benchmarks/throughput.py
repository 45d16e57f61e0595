"""Env steps per second of training, every engine in one run, in turn.

    python benchmarks/throughput.py [--rounds 3] [--networks 16-16-16] [--batches 32] [--json FILE]
    python benchmarks/throughput.py --networks atari-breakout minatar-breakout --sb3-python PYTHON

CartPole with hidden layers of the given sizes: one update an env step, epsilon 0.1, memory 50,000,
soft target 0.01 (Stable-Baselines3: its hard target every 100 steps, which costs it less). Each
measurement is a process of its own; import, build, compilation and the first env steps are left out
of the rate and reported beside it. Stable-Baselines3 takes part where it is installed
(`pip install -r benchmarks/requirements.txt`), or by another environment's Python. The network
"conv" is that of Mnih et al. (2015) on 84x84x4 bytes of noise, for keras-rl and compiled alone.

"atari-breakout" and "minatar-breakout" are the presets, with epsilon 0.1, for compiled and
Stable-Baselines3 with the same network and settings, each on the threads that suit it: all cores
for Atari, one for MinAtar. Their ratios are to Stable-Baselines3, and MB are the resident memory
once 100,000 frames are stored (optimize_memory_usage off).
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
# Presets that are compared with Stable-Baselines3 alone, and their env steps.
SCREENS = {"atari-breakout": 800, "minatar-breakout": 4_000}
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
    if network in SCREENS:
        return load_preset(
            network,
            sections={
                "policy": {"EpsGreedyQPolicy": {"eps": 0.1}},
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


def resident_megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def ours(engine: str, network: str, batch_size: int, steps: int) -> tuple[float, float, float]:
    started = time.perf_counter()
    from kerasrl_runner.engines import build_learner

    learner = build_learner(preset(network, batch_size), 0, engine)
    learner.train(WARM_UP_STEPS, [])
    ready = time.perf_counter()
    learner.train(WARM_UP_STEPS + steps, [])
    rate = steps / (time.perf_counter() - ready)
    if network in SCREENS:
        learner.replay._entries["observation"].fill(1)
    return rate, ready - started, resident_megabytes()


def stable_baselines3(network: str, batch_size: int, steps: int) -> tuple[float, float, float]:
    started = time.perf_counter()
    import gymnasium
    import torch
    from stable_baselines3 import DQN

    if network != "atari-breakout":
        torch.set_num_threads(1)
    if network in SCREENS:
        settings = screen_settings(network)
    else:
        hidden = [int(units) for units in network.split("-")]
        settings = {
            "policy": "MlpPolicy",
            "env": gymnasium.make("CartPole-v1"),
            "learning_rate": 1e-3,
            "buffer_size": 50_000,
            "learning_starts": 200,
            "train_freq": 1,
            "target_update_interval": 100,
            "policy_kwargs": {"net_arch": hidden},
        }
    agent = DQN(
        **settings,
        batch_size=batch_size,
        gradient_steps=1,
        exploration_initial_eps=0.1,
        exploration_final_eps=0.1,
        seed=0,
    )
    agent.learn(WARM_UP_STEPS)
    ready = time.perf_counter()
    agent.learn(steps, reset_num_timesteps=False)
    rate = steps / (time.perf_counter() - ready)
    if network in SCREENS:
        agent.replay_buffer.observations.fill(1)
        agent.replay_buffer.next_observations.fill(1)
    return rate, ready - started, resident_megabytes()


def screen_settings(network: str) -> dict:
    """The preset's settings in Stable-Baselines3's words."""
    import gymnasium
    from gymnasium import wrappers

    common = {"buffer_size": 100_000, "learning_starts": WARM_UP_STEPS - 50}
    if network == "atari-breakout":
        import ale_py

        gymnasium.register_envs(ale_py)
        env = gymnasium.make("ALE/Breakout-v5", frameskip=1, repeat_action_probability=0.0)
        env = wrappers.FrameStackObservation(wrappers.AtariPreprocessing(env), 4)
        # Its NatureCNN is the preset's network, and its loss Huber's with bound 1.
        return {**common, "policy": "CnnPolicy", "env": env, "learning_rate": 1e-4,
                "train_freq": 4, "target_update_interval": 10_000,
                "policy_kwargs": {"net_arch": []}}  # fmt: skip
    import minatar.gym
    import numpy as np
    from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
    from torch import nn

    class Features(BaseFeaturesExtractor):
        def __init__(self, space):
            super().__init__(space, 128)
            self.layers = nn.Sequential(
                nn.Conv2d(4, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 128), nn.ReLU()
            )

        def forward(self, observations):
            return self.layers(observations)

    minatar.gym.register_envs()
    env = wrappers.TransformObservation(
        gymnasium.make("MinAtar/Breakout-v1"),
        lambda screen: screen.transpose(2, 0, 1).astype(np.uint8),
        gymnasium.spaces.Box(0, 1, (4, 10, 10), np.uint8),
    )
    return {**common, "policy": "MlpPolicy", "env": env, "learning_rate": 2.5e-4,
            "train_freq": 1, "target_update_interval": 1_000,
            "policy_kwargs": {"net_arch": [], "features_extractor_class": Features}}  # fmt: skip


def child(kind: str, network: str, batch_size: int) -> None:
    steps = {**SCREENS, "conv": CONV_STEPS}.get(network, STEPS[kind])
    if kind == "stable-baselines3":
        result = stable_baselines3(network, batch_size, steps)
    else:
        result = ours(kind, network, batch_size, steps)
    print(json.dumps(result))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", default=["16-16-16", "120-84", "256-256"])
    parser.add_argument("--batches", nargs="+", type=int, default=[32, 128])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sb3-python", default=sys.executable, help="that has stable-baselines3")
    parser.add_argument("--child", choices=list(STEPS))
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.networks[0], arguments.batches[0])
        return
    has_sb3 = importlib.util.find_spec("stable_baselines3")
    kinds = [k for k in STEPS if k != "stable-baselines3" or has_sb3]
    rows = []
    print("| network | batch | engine | env steps/s | ratio | until then, s | MB |")
    print("|---|---|---|---|---|---|---|")
    for network in arguments.networks:
        for batch_size in arguments.batches:
            able = ["keras-rl", "compiled"] if network == "conv" else kinds
            if network in SCREENS:
                able = ["stable-baselines3", "compiled"]
            rows += measured(network, batch_size, able, arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


def measured(network: str, batch_size: int, kinds: list[str], arguments) -> list[dict]:
    """Rows whose ratio is to the first of `kinds`."""
    results: dict[str, list[tuple[float, float, float]]] = {kind: [] for kind in kinds}
    for _ in range(arguments.rounds):
        for kind in kinds:
            python = arguments.sb3_python if kind == "stable-baselines3" else sys.executable
            command = [python, __file__, "--child", kind, "--networks", network,
                       "--batches", str(batch_size)]  # fmt: skip
            # As `kerasrl-run` does for NumPy's matrix products.
            environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
            done = subprocess.run(
                command, check=True, capture_output=True, text=True, env=environment
            )
            results[kind].append(json.loads(done.stdout.splitlines()[-1]))
    rows = []
    for kind in kinds:
        rate, start, megabytes = map(statistics.median, zip(*results[kind], strict=True))
        pairs = zip(results[kind], results[kinds[0]], strict=True)
        ratio = statistics.median(mine[0] / yardstick[0] for mine, yardstick in pairs)
        print(f"| {network} | {batch_size} | {kind} | {rate:,.0f} | {ratio:.2f} | {start:.1f} | "
              f"{megabytes:,.0f} |")  # fmt: skip
        sys.stdout.flush()
        rows.append({"network": network, "batch_size": batch_size, "engine": kind, "ratio": ratio,
                     "start_seconds": start, "megabytes": megabytes,
                     "rates": [rate for rate, *_ in results[kind]]})  # fmt: skip
    return rows


if __name__ == "__main__":
    main()
