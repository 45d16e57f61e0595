"""XLA programs: compiled once per architecture, called at the price of one dispatch.

A program is a traced function whose variables were captured. Another agent of the same
architecture runs the same program on its own variables: their handles take the place of the
captured ones in each call. This costs nothing per call (the handles are passed anyway) and saves
the compile time and the ~6.7 MB that XLA keeps for good for each program.
"""

from __future__ import annotations

import itertools
import threading
import types
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kerasrl_runner.vendor import keras, tf

Run = Callable[[list[tf.Tensor]], Sequence[tf.Tensor]]

# What a failed XLA compilation raises; an error of the function's own mathematics raises the same
# types, and comes back from the run without XLA.
_XLA_REFUSALS = (
    tf.errors.InvalidArgumentError,
    tf.errors.UnimplementedError,
    tf.errors.InternalError,
    tf.errors.NotFoundError,
)

_programs: dict[Hashable, Program] = {}


def direct_call(concrete: Any, input_count: int) -> Run:
    """Return `concrete` as a function of its flat inputs, handles of the variables last.

    The one place that calls TensorFlow by private names: `execute.execute` runs a registered
    function by its name, as every generated op of TensorFlow does. The argument binding of the
    public call costs more than a small update. Where a name is missing, the public call serves.
    """
    try:
        from tensorflow.python.eager import context, execute

        eager_context = context.context()
        name = concrete.inference_fn.name.decode()
        output_count = len(concrete.inference_fn.function_type.flat_outputs)
        options = eager_context.function_call_options.as_attrs()
        run = execute.execute
    except (ImportError, AttributeError):
        return public_call(concrete, input_count)
    attributes = tuple(itertools.chain(*options.items()))

    def call(inputs: list[tf.Tensor]) -> Sequence[tf.Tensor]:
        return run(name, output_count, inputs, attributes, eager_context)

    return call


def public_call(concrete: Any, input_count: int) -> Run:
    """Return the same function by TensorFlow's public names alone."""
    lock = threading.Lock()

    def call(inputs: list[tf.Tensor]) -> Sequence[tf.Tensor]:
        with lock:
            concrete.set_external_captures(inputs[input_count:])
            return tf.nest.flatten(concrete(*inputs[:input_count]))

    return call


class Program:
    """A traced function of tensors and variables, compiled by XLA where XLA can.

    Args:
        function: takes one tensor per entry of `specs`, returns one tensor.
        variables: every variable that `function` may read or assign, by a name that another
            agent of the same architecture gives to its own counterpart.
    """

    def __init__(
        self,
        function: Callable[..., tf.Tensor],
        specs: Sequence[tf.TensorSpec],
        variables: Mapping[str, tf.Variable],
        *,
        jit_compile: bool,
    ) -> None:
        self.compiled = jit_compile
        self._specs = list(specs)
        self._retrace: Callable[[], None] | None = None
        self._trace(function, variables)
        if jit_compile:
            self._retrace = lambda: self._trace(function, variables)

    def _trace(
        self, function: Callable[..., tf.Tensor], variables: Mapping[str, tf.Variable]
    ) -> None:
        traced = tf.function(function, jit_compile=self.compiled or None)
        self.concrete = traced.get_concrete_function(*self._specs)
        names = {id(variable.handle): name for name, variable in variables.items()}
        captures = self.concrete.captured_inputs
        self.captured = [names.get(id(tensor)) for tensor in captures]
        self._constants = [None if id(tensor) in names else tensor for tensor in captures]
        self.run = direct_call(self.concrete, len(self._specs))

    @property
    def shareable(self) -> bool:
        """Whether every capture has a name, so that another agent's can take its place."""
        return None not in self.captured

    def captures_in_use(self) -> set[int]:
        """Return the ids of captured tensors that some operation takes.

        Others were captured for the sake of a name alone, as by `tf.colocate_with`.
        """
        pairs = self.concrete.graph.captures
        return {id(outer) for outer, inner in pairs if inner.consumers()}

    def handles(self, variables: Mapping[str, tf.Variable]) -> list[tf.Tensor]:
        """Return what to append to the inputs so that the program works on `variables`."""
        return [
            constant if name is None else variables[name].handle
            for name, constant in zip(self.captured, self._constants, strict=True)
        ]

    def first_run(
        self, inputs: list[tf.Tensor], variables: Mapping[str, tf.Variable]
    ) -> Sequence[tf.Tensor]:
        """Run, and go on without XLA from here on if XLA refuses the function.

        XLA refuses before anything runs, so no variable has changed by then.

        Warns:
            RuntimeWarning: XLA could not compile the function.
        """
        retrace, self._retrace = self._retrace, None
        try:
            return self.run(inputs + self.handles(variables))
        except _XLA_REFUSALS as error:
            if retrace is None:
                raise
            self.compiled = False
            retrace()
            outputs = self.run(inputs + self.handles(variables))
            reason = str(error).strip().splitlines()[0]
            message = f"XLA cannot compile this model, so it runs slower, without XLA: {reason}"
            warnings.warn(message, RuntimeWarning, stacklevel=4)
            return outputs


