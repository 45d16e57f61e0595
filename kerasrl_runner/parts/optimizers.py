"""Keras optimizers, and the legacy ones that the vendor's training path needs (docs/defects.md)."""

from __future__ import annotations

from typing import Any

from kerasrl_runner.errors import PresetError
from kerasrl_runner.parts.model import check_eager_mode, check_legacy_keras
from kerasrl_runner.vendor import is_built, keras, share_rate

# Arguments that legacy optimizers lack: those that would change the update, and the others.
_UNSUPPORTED = ("weight_decay", "use_ema")
_IGNORED = ("ema_momentum", "ema_overwrite_frequency", "jit_compile", "is_legacy_optimizer")


def build_optimizer(name: str, arguments: dict[str, Any]) -> Any:
    """A Keras optimizer; `learning_rate` may be {"PolynomialDecay": {...}} or another schedule.

    Raises:
        PresetError: Keras refuses the arguments.
    """
    key = f"optimizer.{name}"
    arguments = dict(arguments)
    rate = arguments.get("learning_rate")
    try:
        if isinstance(rate, dict):
            schedule, schedule_arguments = next(iter(rate.items()))
            key = f"{key}.learning_rate.{schedule}"
            schedule_class = getattr(keras.optimizers.schedules, schedule)
            arguments["learning_rate"] = schedule_class(**schedule_arguments)
            key = f"optimizer.{name}"
        return getattr(keras.optimizers, name)(**arguments)
    except Exception as error:  # Keras judges the arguments, and raises whatever it likes
        raise PresetError(f"{key}: Keras refuses these arguments: {error}") from error


def take_optimizer(optimizer: Any) -> Any:
    """The optimizer, or that of a name. Raises ValueError: of Keras 3, new-style in graph mode."""
    new_style, legacy = keras.optimizers.Optimizer, keras.optimizers.legacy.Optimizer
    check_legacy_keras(optimizer, str | new_style | legacy)
    if isinstance(optimizer, new_style):
        check_eager_mode()
    return keras.optimizers.get(optimizer)


def new_style_optimizer(optimizer: Any) -> Any:
    """An unused new-style optimizer equal to a name, a legacy or a new-style optimizer.

    A copy follows the original's learning rate. Raises ValueError as `take_optimizer`.
    """
    copy = optimizer = take_optimizer(optimizer)
    if isinstance(optimizer, keras.optimizers.legacy.Optimizer):
        config = optimizer.get_config()
        if isinstance(optimizer, keras.optimizers.legacy.Nadam):
            del config["decay"]  # of its momentum, the same in all of Keras' Nadams
        copy = getattr(keras.optimizers, type(optimizer).__name__).from_config(config)
    elif is_built(optimizer):
        copy = type(optimizer).from_config(optimizer.get_config())
    share_rate(optimizer, copy)
    return copy


def legacy_optimizer(optimizer: Any) -> Any:
    """A fresh legacy optimizer equal to a name, a legacy or a new-style optimizer (D6c).

    rl/util.py:86 works with `optimizers.legacy` alone.

    Raises:
        ValueError: as `take_optimizer`, or the optimizer has no legacy twin, or uses what legacy
            ones cannot do.
    """
    optimizer = take_optimizer(optimizer)
    name = type(optimizer).__name__
    legacy_class = getattr(keras.optimizers.legacy, name, None)
    if legacy_class is None:
        raise ValueError(f"{name} has no legacy twin, which keras-rl needs; use Adam, for example")
    config = optimizer.get_config()
    for argument in _UNSUPPORTED:
        if config.pop(argument, None):
            raise ValueError(f"{name}: keras-rl's legacy optimizers cannot do {argument}")
    for argument in _IGNORED:
        config.pop(argument, None)
    return legacy_class.from_config(config)
