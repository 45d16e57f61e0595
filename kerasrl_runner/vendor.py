"""TensorFlow with legacy Keras and keras-rl2, imported and repaired.

Importing this module repairs the two defects that keep keras-rl2 1.0.5 from loading (D1, D2 of
docs/defects.md) and leaves eager execution on. keras-rl2 runs on legacy Keras (tf-keras) alone,
and TensorFlow chooses its Keras when it loads: import this before TensorFlow, or set
TF_USE_LEGACY_KERAS=1 yourself.

Every private name of these packages that this project uses stands at the end of this file and is
looked up at import.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import itertools
import os
import sys
import tempfile
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from kerasrl_runner.errors import StackError


@contextlib.contextmanager
def _hold_back_native_stderr() -> Iterator[None]:
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
    with _hold_back_native_stderr():
        tf.function(lambda: tf.zeros([]), jit_compile=True)()
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            session.run(tf.zeros([]))


def _load_legacy_keras() -> None:
    """TensorFlow with its legacy Keras. Raises StackError where Keras 3 came first."""
    if "tensorflow" not in sys.modules:
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _hold_back_native_stderr():
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

# The vendor's loop warns of it in each episode, each time with another number.
_warn_once = functools.cache(lambda: warnings.warn("start steps ended an episode", stacklevel=4))
rl_core.warnings = types.SimpleNamespace(warn=lambda text: _warn_once())


def look_up(package: str, module: str, path: str) -> Any:
    """Return a private object of a package: the dotted `path` inside of `module`.

    Raises:
        StackError: the installed version of the package does not have it.
    """
    try:
        found = importlib.import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        raise _lost(package, f"{module}.{path}") from error
    return found


def check_attribute(package: str, method: Any, name: str) -> None:
    """Check that a method uses a private attribute, which objects have only once they are made.

    Raises:
        StackError: it does not.
    """
    if name not in inspect.unwrap(method).__code__.co_names:
        raise _lost(package, f"{method.__module__}.{method.__qualname__}: self.{name}")


def _lost(package: str, name: str) -> StackError:
    version = importlib.import_module(package.replace("-", "_")).__version__
    return StackError(
        f"expected the private name {name} in {package}, received {package} {version}, which "
        f"does not have it. Install the version of {package} that kerasrl-runner asks for."
    )


_EAGER = "tensorflow.python.eager"
_CONCRETE = f"{_EAGER}.polymorphic_function.concrete_function"
_execute = look_up("tensorflow", f"{_EAGER}.execute", "execute")
_ops = look_up("tensorflow", "tensorflow.python.framework", "ops")
_context = look_up("tensorflow", f"{_EAGER}.context", "context")
for _module, _path in (
    (f"{_EAGER}.context", "Context.function_call_options"),
    (f"{_EAGER}.context", "FunctionCallOptions.as_attrs"),
    (_CONCRETE, "ConcreteFunction.inference_fn"),
    (f"{_EAGER}.polymorphic_function.atomic_function", "AtomicFunction.function_type"),
):
    look_up("tensorflow", _module, _path)

_SafeModeScope = look_up("tf-keras", "tf_keras.src.saving.serialization_lib", "SafeModeScope")
look_up("tf-keras", "tf_keras.src.engine.training_v1", "Model._make_train_function")
_RandomLayer = look_up("tf-keras", "tf_keras.src.engine.base_layer", "BaseRandomLayer")
_RandomGenerator = look_up("tf-keras", "tf_keras.src.backend", "RandomGenerator")
for _method, _name in (
    (keras.optimizers.SGD.build, "_built"),
    (keras.optimizers.SGD.__init__, "_learning_rate"),
    (keras.layers.LSTM.__init__, "_could_use_gpu_kernel"),
    (keras.layers.GRU.__init__, "_could_use_gpu_kernel"),
    (_RandomLayer.__init__, "_random_generator"),
    (_RandomGenerator.random_normal, "_rng_type"),
    (_RandomGenerator.random_normal, "make_seed_for_stateless_op"),
    (_RandomGenerator.__init__, "_built"),
):
    check_attribute("tf-keras", _method, _name)


def _take_old_arguments(optimizer_class: Any) -> None:
    """Let an optimizer take Keras 2's `lr`, which Keras ignores, and `decay`, which it refuses."""
    make = optimizer_class.__init__

    @functools.wraps(make)
    def init(self: Any, *args: Any, decay: float = 0.0, **arguments: Any) -> None:
        if "lr" in arguments:
            arguments["learning_rate"] = arguments.pop("lr")
        if arguments.get("epsilon", 0) is None:  # Keras 2's way to ask for the default
            del arguments["epsilon"]
        make(self, *args, **arguments)
        if decay:
            _add_decay(self, decay)

    optimizer_class.__init__ = init


