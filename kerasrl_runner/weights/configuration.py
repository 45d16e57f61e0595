"""Keras configurations of networks: whether two are of one network, and the observations' scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerasrl_runner.errors import WeightsError, shorten
from kerasrl_runner.preset.names import RESCALING_NAME

# What only names a layer, shaped its training or places it makes no other network.
_NOT_COMPARED = (
    "name", "dtype", "trainable", "seed", "batch_input_shape", "batch_shape", "implementation",
    "time_major", "module", "registered_name", "build_config",
)  # fmt: skip
_NOT_COMPARED_ENDINGS = ("_initializer", "_regularizer", "_constraint")


def add_rescaling(
    config: dict[str, Any] | None, scale: float | Sequence[float]
) -> dict[str, Any] | None:
    """The configuration of the Sequential `config` with a Rescaling before its first layer.

    Args:
        scale: the factor of the observations, one for all or one for each component.
    """
    if config is None or scale == 1.0:
        return config
    factor = scale if isinstance(scale, float) else list(scale)
    rescaling = {"name": RESCALING_NAME, "scale": factor, "offset": 0.0}
    first, *others = config["config"]["layers"]
    layers = [first, {"class_name": "Rescaling", "config": rescaling}, *others]
    return {**config, "config": {**config["config"], "layers": layers}}


def check_same_network(
    expected: dict[str, Any], received: dict[str, Any], dueling_type: str | None = None
) -> None:
    """Raises WeightsError that names the first difference between two configurations (D11b).

    A dueling head of that type may be described as a Dense, as ours or as the vendor's.
    """
    try:
        mine, theirs = _list_parts(expected), _list_parts(received)
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        raise WeightsError("the network's configuration in these weights is damaged.") from error
    if dueling_type and theirs[-1].get("dueling_type") == dueling_type:
        theirs[-1] = mine[-1]
    elif dueling_type and theirs[-1].get("class_name") == "Lambda":
        theirs[len(mine) - 1 :] = mine[-1:]
    for number, (left, right) in enumerate(zip(mine, theirs, strict=False)):
        if left != right:
            raise WeightsError(
                f"these weights are of another architecture: "
                f"{f'layer {number}' if number else 'the input'} has "
                f"{_describe_difference(left, right)}. Use the preset they were trained with."
            )
    if len(mine) != len(theirs):
        raise WeightsError(
            f"these weights are of another architecture: expected {len(mine) - 1} layers, "
            f"received {len(theirs) - 1}. Use the preset they were trained with."
        )


def _list_parts(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The input's shape, then each layer's class and what makes its function."""
    entries = config["config"]["layers"]
    layers = [entry for entry in entries if entry["class_name"] != "InputLayer"]
    # A Sequential of Keras 2 may keep the shape in its first layer instead of an InputLayer.
    inputs = [entry for entry in entries if entry["class_name"] == "InputLayer"] or layers[:1]
    configs = [entry["config"] for entry in inputs]
    shapes = [c.get("batch_input_shape") or c.get("batch_shape") or [None] for c in configs]
    return [
        {"shape": [list(shape[1:]) for shape in shapes]},
        *(
            {"class_name": entry["class_name"], **_keep_compared(entry["config"])}
            for entry in layers
        ),
    ]


def _keep_compared(part: Any) -> Any:
    """A configuration without what makes no other network, wrapped layers' included."""
    if isinstance(part, dict):
        return {
            key: _keep_compared(value)
            for key, value in part.items()
            if key not in _NOT_COMPARED
            and not key.endswith(_NOT_COMPARED_ENDINGS)
            and value is not None
        }
    return [_keep_compared(entry) for entry in part] if isinstance(part, list | tuple) else part


def _describe_difference(expected: dict[str, Any], received: dict[str, Any]) -> str:
    keys = [k for k in {**expected, **received} if expected.get(k) != received.get(k)]
    return " and ".join(
        f"{shorten(key)} = {shorten(repr(received.get(key)))} where "
        f"{shorten(repr(expected.get(key)))} was expected"
        for key in keys[:3]
    )
