"""Networks that hostile weights files describe. `evil` is a module that lies where it is found."""

from __future__ import annotations

import base64
import marshal
from typing import Any

from hypothesis import strategies as st

# A module that writes a file as soon as it runs, and whatever of it is called.
EVIL = """\
open("pwned", "w").close()

class Layer:
    @classmethod
    def from_config(cls, config): open("pwned", "w").close()

def function(*arguments): open("pwned", "w").close()
"""

_CODE = compile('open("pwned", "w").close()', "evil", "exec")
_LAMBDA = [base64.b64encode(marshal.dumps(_CODE)).decode("ascii"), None, None]

Config = dict[str, Any]


def told(*layers: Config, shape: Any = (2, 3)) -> Config:
    return {"input_shape": list(shape), "layers": list(layers)}


def layer(kind: str, /, **config: Any) -> Config:
    return {"class": kind, "config": config}


def dense(**config: Any) -> Config:
    return told(layer("Dense", units=2, **config))


def wrapped(inner: Config) -> Config:
    return told(layer("TimeDistributed", layer=inner))


def part(kind: str, module: str | None = None, /, **config: Any) -> Config:
    """An object within a layer, as Keras writes it down."""
    return {"class_name": kind, "config": config, "module": module, "registered_name": None}


_EVIL = part("Layer", "evil")
_FUNCTION = {"class_name": "function", "config": "function", "module": "evil"}
_LAMBDA_PART = part("Lambda", "keras.layers", function=_LAMBDA, function_type="lambda")
_RESIDUAL = part(
    "ResidualWrapper",
    cell=part("SimpleRNNCell", units=3),
    residual_function=_LAMBDA,
    residual_function_type="lambda",
)
_WRITES = part("TFOpLambda", function="io.write_file", name="write")


def _deep(levels: int) -> Config:
    inner = part("Dense", "keras.layers", units=2)
    for _ in range(levels):
        inner = part("TimeDistributed", "keras.layers", layer=inner)
    return told(layer("TimeDistributed", layer=inner))


