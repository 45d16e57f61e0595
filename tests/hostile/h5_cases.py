"""Mutated, truncated and bit-flipped weights files, and files that are hostile on purpose."""

from __future__ import annotations

import functools
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from hypothesis import strategies as st

from kerasrl_runner.files.places import shipped_folder

CORPUS = Path(__file__).resolve().parent.parent / "corpus"
MODELS = sorted((CORPUS / "models").glob("*.h5"))  # by this project, tf_keras and Keras 3

# What a damaged byte is aimed at: the places where the format keeps its own numbers.
SIGNATURES = (
    b"\x89HDF",
    b"TREE",
    b"SNOD",
    b"HEAP",
    b"GCOL",
    b"OHDR",
    b"_names",
    b"kernel",
    b"preset",
)
NUMBERS = (0, 1, 7, 8, 255, 2**16 - 1, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1)

Change = Callable[[h5py.File], None]


def small() -> h5py.File:
    """Two layers of one kernel and bias, one without weights, and every attribute."""
    file = h5py.File("case.h5", "w", driver="core", backing_store=False)
    file.attrs["layer_names"] = np.array([b"flatten", b"dense", b"q_values"])
    for name, shape in (("flatten", None), ("dense", (4, 3)), ("q_values", (3, 2))):
        group = file.create_group(name)
        names = [f"{name}/kernel:0", f"{name}/bias:0"] if shape else []
        group.attrs["weight_names"] = np.array([n.encode() for n in names], "S") if names else []
        if shape:
            group[names[0]] = np.ones(shape, np.float32)
            group[names[1]] = np.zeros(shape[1], np.float32)
    file["q_values"]["scalar"] = np.float32(1)
    file.attrs["preset"] = '[env]\nid = "CartPole-v1"\n[model]\nlayers = []\n'
    file.attrs["architecture"] = json.dumps({"input_shape": [4], "layers": []})
    file.attrs["seed"] = 7
    return file


def content(file: h5py.File) -> bytes:
    file.flush()
    image = bytes(file.id.get_file_image())
    file.close()
    return image


def changed(change: Change) -> bytes:
    file = small()
    change(file)
    return content(file)


@functools.cache
def bases() -> tuple[bytes, ...]:
    shipped = sorted(shipped_folder("weights").glob("*.h5"))
    files = [path.read_bytes() for path in (*MODELS, *shipped)]
    return (*files, changed(lambda file: None))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good file of which bytes are flipped, replaced, moved, added or missing."""
    data = bytearray(draw(st.sampled_from(bases())))
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        signature = draw(st.sampled_from((*SIGNATURES, b"", b"")))
        if signature and (places := _places(bytes(data), signature)):
            at = min(len(data) - 1, draw(st.sampled_from(places)) + draw(st.integers(-8, 80)))
        kind = draw(st.sampled_from(["flip"] * 4 + ["number"] * 3 + ["move", "move", "add", "cut"]))
        if kind == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "number":
            width = draw(st.sampled_from((1, 2, 4, 8)))
            number = draw(st.sampled_from((*NUMBERS, len(data), at)))
            data[at : at + width] = (number % (1 << 8 * width)).to_bytes(width, "little")
        elif kind == "move":
            start, length = draw(st.integers(0, len(data))), draw(st.integers(1, 64))
            data[at : at + length] = data[start : start + length]
        elif kind == "add":
            data[at:at] = draw(st.binary(min_size=1, max_size=16))
        else:
            del data[at:]
    return bytes(data)


def _places(data: bytes, signature: bytes) -> list[int]:
    places, at = [], data.find(signature)
    while at >= 0 and len(places) < 50:
        places.append(at)
        at = data.find(signature, at + 1)
    return places


_ARRAYS = st.sampled_from(
    [
        np.zeros(n, kind)
        for n in (0, 1, 9)
        for kind in ("f4", "i8", "S3", "c8", "?", "f2", ">f8", "u1")
    ]
)
_TEXTS = st.one_of(
    st.text(max_size=20).filter(lambda text: "\0" not in text),
    st.sampled_from(
        ["{", "{}", "[" * 99, '{"a": ' * 99 + "1" + "}" * 99, '{"a": 1e999}', "nan", "/"]
    ),
    st.sampled_from(["..", "/", "a/../b", "dense", "dense/kernel:0", ".", "//", "x" * 5_000, "é"]),
)
_VALUES = st.one_of(
    _TEXTS,
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.lists(_TEXTS.map(lambda text: text.encode()), min_size=1, max_size=5).map(np.array),
    st.lists(_TEXTS, min_size=1, max_size=4).map(lambda ts: np.array(ts, h5py.string_dtype())),
    _ARRAYS,
)


def header_in_itself() -> bytes:
    """The root's header goes on where it began."""
    data = bytearray(bases()[-1])
    (root,) = struct.unpack_from("<Q", data, 64)
    struct.pack_into("<HHB3xQQ", data, root + 16, 16, 16, 0, root + 16, 24)
    return bytes(data)


def tree_in_itself() -> bytes:
    """The root's tree of names is its own branch."""
    data = bytearray(bases()[-1])
    tree = data.find(b"TREE")
    struct.pack_into("<Q", data, tree + 32, tree)
    return bytes(data)


def heap_of_nothings() -> bytes:
    """Millions of texts of no length before the one that is looked for."""
    data = bases()[-1]
    heap, size = struct.pack("<Q", data.find(b"GCOL")), 1 << 26
    data = data.replace(heap, struct.pack("<Q", len(data)))
    nothing = struct.pack("<HHIQ", 9, 1, 0, 0)
    return data + b"GCOL\x01\0\0\0" + struct.pack("<Q", size) + nothing * ((size - 16) // 16)


_PLACES = ("/", "dense", "q_values", "flatten")
_KEYS = st.sampled_from(["layer_names", "weight_names", "preset", "architecture", "x"])
_CHANGES = st.one_of(
    st.tuples(st.just("attribute"), st.sampled_from(_PLACES), _KEYS, _VALUES),
    st.tuples(st.just("remove"), st.sampled_from(_PLACES), _KEYS, st.none()),
    st.tuples(st.just("array"), st.just("/"), st.just("dense/dense/kernel:0"), _ARRAYS),
    st.tuples(
        st.just("link"),
        st.just("/"),
        st.just("dense/dense/bias:0"),
        st.sampled_from(["/", "/dense", "/nowhere", "dense/kernel:0"]),
    ),
)


def _rewritten(changes: list[tuple[str, str, str, Any]]) -> bytes:
    file = small()
    for kind, place, key, value in changes:
        if kind == "attribute":
            file[place].attrs[key] = value
        elif kind == "remove" and key in file[place].attrs:
            del file[place].attrs[key]
        elif kind == "array":
            _replace(file, key, value)
        elif kind == "link":
            _replace(file, key, h5py.SoftLink(value))
    return content(file)


# A file that h5py wrote well, of other attributes, names, shapes and types.
rewritten = st.lists(_CHANGES, min_size=1, max_size=4).map(_rewritten)


def _replace(file: h5py.File, path: str, value: Any) -> None:
    if path in file or file.get(path, getlink=True) is not None:
        del file[path]
    file[path] = value
