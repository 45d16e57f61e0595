"""Whether two recorded architectures are of one network."""

from __future__ import annotations

from typing import Any

from kerasrl_runner.errors import WeightsError, shortened

# What a layer was called, and what only shaped its training, makes no other network.
_NOT_COMPARED = ("name", "seed")
_NOT_COMPARED_ENDINGS = ("_initializer", "_regularizer", "_constraint")
# What Keras adds and the input's shape, recorded once, already says.
NOT_RECORDED = ("batch_input_shape", "dtype", "trainable")


def check_same(expected: dict[str, Any], received: dict[str, Any]) -> None:
    """Raises WeightsError naming the first difference between two architectures (D11b)."""
    try:
        left, right = _comparable(expected), _comparable(received)
    except (AttributeError, KeyError, TypeError) as error:
        raise WeightsError("the architecture that these weights record is damaged.") from error
    for number, (mine, theirs) in enumerate(zip(left, right, strict=False)):
        if mine != theirs:
            raise WeightsError(
                f"these weights are of another architecture: part {number} is "
                f"{_difference(mine, theirs)}. Use the preset they were trained with."
            )
    if len(left) != len(right):
        raise WeightsError(
            f"these weights are of another architecture: expected {len(left) - 1} layers, "
            f"received {len(right) - 1}. Use the preset they were trained with."
        )


def _comparable(architecture: dict[str, Any]) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"input_shape": list(architecture.get("input_shape", []))}]
    for layer in architecture.get("layers", []):
        parts.append({"class": layer["class"], **_essence(layer["config"])})
    return parts


def _essence(part: Any) -> Any:
    """A config without what makes no other network, wrapped layers' included."""
    if isinstance(part, dict):
        return {
            key: _essence(value)
            for key, value in part.items()
            if key not in (*_NOT_COMPARED, *NOT_RECORDED)
            and not key.endswith(_NOT_COMPARED_ENDINGS)
        }
    return [_essence(entry) for entry in part] if isinstance(part, list | tuple) else part


def _difference(mine: dict[str, Any], theirs: dict[str, Any]) -> str:
    keys = [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]
    return " and ".join(
        f"{shortened(key)} = {shortened(repr(theirs.get(key)))} where "
        f"{shortened(repr(mine.get(key)))} was expected"
        for key in keys[:3]
    )
