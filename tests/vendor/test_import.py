"""What must be repaired before keras-rl2 can be imported at all (D1, D2)."""

from __future__ import annotations

from pathlib import Path

from commands import python

VENDORS = """
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
"""
KERAS_3_FIRST = """
import tensorflow as tf
tf.keras.layers.Dense
from kerasrl_runner.errors import StackError
try:
    import kerasrl_runner.vendor
except StackError as error:
    print(error)
"""


def test_D1_D2_the_vendor_cannot_be_imported_and_turns_eager_execution_off(tmp_path: Path) -> None:
    printed = python(VENDORS, tmp_path, TF_USE_LEGACY_KERAS="1")
    assert "cannot import name '__version__'" in printed
    assert "eager False" in printed


def test_D1_keras_3_loaded_first_is_refused_with_a_remedy(tmp_path: Path) -> None:
    printed = python(KERAS_3_FIRST, tmp_path)
    assert "Import kerasrl_runner.keras_rl first" in printed
    assert "TF_USE_LEGACY_KERAS=1" in printed