class BoundProgram:
    """A program and the variables of one agent; called with the inputs, returns the outputs."""

    def __init__(self, program: Program, variables: Mapping[str, tf.Variable]) -> None:
        self.program = program
        self._variables = variables
        self._handles: list[tf.Tensor] | None = None

    def __call__(self, inputs: list[tf.Tensor]) -> Sequence[tf.Tensor]:
        if self._handles is None:
            outputs = self.program.first_run(inputs, self._variables)
            self._handles = self.program.handles(self._variables)
            return outputs
        return self.program.run(inputs + self._handles)


def bound_program(
    key: Hashable | None,
    function: Callable[..., tf.Tensor],
    specs: Sequence[tf.TensorSpec],
    variables: Mapping[str, tf.Variable],
    *,
    jit_compile: bool,
) -> BoundProgram:
    """Return the program of `key` on these variables, tracing it only if nobody did before.

    A `key` of None, or a capture without a name, keeps the program to this agent.
    """
    program = _programs.get(key) if key is not None else None
    if program is None:
        program = Program(function, specs, variables, jit_compile=jit_compile)
        if key is not None and program.shareable:
            _programs[key] = program
    return BoundProgram(program, variables)


def forget(key: Hashable | None) -> None:
    """Share the program of `key` no more."""
    _programs.pop(key, None)


def model_key(model: keras.Model) -> Hashable | None:
    """Return what two models must share to share a program; None if that cannot be told.

    Beside the config, the layers' functions, classes, numbers and arrays themselves are
    compared: two functions may bear one name, and a custom layer's config may lack something.
    """
    keep_names = not isinstance(model, keras.Sequential)
    try:
        config = repr(_anonymous(model.get_config(), keep_names=keep_names))
    except (NotImplementedError, TypeError):
        return None
    if " at 0x" in config:
        return None
    parts = tuple((type(module), *_behaviour(module)) for module in model.submodules)
    return config, type(model), parts, tuple(tuple(v.shape) for v in model.variables)


def optimizer_key(optimizer: keras.optimizers.Optimizer) -> Hashable | None:
    """Return what two optimizers must share to share a program; None if that cannot be told.

    A constant learning rate is no part of it: the program reads it from a variable.
    """
    spares_some_variables = hasattr(optimizer, "_exclude_from_weight_decay")
    if spares_some_variables or type(optimizer) not in vars(keras.optimizers).values():
        return None
    settings = tuple(sorted(_scalars(optimizer, keep_private=True), key=lambda item: item[0]))
    schedule = vars(optimizer).get("_learning_rate")
    if isinstance(schedule, tf.Variable):
        return type(optimizer), settings
    if type(schedule) not in vars(keras.optimizers.schedules).values():
        return None
    return type(optimizer), settings, type(schedule), repr(schedule.get_config())


def named_variables(owner: Any, prefix: str) -> Iterator[tuple[str, tf.Variable]]:
    """Yield the variables that `owner` holds in attributes and lists, by the way to them."""
    for name, value in vars(owner).items():
        for index, item in enumerate(value if isinstance(value, list | tuple) else [value]):
            if isinstance(item, tf.Variable):
                yield f"{prefix}/{name}/{index}", item


def aliasing_tensor(array: np.ndarray) -> tf.Tensor:
    """Return a tensor on the memory of `array`: what is written there, the next call reads.

    Calls are synchronous, so an array may be rewritten as soon as the call that reads it is over.
    """
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def aligned_zeros(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """Return zeros that start at a multiple of 64 bytes, as XLA expects of its inputs."""
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)


def _anonymous(config: Any, *, keep_names: bool) -> Any:
    """Return a layer config without what does not change the mathematics."""
    if isinstance(config, Mapping):
        return {
            key: _anonymous(value, keep_names=keep_names)
            for key, value in config.items()
            if (keep_names or key != "name") and not str(key).endswith("_initializer")
        }
    if isinstance(config, list | tuple):
        return [_anonymous(value, keep_names=keep_names) for value in config]
    if isinstance(config, np.ndarray | tf.Tensor):
        return np.asarray(config).tobytes()
    return config


def _behaviour(module: tf.Module) -> Iterator[Any]:
    """Yield the functions, numbers, arrays and classes of helper objects that a layer holds."""
    yield from _scalars(module, keep_private=False)
    for name, value in vars(module).items():
        if isinstance(value, types.FunctionType):
            yield value
        elif hasattr(value, "get_config"):
            yield type(value)
        elif isinstance(value, np.ndarray) or (
            isinstance(value, tf.Tensor) and hasattr(value, "numpy")
        ):
            yield name, np.asarray(value).tobytes()


def _scalars(owner: Any, *, keep_private: bool) -> Iterator[tuple[str, Any]]:
    """Yield the attributes that are plain values."""
    for name, value in vars(owner).items():
        if keep_private or not name.startswith("_"):
            if isinstance(value, bool | int | float | str | None):
                yield name, value
            elif isinstance(value, np.generic):
                yield name, value.item()
