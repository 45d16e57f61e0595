"""XLA programs, called at the price of one dispatch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from kerasrl_runner.vendor import direct_call, tf

# Takes the input tensors, returns the output tensors.
Program = Callable[[list[tf.Tensor]], Sequence[tf.Tensor]]

# What a failed XLA compilation raises; an error of the function's own mathematics raises the same
# types, and comes back from the run without XLA.
_XLA_REFUSALS = (
    tf.errors.InvalidArgumentError,
    tf.errors.UnimplementedError,
    tf.errors.InternalError,
    tf.errors.NotFoundError,
)

# Concrete functions (TensorFlow drops one that nobody keeps) with their programs and the names of
# the variables that they captured, in their order.
_shared: dict[Hashable, tuple[Any, Program, list[str]]] = {}


def shared_program(
    key: Hashable,
    function: Callable[..., tf.Tensor],
    specs: Sequence[tf.TensorSpec],
    variables: Mapping[str, tf.Variable],
) -> Program:
    """Return the program of `key`, working on `variables`; it is compiled for the first agent.

    Another agent passes the handles of its own variables in place of the first one's. This costs
    nothing in a call, since a program takes the handles as inputs anyway, and saves the seconds
    of compiling and the 6.7 MB that XLA keeps for good for each program.

    Args:
        key: equal for functions that compute the same on variables of the same names and shapes.
        function: takes one tensor for each of `specs`, returns one tensor.
        variables: every variable that `function` reads or assigns.
    """
    if key not in _shared:
        # Nothing here is for AutoGraph, which would write and import a file for each method.
        traced = tf.function(function, jit_compile=True, autograph=False)
        concrete = traced.get_concrete_function(*specs)
        names = {id(variable.handle): name for name, variable in variables.items()}
        captured = [names[id(tensor)] for tensor in concrete.captured_inputs]
        _shared[key] = concrete, direct_call(concrete), captured
    _, run, captured = _shared[key]
    handles = [variables[name].handle for name in captured]
    return lambda inputs: run(inputs + handles)


class OwnProgram:
    """A program of one agent alone, compiled by XLA if XLA can.

    Args:
        function: takes one tensor for each of `specs`, returns one tensor.
    """

    def __init__(self, function: Callable[..., tf.Tensor], specs: Sequence[tf.TensorSpec]) -> None:
        self._function, self._specs = function, specs
        self._trace(jit_compile=True)
        self._is_compiled = False

    def __call__(self, inputs: list[tf.Tensor]) -> Sequence[tf.Tensor]:
        """Run; the first call compiles.

        Warns:
            RuntimeWarning: XLA could not compile the function, which runs without XLA then.
        """
        if not self._is_compiled:
            return self._compile_and_run(inputs)
        return self._run(inputs + self._captured)

    def _compile_and_run(self, inputs: list[tf.Tensor]) -> Sequence[tf.Tensor]:
        self._is_compiled = True
        try:
            return self._run(inputs + self._captured)
        except _XLA_REFUSALS as error:  # XLA refuses before anything runs: no variable has changed
            self._trace(jit_compile=False)
            outputs = self._run(inputs + self._captured)
            reason = str(error).strip().splitlines()[0]
            message = f"XLA cannot compile this model, so it runs slower, without XLA: {reason}"
            warnings.warn(message, RuntimeWarning, stacklevel=4)
            return outputs

    def _trace(self, *, jit_compile: bool) -> None:
        traced = tf.function(self._function, jit_compile=jit_compile or None)
        self._concrete = traced.get_concrete_function(*self._specs)
        self._captured = list(self._concrete.captured_inputs)
        self._run = direct_call(self._concrete)


def aligned_zeros(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """Return zeros that start at a multiple of 64 bytes, as XLA expects of its inputs."""
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)


def aliasing_tensor(array: np.ndarray) -> tf.Tensor:
    """Return a tensor on the memory of `array`: what is written there, the next call reads.

    Calls are synchronous, so an array may be rewritten as soon as the call that reads it is over.
    """
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
