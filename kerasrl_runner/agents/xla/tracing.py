"""What a Keras model needs while one of our programs is traced through it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from kerasrl_runner.vendor import keras, tf


@contextlib.contextmanager
def replaced(owner: Any, **attributes: Any) -> Iterator[None]:
    """Shadow attributes of one object; put back on leaving."""
    own = vars(owner)
    before = {name: own[name] for name in attributes if name in own}
    own.update(attributes)
    try:
        yield
    finally:
        for name in attributes:
            del own[name]
        own.update(before)


@contextlib.contextmanager
def standing_in(
    variables: Sequence[tf.Variable], values: Sequence[tf.Tensor], assigned: set[str]
) -> Iterator[None]:
    """Let every read of a variable give the tensor instead, whichever layer holds it and where.

    The names of variables that a layer assigns meanwhile are added to `assigned`: that has no
    meaning for weights that live elsewhere, so the traced program is worth nothing then.
    """
    with contextlib.ExitStack() as stack:
        for variable, value in zip(variables, values, strict=True):
            access = {**_reads(value), **_assignments(variable.name, value, assigned)}
            stack.enter_context(replaced(variable, **access))
        yield


@contextlib.contextmanager
def plain_recurrence(model: keras.Model) -> Iterator[None]:
    """Let LSTM and GRU compute step by step, as other recurrent layers do.

    Else each is two functions to choose from, one of them for a GPU, and XLA compiles a network
    of one LSTM for half a minute instead of two seconds.
    """
    with contextlib.ExitStack() as stack:
        for module in model.submodules:
            if isinstance(module, keras.layers.LSTM | keras.layers.GRU):
                stack.enter_context(replaced(module, _could_use_gpu_kernel=False))
        yield


@contextlib.contextmanager
def keyed_randomness(model: keras.Model, seed: Callable[[], tf.Tensor]) -> Iterator[None]:
    """Draw the masks and noise of Keras' own random layers from stateless keys.

    Args:
        model: its layers with Keras' `RandomGenerator` (Dropout and its kin, GaussianNoise,
            custom layers derived from BaseRandomLayer) are served; one that calls `tf.random`
            itself is not.
        seed: gives the int64 key [2] of this learn step; the n-th draw folds n into it.
    """
    draws = 0

    def next_key() -> tf.Tensor:
        nonlocal draws
        draws += 1
        return tf.random.experimental.stateless_fold_in(seed(), draws)  # [2]

    with contextlib.ExitStack() as stack:
        for module in model.submodules:
            generator = getattr(module, "_random_generator", None)
            if generator is not None:
                changes = {
                    "_rng_type": "stateless",
                    "_built": True,
                    "make_seed_for_stateless_op": next_key,
                }
                stack.enter_context(replaced(generator, **changes))
        yield


def _reads(value: tf.Tensor) -> dict[str, Callable[..., tf.Tensor]]:
    """Return the public methods of a variable by which layers read it, giving `value`."""
    return {
        "value": lambda: value,
        "read_value": lambda: value,
        "sparse_read": lambda indices, name=None: tf.gather(value, indices, name=name),
        "gather_nd": lambda indices, name=None: tf.gather_nd(value, indices, name=name),
    }


def _assignments(
    name: str, value: tf.Tensor, assigned: set[str]
) -> dict[str, Callable[..., tf.Tensor]]:
    """Return the public methods by which layers assign a variable, only taking note."""

    def note(*_args: Any, **_kwargs: Any) -> tf.Tensor:
        assigned.add(name)
        return value

    return {"assign": note, "assign_add": note, "assign_sub": note}
