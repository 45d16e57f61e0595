"""What an old script gains: keras-rl2's own agent, and a script run by the command, in turn.

    python benchmarks/old_script.py [--rounds 5] [--steps 3000] [--json FILE]

CartPole-v1, network 16-16-16, batch 32, one update an env step, soft target 0.01. Import, build
and the first 500 env steps, which build TensorFlow's graph, are left out of the rates. Beside them,
seconds until the door is imported, and until a script that imports gym, keras and rl has ended.
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

SCRIPT = """\
import sys
import time
import gym
from keras.layers import Dense, Flatten
from keras.models import Sequential
from keras.optimizers import Adam
from rl.agents import DQNAgent
from rl.memory import SequentialMemory
from rl.policy import EpsGreedyQPolicy

hidden = [Dense(16, activation='relu') for _ in range(3)]
model = Sequential([Flatten(input_shape=(1, 4))] + hidden + [Dense(2)])
agent = DQNAgent(model, EpsGreedyQPolicy(), nb_actions=2,
                 memory=SequentialMemory(50000, window_length=1),
                 nb_steps_warmup=100, target_model_update=1e-2)
agent.compile(Adam(lr=1e-3), metrics=['mae'])
env = gym.make('CartPole-v1')
agent.fit(env, nb_steps=500, verbose=0)
started = time.perf_counter()
agent.fit(env, nb_steps=int(sys.argv[1]), verbose=0)
print(int(sys.argv[1]) / (time.perf_counter() - started))
"""
# keras-rl2 in graph mode, repaired only so far that it imports, with the optimizers it knows.
REPAIRED = """\
import importlib, sys
from kerasrl_runner.old_scripts import gym
from kerasrl_runner.vendor import tf
tf.compat.v1.disable_eager_execution()
keras = importlib.import_module('tensorflow.keras')
keras.optimizers.Adam = keras.optimizers.legacy.Adam
sys.modules.update({'gym': gym, 'keras': keras}, **{
    f'keras.{name}': getattr(keras, name) for name in ('layers', 'models', 'optimizers')})
"""
IMPORTS = "import gym, keras, rl.agents\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results: dict[str, list[float]] = {name: [] for name in ("vendor", "script", "door", "start")}
    with tempfile.TemporaryDirectory() as folder:
        files = {"vendor": REPAIRED + SCRIPT, "script": SCRIPT, "start": IMPORTS}
        for name, text in files.items():
            Path(folder, f"{name}.py").write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "kerasrl_runner", "script"]
        commands = {
            "vendor": [sys.executable, "vendor.py", str(arguments.steps)],
            "script": [*command, "script.py", str(arguments.steps)],
            "door": [sys.executable, "-c", "import kerasrl_runner.keras_rl"],
            "start": [*command, "start.py"],
        }
        for number in range(arguments.rounds):
            for name, child in commands.items():
                started = time.perf_counter()
                done = subprocess.run(
                    child, cwd=folder, check=True, stdout=subprocess.PIPE, text=True
                )
                seconds = time.perf_counter() - started
                rate = name in ("vendor", "script")
                results[name].append(float(done.stdout.splitlines()[-1]) if rate else seconds)
            print(f"round {number}: {results}", file=sys.stderr)
    pairs = zip(results["script"], results["vendor"], strict=True)
    for name in ("vendor", "script"):
        print(f"{name}: {statistics.median(results[name]):.0f} env steps/s (median)")
    ratio = statistics.median(script / vendor for script, vendor in pairs)
    print(f"script / vendor: {ratio:.1f} (median of {arguments.rounds} pairs)")
    for name in ("door", "start"):
        print(f"{name}: {statistics.median(results[name]):.2f} s (median)")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
