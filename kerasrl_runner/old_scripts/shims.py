"""What each old habit of a script needs to run today, and what to write instead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version
from typing import NamedTuple

import numpy as np

from kerasrl_runner.old_scripts.gym import describe_make, find_successor
from kerasrl_runner.old_scripts.reading import Statement

# Names of Python's types left NumPy with 1.24, the others with 2.0.
NUMPY_NAMES = {
    "int": int, "float": float, "complex": complex, "object": object, "str": str,
    "bool8": np.bool_, "float_": np.float64, "Inf": np.inf, "infty": np.inf, "NaN": np.nan,
    "NAN": np.nan, "product": np.prod, "alltrue": np.all, "sometrue": np.any, "in1d": np.isin,
    "row_stack": np.vstack, "trapz": np.trapezoid, "asscalar": lambda array: array.item(),
    "unicode": str, "mat": np.asmatrix,
}  # fmt: skip

# Agents of keras-rl2 that this project has not.
OTHER_AGENTS = r"\b(?:SARSA|CEM|DDPG|NAF|ContinuousDQN)Agent"


class Shim(NamedTuple):
    """One habit of old scripts."""

    pattern: str  # of a statement as `ast.unparse` spells it
    runs_as: str  # said before the script runs; empty where another row says it
    instead: str  # what a maintained script writes, \1 the pattern's first group; and since when


SHIMS = (
    Shim(
        r"^(?:import|from) gym\b",
        f"gym -> Gymnasium {version('gymnasium')}, behind gym's interface of 4 values a step",
        "import gymnasium as gym (gym 0.26, its last, fails on NumPy 2)",
    ),
    Shim(
        r"^\(?((?:[\w.]+, ){2})[\w.]+, ([\w.]+)\)? = (.*\.step\(.*\))",
        "",
        r"\1terminated, truncated, \2 = \3 (gym 0.26)",
    ),
    Shim(r"^([\w.]+) = (\S*env\S*\.reset\(\))", "", r"\1, info = \2 (gym 0.26)"),
    Shim(
        r"^def _?step\((self, \w+)\)",
        "",
        r"def step(\1), which returns observation, reward, terminated, truncated, info (gym 0.26)",
    ),
    Shim(
        r"^def _?reset\(self\)",
        "",
        "def reset(self, *, seed=None, options=None), which returns observation, info (gym 0.26)",
    ),
    Shim(
        r"^(\S*env\S*)\.seed\((.*)\)$", "", r"\1.reset(seed=\2), before the first step (gym 0.26)"
    ),
    Shim(
        r"(\S*env\S*)\.render\(.", "", r'gymnasium.make(…, render_mode="human"); \1.render() (0.26)'
    ),
    Shim(
        r"\bMonitor\((\w+), ([^,)]+)",
        "gym.wrappers.Monitor -> its videos alone",
        r"gymnasium.wrappers.RecordVideo(\1, \2) (gym 0.23)",
    ),
    Shim(
        r"^(?:import|from) (?:tensorflow\.python\.)?keras\b(\.\w+)?",
        f"keras -> legacy Keras {version('tf-keras')}",
        r"tensorflow.keras\1, imported after kerasrl_runner.keras_rl (Keras 3)",
    ),
    Shim(
        rf"^(?!.*{OTHER_AGENTS})(?:from rl\b\S*|import rl\b\S*)( import .+)?",
        "rl -> kerasrl_runner.keras_rl, corrected and compiled",
        r"from kerasrl_runner.keras_rl\1 (keras-rl2 is archived)",
    ),
    Shim(
        r"\b((?:SGD|RMSprop|Ada\w+|Nadam)\(.*)\blr=",
        "lr= -> learning_rate=",
        r"\1learning_rate=… (Keras 2.3)",
    ),
    Shim(r"\bCuDNN(LSTM|GRU)\b", "CuDNNLSTM -> LSTM", r"\1 (TensorFlow 2.0)"),
    Shim(
        rf"\b(?:np|numpy)\.(?:{'|'.join(NUMPY_NAMES)})\b",
        "names that left NumPy -> float, np.inf and the like",
        "float, int, bool, np.float64, np.inf, np.nan (NumPy 1.24 and 2.0)",
    ),
    Shim(
        r"\b(?:tf|tensorflow)\.(Session|ConfigProto|GPUOptions|set_random_seed|logging"
        r"|get_default_graph|reset_default_graph|placeholder|global_variables_initializer)\b",
        "TensorFlow 1's names -> tensorflow.compat.v1",
        r"tf.compat.v1.\1, or nothing: this agent needs no session (TensorFlow 2.0)",
    ),
    Shim(
        r"\bdisable_(?:eager_execution|v2_behavior)\(",
        "disable_eager_execution() -> ignored",
        "nothing: the agent is compiled, and keras-rl's own has a graph of its own",
    ),
    Shim(
        OTHER_AGENTS,
        "SARSA, CEM, DDPG and NAF agents -> keras-rl2's own, which this project does not correct",
        "another library: keras-rl2 is archived",
    ),
)


def find_shims(statements: list[Statement]) -> Iterator[tuple[Shim, Statement, str]]:
    """Each row that the script needs, the statement that needs it, and what to write instead."""
    for statement in statements:
        for shim in SHIMS:
            if match := re.search(shim.pattern, statement.text):
                yield shim, statement, match.expand(shim.instead)
        for name in re.findall(r"'([\w:/-]+-v\d+)'", statement.text):
            if (successor := find_successor(name)) != (name, {}):
                yield Shim(name, "", ""), statement, describe_make(*successor)