# Each is refused: it runs code, reads files, takes for ever or takes all memory.
REFUSED: dict[str, Any] = {
    "layer of a module": told(layer("evil:Layer")),
    "function of a module": told(layer("evil:function")),
    "function of the system": told(layer("os:system")),
    "what is no class": told(layer("kerasrl_runner.parts.model:keras")),
    "Lambda": told(layer("Lambda", function=_LAMBDA, function_type="lambda")),
    "Lambda by its module": told(layer("tf_keras.src.layers.core.lambda_layer:Lambda")),
    "Lambda, wrapped": wrapped(_LAMBDA_PART),
    "lambda as initializer": dense(kernel_initializer=part("__lambda__", value=_LAMBDA)),
    "layer of a module, wrapped": wrapped(_EVIL),
    "layer of a module, backwards": told(
        layer("Bidirectional", layer=part("SimpleRNN", units=2), backward_layer=_EVIL)
    ),
    "initializer of a module": dense(kernel_initializer=_EVIL),
    "regularizer of a module": dense(kernel_regularizer=_EVIL),
    "constraint of a module": dense(kernel_constraint=_EVIL),
    "activation of a module": told(layer("Activation", activation=_FUNCTION)),
    "type of a module": dense(dtype=_EVIL),
    "specification of a module": dense(
        bias_initializer={**part("__typespec__", "evil"), "spec_name": "Layer"}
    ),
    "compiled with a module": wrapped(
        {**part("Dense", units=2), "compile_config": {"optimizer": _EVIL}}
    ),
    "objects as numbers": dense(
        bias_initializer=part("Constant", value=part("__numpy__", value=[0], dtype="O"))
    ),
    "any function of TensorFlow": wrapped(_WRITES),
    "any operation of TensorFlow": wrapped(
        part("TensorFlowOpLayer", node_def="name: 'x' op: 'WriteFile'")
    ),
    "lambda in a cell": told(layer("RNN", cell=_RESIDUAL)),
    "model within": wrapped(part("Sequential", layers=[_EVIL])),
    "vocabulary of a file": told(layer("StringLookup", vocabulary="/etc/passwd")),
    "vocabulary of a file, wrapped": wrapped(
        part("StringLookup", "keras.layers", vocabulary="/etc/passwd")
    ),
    "text vectors of a file": told(layer("TextVectorization", vocabulary="/etc/passwd")),
    "more weights than the file": told(layer("Dense", units=10**9)),
    "slow to initialize": told(
        layer("Dense", units=4_000, kernel_initializer="orthogonal"), shape=[4_000]
    ),
    "huge outputs": told(layer("RepeatVector", n=10**12), shape=[3]),
    "huge numbers of outputs": told(layer("ZeroPadding1D", padding=2**62)),
    "huge mean": told(
        layer("RepeatVector", n=10**9), layer("Normalization", mean=0.0, variance=1.0), shape=[3]
    ),
    "huge input": told(layer("Dense", units=2), shape=[10**6, 10**6]),
    "connections counted in Python": told(
        layer("LocallyConnected2D", filters=9, kernel_size=500, implementation=3),
        shape=[1_000, 1_000, 1],
    ),
    "wrapped 30 times": _deep(30),
    "attribute of the module": told(layer("__class__")),
    "no layers": {"input_shape": [3]},
    "layers that are none": {"input_shape": [3], "layers": 5},
    "layer that is none": {"input_shape": [3], "layers": [5]},
    "layer of no name": told({"config": {}}),
    "layer of a name that is none": told({"class": ["Dense"], "config": {"units": 2}}),
    "config that is none": told({"class": "Dense", "config": "units"}),
    "shape that is none": {"input_shape": "three", "layers": []},
    "shape of texts": told(layer("Dense", units=2), shape=["a", None]),
    "negative units": told(layer("Dense", units=-1)),
    "text": "architecture",
    "list": [1, 2],
}

_NAMES = st.sampled_from(
    """
    Dense Flatten LSTM TimeDistributed Bidirectional Activation Conv2D Reshape BatchNormalization
    Embedding Lambda evil:Layer os:system InputLayer Dropout SpectralNormalization RNN StringLookup
    Normalization EinsumDense PReLU LocallyConnected1D Permute GRU x
    """.split()
)
_KEYS = st.sampled_from(
    """
    units filters kernel_size activation layer kernel_initializer name axis mean variance dims
    target_shape kernel_regularizer input_dim output_dim rate dtype equation output_shape strides
    padding class_name config module implementation return_sequences
    """.split()
)
_SCALARS = st.one_of(
    st.integers(-2, 40),
    st.sampled_from(
        [2**31, 2**62, -(2**62), 1e308, 0.5, "relu", "same", "evil", "float64", "ab,bc->ac"]
    ),
    st.booleans(),
    st.none(),
    st.text(max_size=8),
)
_PARTS = st.builds(
    lambda name, module, config: {"class_name": name, "module": module, "config": config},
    st.one_of(
        _NAMES,
        st.sampled_from(["L2", "Zeros", "Orthogonal", "function", "__numpy__", "TFOpLambda"]),
    ),
    st.sampled_from([None, "keras.layers", "keras.initializers", "evil", "os", "builtins"]),
    st.dictionaries(_KEYS, _SCALARS, max_size=3),
)
_VALUES = st.one_of(_SCALARS, _PARTS, st.lists(_SCALARS, max_size=4))
_LAYERS = st.builds(
    lambda name, config: {"class": name, "config": config},
    _NAMES,
    st.dictionaries(_KEYS, _VALUES, max_size=4),
)
architectures = st.builds(
    lambda shape, layers: {"input_shape": shape, "layers": layers},
    st.one_of(st.lists(st.integers(0, 8), max_size=3), st.lists(_SCALARS, max_size=3)),
    st.lists(_LAYERS | _SCALARS, max_size=4),
)
