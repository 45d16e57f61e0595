"""TensorFlow with legacy Keras and keras-rl2, imported and repaired.

Importing this module repairs the two defects that keep keras-rl2 1.0.5 from loading (D1, D2 of
docs/defects.md) and leaves eager execution on. keras-rl2 runs on legacy Keras (tf-keras) alone,
and TensorFlow chooses its Keras when it loads: import this before TensorFlow, or set
TF_USE_LEGACY_KERAS=1 yourself.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kerasrl_runner.errors import StackError


@contextlib.contextmanager
def _native_stderr_held_back() -> Iterator[None]:
    """Hold back what TensorFlow's C++ prints while it loads; shown only when loading fails.

    Without a GPU it prints two lines that no log level silences.
    """
    try:
        sys.stderr.flush()
        saved = os.dup(2)
    except (OSError, ValueError, AttributeError):  # no usable stderr: nothing to hold back
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def start_quietly() -> None:
    """Let XLA and a session run for the first time, with stderr held back.

    TensorFlow before 2.21 prints a few lines then, whatever the log level says.
    """
    if tuple(map(int, tf.__version__.split(".")[:2])) >= (2, 21):
        return
    with _native_stderr_held_back():
        tf.function(lambda: tf.zeros([]), jit_compile=True)()
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            session.run(tf.zeros([]))


def _load_legacy_keras() -> None:
    """TensorFlow with its legacy Keras. Raises StackError where Keras 3 came first."""
    if "tensorflow" not in sys.modules:
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _native_stderr_held_back():
        importlib.import_module("tensorflow")
        module = importlib.import_module("tensorflow.keras")
    # Keras 3's own file lies in keras/_tf_keras/: only a whole folder name tells.
    if "tf_keras" not in Path(str(module.__file__)).parts:
        raise StackError(
            "TensorFlow was imported with Keras 3 before kerasrl_runner.keras_rl, and keras-rl2 "
            "needs legacy Keras (tf-keras). Import kerasrl_runner.keras_rl first, or set the "
            "environment variable TF_USE_LEGACY_KERAS=1 before Python starts."
        )


def _import_vendor() -> None:
    tensorflow: Any = sys.modules["tensorflow"]
    module: Any = sys.modules["tensorflow.keras"]
    # D1, rl/callbacks.py:8 imports a name that tensorflow.keras no longer has.
    if not hasattr(module, "__version__"):
        module.__version__ = importlib.import_module("tf_keras").__version__
    # D2, rl/agents/ddpg.py:9 turns eager execution off for the whole process.
    real = tensorflow.compat.v1.disable_eager_execution
    tensorflow.compat.v1.disable_eager_execution = lambda: None
    try:
        importlib.import_module("rl.agents")
    finally:
        tensorflow.compat.v1.disable_eager_execution = real


_load_legacy_keras()
_import_vendor()
# Each of the vendor's sessions warns of an attribute that neither it nor its user ever reads.
warnings.filterwarnings("ignore", message=".*Model.state_updates.*")

import rl.agents.dqn as rl_dqn
import rl.callbacks as rl_callbacks
import rl.core as rl_core
import rl.memory as rl_memory
import rl.policy as rl_policy
import rl.util as rl_util
import tensorflow as tf
import tf_keras as keras
from rl.callbacks import Callback
from rl.core import Processor
from rl.policy import BoltzmannGumbelQPolicy, EpsGreedyQPolicy, GreedyQPolicy
from rl.processors import MultiInputProcessor
