"""What each old habit of a script needs to run today, and what to write instead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version
from typing import NamedTuple

import gymnasium

from kerasrl_runner.old_scripts.gym import describe_make, find_successor
from kerasrl_runner.old_scripts.reading import Statement


class Shim(NamedTuple):
    """One habit of old scripts."""

    pattern: str  # of a statement as `ast.unparse` spells it
    runs_as: str  # said before the script runs; empty for what another row says
    instead: str  # what a maintained script writes, and since when


_ENV = r"\b(?:self\.)?\w*env\w*"
SHIMS = (
    Shim(
        r"(import|from) gym\b",
        f"gym -> Gymnasium {gymnasium.__version__}, behind gym's interface of 4 values a step",
        "import gymnasium as gym (gym 0.26, its last, fails on NumPy 2)",
    ),
    Shim(
        r"(\w+, ){3}\w+\)? = .*\.step\(",
        "",
        "observation, reward, terminated, truncated, info = env.step(action) (gym 0.26)",
    ),
    Shim(rf"^[\w.]+ = {_ENV}\.reset\(\)", "", "observation, info = env.reset() (gym 0.26)"),
    Shim(
        r"^def _?step\(self, \w+\)",
        "",
        "def step(self, action), which returns observation, reward, terminated, truncated, info",
    ),
    Shim(
        r"^def _?reset\(self\)",
        "",
        "def reset(self, *, seed=None, options=None), which returns observation, info",
    ),
    Shim(rf"{_ENV}\.seed\(", "", "env.reset(seed=…) once, before the first step (gym 0.26)"),
    Shim(r"\.render\(.", "", 'gymnasium.make(…, render_mode="human"), and env.render() (gym 0.26)'),
    Shim(
        r"\bMonitor\(",
        "gym.wrappers.Monitor -> videos alone, in the same folder",
        "gymnasium.wrappers.RecordVideo(env, folder) (gym 0.23)",
    ),
    Shim(
        r"(import|from) (keras|tensorflow\.python\.keras)\b",
        f"keras -> legacy Keras {version('tf-keras')}",
        "from kerasrl_runner.keras_rl import keras, or from tensorflow.keras after it (Keras 3)",
    ),
    Shim(
        r"(import|from) rl\b",
        "rl -> kerasrl_runner.keras_rl, corrected and compiled",
        "from kerasrl_runner.keras_rl import … (keras-rl2 is archived)",
    ),
    Shim(
        r"\b(SGD|RMSprop|Ada\w+|Nadam)\(.*\blr=",
        "lr= -> learning_rate=",
        "learning_rate= (Keras 2.3)",
    ),
    Shim(r"\bCuDNN(LSTM|GRU)\b", "CuDNNLSTM -> LSTM", "LSTM or GRU (TensorFlow 2.0)"),
    Shim(
        r"\b(np|numpy)\.(bool8|int|float|complex|object|str|float_|Inf|infty|NaN|NAN|product"
        r"|alltrue|sometrue|in1d|row_stack|trapz|asscalar)\b",
        "names that left NumPy -> float, np.inf and the like",
        "float, int, bool, np.float64, np.inf, np.nan (NumPy 1.24 and 2.0)",
    ),
    Shim(
        r"\b(tf|tensorflow)\.(Session|ConfigProto|GPUOptions|set_random_seed|logging"
        r"|get_default_graph|reset_default_graph|placeholder|global_variables_initializer)\b",
        "TensorFlow 1's names -> tensorflow.compat.v1",
        "tf.compat.v1.…, or nothing: this agent needs no session (TensorFlow 2.0)",
    ),
    Shim(
        r"disable_(eager_execution|v2_behavior)\(",
        "disable_eager_execution() -> ignored",
        "nothing: the agent is compiled, and keras-rl's own has a graph of its own",
    ),
    Shim(
        r"\b(SARSA|CEM|DDPG|NAF|ContinuousDQN)Agent\b",
        "SARSA, CEM, DDPG and NAF agents -> keras-rl2's own, which this project does not correct",
        "another library: keras-rl2 is archived",
    ),
)


def find_shims(statements: list[Statement]) -> list[tuple[Shim, Statement]]:
    """The rows that the script needs, each with the statement that needs it."""
    return [
        (shim, statement)
        for statement in statements
        for shim in (*SHIMS, *_list_gone(statement))
        if re.search(shim.pattern, statement.text)
    ]


def _list_gone(statement: Statement) -> Iterator[Shim]:
    """A row for each environment that has a successor."""
    for name in re.findall(r"'([\w:/-]+-v\d+)'", statement.text):
        successor = find_successor(name)
        if successor != (name, {}):
            yield Shim(name, "", describe_make(*successor))