def _add_decay(optimizer: Any, decay: float) -> None:
    """Let an optimizer step at the rate learning_rate / (1 + decay * iterations)."""
    step, config = optimizer.update_step, optimizer.get_config

    def update_step(gradient: Any, variable: Any) -> None:
        kept, rate = optimizer._learning_rate, optimizer.learning_rate
        optimizer._learning_rate = rate / (1.0 + decay * tf.cast(optimizer.iterations, rate.dtype))
        step(gradient, variable)
        optimizer._learning_rate = kept

    optimizer.update_step = update_step
    optimizer.get_config = lambda: {**config(), "decay": decay}


for _class in vars(keras.optimizers).values():
    if inspect.isclass(_class) and _class is not keras.optimizers.Optimizer:
        _take_old_arguments(_class)


def share_rate(optimizer: Any, copy: Any) -> None:
    """Let a new-style copy of an optimizer follow what a script assigns to the original's rate."""
    if isinstance(copy._learning_rate, tf.Variable):
        copy._learning_rate = optimizer.learning_rate


def assign_in_graphs(variable: tf.Variable) -> None:
    """Let scripts assign to an eager variable inside of a graph too, where callbacks run."""

    def assign(value: Any, *args: Any, **kwargs: Any) -> Any:
        if tf.is_symbolic_tensor(value):  # what keras.backend.set_value feeds
            return tf.py_function(lambda fed: assign(fed).numpy(), [value], value.dtype)
        with tf.__internal__.eager_context.eager_mode():
            return type(variable).assign(variable, value, *args, **kwargs)

    variable.assign = assign


def ignore_graph_mode() -> None:
    """Let a script's disable_eager_execution() and disable_v2_behavior() do nothing."""
    for module in (tf.compat.v1, _ops):
        for name in ("disable_eager_execution", "disable_v2_behavior"):
            if hasattr(module, name):
                setattr(module, name, lambda: None)


def direct_call(concrete: Any) -> Callable[[list[tf.Tensor]], Sequence[tf.Tensor]]:
    """Return a concrete function as a function of its flat inputs, captured ones last.

    It runs the registered function by its name, as every generated op of TensorFlow does. The
    argument binding of the public call costs more than a small update.
    """
    context = _context()
    name = concrete.inference_fn.name.decode()
    output_count = len(concrete.inference_fn.function_type.flat_outputs)
    attributes = tuple(itertools.chain(*context.function_call_options.as_attrs().items()))

    def call(inputs: list[tf.Tensor]) -> Sequence[tf.Tensor]:
        return _execute(name, output_count, inputs, attributes, context)

    return call


def allow_lambdas() -> Any:
    """Return a scope in which Keras makes Lambda layers from their configuration."""
    return _SafeModeScope(False)


def is_built(optimizer: Any) -> bool:
    """Whether a new-style Keras optimizer has made its variables for some model."""
    return getattr(optimizer, "_built", False)


def make_train_function(model: Any) -> None:
    """Let a Keras model of graph mode make its optimizer's variables."""
    model._make_train_function()


def use_plain_recurrence(model: Any) -> None:
    """Let LSTM and GRU compute step by step, as other recurrent layers do.

    Else each is two functions to choose from, one of them for a GPU, and XLA compiles a network
    of one LSTM for half a minute instead of two seconds.
    """
    for module in model.submodules:
        if isinstance(module, keras.layers.LSTM | keras.layers.GRU):
            module._could_use_gpu_kernel = False


@contextlib.contextmanager
def keyed_randomness(model: Any, key: tf.Tensor) -> Iterator[None]:
    """Let a model's random layers draw masks and noise from stateless keys.

    Keras' own streams of random numbers are in no checkpoint. Served are the layers with Keras'
    RandomGenerator (Dropout and its kin, GaussianNoise, custom layers derived from
    BaseRandomLayer); a layer that calls `tf.random` itself is not.

    Args:
        key: int64 [2]; the n-th draw folds n into it.
    """
    draws = itertools.count(1)
    generators = [
        vars(module._random_generator)
        for module in model.submodules
        if isinstance(module, _RandomLayer)
    ]
    kept = [dict(attributes) for attributes in generators]
    for attributes in generators:
        attributes["_rng_type"] = _RandomGenerator.RNG_STATELESS
        attributes["_built"] = True
        attributes["make_seed_for_stateless_op"] = lambda: tf.random.experimental.stateless_fold_in(
            key, next(draws)
        )
    try:
        yield
    finally:
        for attributes, before in zip(generators, kept, strict=True):
            attributes.clear()
            attributes.update(before)
