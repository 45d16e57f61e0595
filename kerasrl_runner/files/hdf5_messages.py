"""What single messages of an HDF5 object header say: types, shapes, links. Pure functions of bytes.

Sections are those of https://docs.hdfgroup.org/hdf5/v1_14/_f_m_t3.html.
"""

from __future__ import annotations

import struct

import numpy as np

# Classes of types, section IV.A.2.d.
_INTEGER, _FLOAT, STRING, VARIABLE = 0, 1, 3, 9
# A float's size in bytes -> where exponent and mantissa lie, and the exponent's bias.
_IEEE = {
    2: struct.pack("<BBBBI", 10, 5, 0, 10, 15),
    4: struct.pack("<BBBBI", 23, 8, 0, 23, 127),
    8: struct.pack("<BBBBI", 52, 11, 0, 52, 1023),
}


def size_of(datatype: bytes) -> int:
    (size,) = struct.unpack_from("<I", datatype, 4)
    return int(size)


def number_type(datatype: bytes) -> np.dtype | None:
    """The plain integer or IEEE type that is described, section IV.A.2.d; None for any other."""
    kind, flags, size = datatype[0] & 15, datatype[1], size_of(datatype)
    order = ">" if flags & 1 else "<"
    if size not in (1, 2, 4, 8) or datatype[8:12] != struct.pack("<HH", 0, 8 * size):
        return None  # some of its bits are not used
    if kind == _INTEGER:
        return np.dtype(f"{order}{'i' if flags & 8 else 'u'}{size}")
    implied_bit = flags & 0x70 == 0x20
    if kind == _FLOAT and implied_bit and datatype[12:20] == _IEEE.get(size):
        return np.dtype(f"{order}f{size}")
    return None


def shape_of(dataspace: bytes) -> tuple[int, ...] | None:
    """The lengths of the dimensions, section IV.A.2.b; None for a space without elements."""
    version, rank, _, kind = dataspace[:4]
    if version == 2 and kind == 2:
        return None
    return struct.unpack_from(f"<{rank}Q", dataspace, 4 if version == 2 else 8)


def link_of(content: bytes) -> tuple[bytes, int | None]:
    """A newer group's link: its name, and its address where it is a hard one, section IV.A.2.g."""
    flags, position, kind = content[1], 2, 0
    if flags & 8:
        kind, position = content[2], 3
    position += 8 * bool(flags & 4) + bool(flags & 16)
    start = position + (1 << (flags & 3))
    end = start + int.from_bytes(content[position:start], "little")
    hard = kind == 0
    return content[start:end], struct.unpack_from("<Q", content, end)[0] if hard else None
