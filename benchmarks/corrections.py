"""What the corrections cost: keras-rl2's own agent and ours in turn, each in a process.

    python benchmarks/corrections.py [--rounds 5] [--steps 3000] [--json FILE]

CartPole-v1, network 16-16-16, batch 32, one update an env step, soft target 0.01. Import, build
and the first 500 env steps, which build TensorFlow's graph, are left out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

WARM_UP_STEPS = 500


def vendor_steps_per_second(steps: int) -> float:
    """keras-rl2's own DQNAgent in graph mode, repaired only so far that it imports."""
    from kerasrl_runner.vendor import keras, rl_dqn, rl_memory, rl_policy, tf

    tf.compat.v1.disable_eager_execution()
    import gymnasium

    class OldGym:
        """The four values a step that keras-rl2 was written for."""

        def __init__(self) -> None:
            self.env = gymnasium.make("CartPole-v1")

        def reset(self):
            return self.env.reset()[0]

        def step(self, action):
            observation, reward, terminated, truncated, _ = self.env.step(action)
            return observation, reward, terminated or truncated, {}

    agent = rl_dqn.DQNAgent(
        network(keras),
        rl_policy.EpsGreedyQPolicy(),
        nb_actions=2,
        memory=rl_memory.SequentialMemory(50_000, window_length=1),
        nb_steps_warmup=100,
        target_model_update=1e-2,
    )
    agent.compile(keras.optimizers.legacy.Adam(1e-3), metrics=[])
    return timed(agent, OldGym(), steps)


def corrected_steps_per_second(steps: int) -> float:
    """The same through kerasrl_runner's corrected agent."""
    import gymnasium

    from kerasrl_runner.keras_rl import DQNAgent, EpsGreedyQPolicy, SequentialMemory, keras

    agent = DQNAgent(
        network(keras),
        EpsGreedyQPolicy(),
        nb_actions=2,
        memory=SequentialMemory(50_000, window_length=1),
        nb_steps_warmup=100,
        target_model_update=1e-2,
    )
    agent.compile(keras.optimizers.legacy.Adam(1e-3))
    return timed(agent, gymnasium.make("CartPole-v1"), steps)


def network(keras):
    hidden = [keras.layers.Dense(16, activation="relu") for _ in range(3)]
    return keras.Sequential(
        [keras.layers.Flatten(input_shape=(1, 4)), *hidden, keras.layers.Dense(2)]
    )


def timed(agent, env, steps: int) -> float:
    agent.fit(env, WARM_UP_STEPS, verbose=0)
    started = time.perf_counter()
    agent.fit(env, steps, verbose=0)
    return steps / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", choices=["vendor", "corrected"])
    arguments = parser.parse_args()
    if arguments.child:
        measure = {"vendor": vendor_steps_per_second, "corrected": corrected_steps_per_second}
        print(measure[arguments.child](arguments.steps))
        return
    rates: dict[str, list[float]] = {"vendor": [], "corrected": []}
    for number in range(arguments.rounds):
        for kind in rates:
            child = [sys.executable, __file__, "--child", kind, "--steps", str(arguments.steps)]
            done = subprocess.run(child, check=True, capture_output=True, text=True)
            rates[kind].append(float(done.stdout.splitlines()[-1]))
        shown = {kind: round(values[-1]) for kind, values in rates.items()}
        print(f"round {number}: {shown} env steps/s", file=sys.stderr)
    ratios = [g / v for g, v in zip(rates["corrected"], rates["vendor"], strict=True)]
    for kind, values in rates.items():
        print(f"{kind:8} {statistics.median(values):7.0f} env steps/s (median)")
    print(f"corrected / vendor: {statistics.median(ratios):.2f} (median of {len(ratios)} pairs)")
    if arguments.json:
        arguments.json.write_text(json.dumps({**rates, "ratios": ratios}, indent=2) + "\n")


if __name__ == "__main__":
    main()
