"""Between a Keras model and a weights file."""

from __future__ import annotations

from typing import Any

from kerasrl_runner.errors import WeightsError, shortened
from kerasrl_runner.parts.model import DuelingHead
from kerasrl_runner.vendor import keras
from kerasrl_runner.weights.dueling import fold, is_foldable, unfold
from kerasrl_runner.weights.file import Layer, WeightsFile


def layers_of(model: Any) -> tuple[Layer, ...]:
    """The model's weights layer by layer, as legacy Keras .h5 files hold them.

    A dueling head is folded into one Dense [F, A] where that is exact, so that the file loads
    into the plain network.
    """
    layers = []
    for layer in model.layers:
        variables = [*layer.trainable_weights, *layer.non_trainable_weights]
        values = keras.backend.batch_get_value(variables)
        if isinstance(layer, DuelingHead):
            values = [fold(value, layer.dueling_type) for value in values]
        names = [variable.name for variable in variables]
        layers.append(Layer(layer.name, tuple(zip(names, values, strict=True))))
    return tuple(layers)


def set_layers(model: Any, weights: WeightsFile) -> None:
    """Put a file's weights into the model, all or none.

    Layers are matched by their order, as Keras does; layers without weights do not count.

    Raises:
        WeightsError: a number of layers or a shape differs; nothing was changed.
    """
    targets = [layer for layer in model.layers if layer.weights]
    sources = [layer for layer in weights.layers if layer.weights]
    expected = [_shapes(layer) for layer in targets]
    received = [[value.shape for _, value in layer.weights] for layer in sources]
    if expected != received:
        raise WeightsError(
            f"these weights are of another architecture: expected shapes "
            f"{shortened(_readable(expected))}, received {shortened(_readable(received))}. Use the "
            f"preset they were trained with."
        )
    values = []
    for target, source in zip(targets, sources, strict=True):
        for _, value in source.weights:
            if isinstance(target, DuelingHead):
                value = unfold(value, target.dueling_type)
            values.append(value)
    variables = [
        variable
        for layer in targets
        for variable in (*layer.trainable_weights, *layer.non_trainable_weights)
    ]
    keras.backend.batch_set_value(list(zip(variables, values, strict=True)))


def _shapes(layer: Any) -> list[tuple[int, ...]]:
    shapes = [tuple(w.shape) for w in (*layer.trainable_weights, *layer.non_trainable_weights)]
    if isinstance(layer, DuelingHead) and is_foldable(layer.dueling_type):
        return [(*shape[:-1], shape[-1] - 1) for shape in shapes]
    return shapes


def _readable(shapes: list[list[tuple[int, ...]]]) -> str:
    return ", ".join(" + ".join(map(str, layer)) for layer in shapes) or "none"
