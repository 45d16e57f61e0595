"""The one family of errors that a user can cause, and the exit codes they end a command with."""

from __future__ import annotations

import operator
from typing import Any

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class RunnerError(Exception):
    """Something a user can fix: the message says what was expected, what came, and the way out."""

    exit_code = EXIT_FAILED


class UsageError(RunnerError):
    """A wrong option, argument or combination of them."""

    exit_code = EXIT_USAGE


class PresetError(RunnerError):
    """A preset that cannot be read or says something impossible; found before all writing."""

    exit_code = EXIT_USAGE


class EngineRefusal(PresetError, ValueError):
    """A model that the compiled engine would compute wrongly; a ValueError for a script."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"{reason}. Use --engine keras-rl, in a script kerasrl_runner.keras_rl.VendorDQNAgent."
        )


class EnvironmentFailed(RunnerError):
    """An environment that cannot be made, or that raised or returned nonsense while it ran."""


class WeightsError(RunnerError):
    """A weights file that cannot be read, or does not belong to the network it is meant for."""


class RunError(RunnerError):
    """A run directory that cannot be found, made or written."""


class CheckpointError(RunError):
    """A checkpoint that is missing, broken or of another training."""


class TrainingDiverged(RunnerError):
    """A loss or a weight became NaN or infinite."""


class StackError(RunnerError):
    """The installed TensorFlow, Keras and keras-rl2 cannot work together as they were loaded."""


def divergence_error(what: str, env_step: int) -> TrainingDiverged:
    """The error for a training whose numbers ran away (D25), with its remedies."""
    return TrainingDiverged(
        f"{what} at env step {env_step}. Lower the learning rate, clip gradients (optimizer "
        f"clipnorm) or errors (delta_clip), or scale rewards ([env] reward_scale)."
    )


def whole_number(name: str, value: Any) -> int:
    """`value` as a Python int, from NumPy's integers too. Raises UsageError for others and 1.0."""
    try:
        return int(operator.index(value))
    except TypeError:
        raise UsageError(f"{name}: expected a whole number, received {value!r}.") from None


def suggest_name(name: str, known: list[str]) -> str:
    """' Did you mean "x"?' for a misspelt `name`, or the empty string where nothing is near."""
    import difflib

    lowered = {entry.lower(): entry for entry in known}  # difflib minds the case, people do not
    matches = difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    return f' Did you mean "{lowered[matches[0]]}"?' if matches else ""


def shorten(text: object, most: int = 300) -> str:
    """`text` of at most `most` characters, with control codes escaped, for an error message."""
    short = str(text)
    short = short if len(short) <= most else f"{short[: most - 3]}..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in short)
