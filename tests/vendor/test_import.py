"""What must be repaired before keras-rl2 can be imported at all (D1, D2)."""

from __future__ import annotations

from pathlib import Path

from vendor.support import python

EAGER_MODEL = """
import numpy as np
model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])
print("eager", tf.executing_eagerly(), hasattr(model(np.ones((1, 2), np.float32)), "numpy"))
"""


def test_D1_D2_the_vendor_cannot_be_imported_and_turns_eager_execution_off(tmp_path: Path) -> None:
    ended = python(
        """
import sys
import tensorflow as tf
import tensorflow.keras
try:
    import rl.agents
except ImportError as error:
    print(error)
sys.modules["tensorflow.keras"].__version__ = "2"
import rl.agents
print("eager", tf.executing_eagerly())
""",
        tmp_path,
        legacy_keras=True,
    )
    assert "cannot import name '__version__'" in ended.stdout
    assert "eager False" in ended.stdout, ended.stderr


def test_D1_the_door_refuses_keras_3_loaded_first_and_says_how_to_mend_it(tmp_path: Path) -> None:
    ended = python(
        """
import tensorflow as tf
tf.keras.layers.Dense
from kerasrl_runner.errors import StackError
try:
    import kerasrl_runner.vendor
except StackError as error:
    print(error)
""",
        tmp_path,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Import kerasrl_runner.keras_rl first" in ended.stdout
    assert "TF_USE_LEGACY_KERAS=1" in ended.stdout


def test_D1_D2_tensorflow_may_come_first_and_eager_execution_stays_on(tmp_path: Path) -> None:
    ended = python(
        "import tensorflow as tf\nfrom kerasrl_runner.keras_rl import DQNAgent, VendorDQNAgent\n"
        + EAGER_MODEL
        + "from agents.support import make_agent\nagent = make_agent()\n"
        + "assert isinstance(agent, VendorDQNAgent)\n"
        + "agent.compute_q_values([np.ones(1)])\n"
        + EAGER_MODEL,
        tmp_path,
        legacy_keras=True,
    )
    assert ended.stdout.count("eager True True") == 2, ended.stderr
