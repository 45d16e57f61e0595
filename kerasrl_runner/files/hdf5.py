"""The little of HDF5 that Keras' weights need, read in Python and trusting nothing.

libhdf5 is made for files that one wrote oneself: of 20,000 damaged weights files 35 sent it into an
endless loop, 2 crashed it and some made it ask for 4 GiB; it follows links into other files and
unpacks whatever is compressed. Here every loop is counted, every address and size is held against
the file's length, and what weights do not need (chunks, compression, links to elsewhere, types of
one's own) is refused.

Sections are those of https://docs.hdfgroup.org/hdf5/v1_14/_f_m_t3.html.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from kerasrl_runner.files.hdf5_messages import (
    STRING,
    VARIABLE,
    link_of,
    number_type,
    shape_of,
    size_of,
)

# Far above any network this project trains; reading and checking them takes half as much again.
MAX_BYTES = 1 << 29
MAX_OTHER_BYTES = 1 << 26  # names, attributes and all else that is read on the way
MAX_STEPS = 100_000  # messages, links and texts met on the way: about a second
MAX_NAME = 1_000

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_NOWHERE = (1 << 64) - 1
_SOFT = 2  # a link by name, in an old group's entry
# Kinds of messages, section IV.A.2.
_DATASPACE, _LINK_INFO, _DATATYPE, _LINK, _EXTERNAL, _LAYOUT = 1, 2, 3, 6, 7, 8
_FILTERS, _ATTRIBUTE, _CONTINUED, _SYMBOLS, _ATTRIBUTE_INFO = 11, 12, 16, 17, 21


class Refused(Exception):
    """The file holds what weights do not need; the message says what was expected."""


class Damaged(Exception):
    """The file contradicts itself or the format."""


class Node(NamedTuple):
    """A group or a dataset: its path and its messages (type, content)."""

    path: str
    messages: tuple[tuple[int, bytes], ...]

    def first(self, kind: int) -> bytes | None:
        return next((content for found, content in self.messages if found == kind), None)


class Hdf5:
    """An open file. All raises Refused, Damaged, or what Python raises for senseless bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = os.fstat(file.fileno()).st_size
        self._steps_left, self._bytes_left = MAX_STEPS, MAX_OTHER_BYTES
        self._links_of: dict[str, dict[bytes, int | None]] = {}
        self._heaps: dict[int, dict[int, tuple[int, int]]] = {}
        self.root = self._node("", self._root_address())

    def member(self, group: Node, name: str) -> Node:
        """The group or dataset `name` ("dense/kernel:0") below `group`; raises Damaged for none."""
        for part in name.split("/"):
            path = f"{group.path}/{part}"
            links = self._links(group)
            if part.encode("utf-8") not in links:
                raise Damaged(f"{path} is named and missing")
            address = links[part.encode("utf-8")]
            if address is None:
                raise Refused(f"{path} is a link to elsewhere, which is not followed")
            group = self._node(path, address)
        return group

    def has(self, group: Node, name: str) -> bool:
        return name.encode("utf-8") in self._links(group)

    def array(self, dataset: Node, most_bytes: int) -> np.ndarray:
        """A dataset's numbers, of at most `most_bytes`."""
        datatype, dataspace, layout = map(dataset.first, (_DATATYPE, _DATASPACE, _LAYOUT))
        dtype = number_type(datatype) if datatype else None
        shape = shape_of(dataspace) if dataspace else None
        if dtype is None or shape is None or layout is None:
            raise Refused(f"{dataset.path}: expected numbers")
        size = math.prod(shape) * dtype.itemsize
        if size > most_bytes:
            raise Refused(
                f"{dataset.path}: expected numbers that the file has room for, "
                f"{MAX_BYTES >> 20} MiB at most in all; received {dtype} of shape {shape}"
            )
        elsewhere = dataset.first(_FILTERS) or dataset.first(_EXTERNAL)
        if elsewhere is not None or layout[0] not in (3, 4) or layout[1] > 1:
            raise Refused(
                f"{dataset.path}: expected a plain array, as Keras writes it; received one in "
                f"chunks, compressed or kept in another file"
            )
        value = np.empty(shape, dtype)
        into = value.reshape(-1).view(np.uint8)
        if layout[1] == 0:  # within the header itself
            into[:] = np.frombuffer(layout, np.uint8, size, offset=4)
        elif size:
            (address,) = struct.unpack_from("<Q", layout, 2)
            if address > self.size - size:
                raise Damaged(f"{dataset.path}: its numbers lie outside of the file")
            self._file.seek(address)
            if self._file.readinto(into) != size:  # type: ignore[attr-defined]
                raise Damaged(f"{dataset.path}: its numbers end with the file")
        return value if dtype.isnative else value.byteswap(inplace=True).view(dtype.newbyteorder())

    def texts(self, owner: Node, name: str) -> list[str] | None:
        """The attribute `name`, a list of texts; None where there is none."""
        for found, value in self._attributes(owner):
            if found == name:
                if value is None or not all(isinstance(text, str) for text in value):
                    raise Refused(f"{owner.path}/{name}: expected texts")
                return value
        return None

    def scalars(self, owner: Node) -> dict[str, str | int | float]:
        """The attributes that are one text or number each; others are not looked at."""
        return {
            name: value[0] for name, value in self._attributes(owner) if value and not value[1:]
        }

    def _step(self) -> None:
        self._steps_left -= 1
        if self._steps_left < 0:
            raise Refused("it has more parts than the weights of any network")

    def _at(self, address: int, size: int) -> bytes:
        self._bytes_left -= size
        if size < 0 or not 0 <= address <= self.size - size:
            raise Damaged("it points outside of itself")
        if self._bytes_left < 0:
            raise Refused(f"its names and texts take more than {MAX_OTHER_BYTES >> 20} MiB")
        self._file.seek(address)
        return self._file.read(size)

    def _root_address(self) -> int:
        """Section II."""
        head = self._at(0, min(self.size, 96))
        # Where the version keeps the width of addresses, the base, the file's end and the root.
        places = {0: (13, 24, 40, 64), 1: (13, 28, 44, 68)}
        if head[:8] != _SIGNATURE or len(head) < 96 or head[8] > 3:
            raise Damaged("it does not begin as an HDF5 file does")
        width, base, end, root = places.get(head[8], (9, 12, 28, 36))
        if head[width : width + 2] != b"\x08\x08" or head[base : base + 8] != bytes(8):
            raise Refused("expected addresses of 8 bytes, counted from the file's beginning")
        if int.from_bytes(head[end : end + 8], "little") > self.size:
            raise Damaged("it is shorter than it says")
        return int.from_bytes(head[root : root + 8], "little")

    def _node(self, path: str, address: int) -> Node:
        """The object header at `address`, sections IV.A.1.a and b."""
        head = self._at(address, min(16, max(0, self.size - address)))
        if head[:4] == b"OHDR":
            flags = head[5]
            start = 6 + 16 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
            width = 1 << (flags & 3)
            size = int.from_bytes(self._at(address + start, width), "little")
            blocks = [(address + start + width, size)]
            form, tracked, edge = "<BHB", 2 * bool(flags & 4), 4
        elif head[:1] == b"\x01":
            blocks = [(address + 16, struct.unpack_from("<I", head, 8)[0])]
            form, tracked, edge = "<HHB3x", 0, 0
        else:
            raise Damaged(f"there is no object at {path or '/'}")
        messages = []
        for start, size in blocks:  # grows by what is continued elsewhere
            block, position = self._at(start, size), 0
            while position + struct.calcsize(form) + tracked <= size:
                self._step()
                kind, length, flags = struct.unpack_from(form, block, position)
                position += struct.calcsize(form) + tracked
                content = block[position : position + length]
                position += length
                if kind == _CONTINUED:
                    at, long = struct.unpack_from("<QQ", content)
                    blocks.append((at + edge, long - 2 * edge))
                elif not flags & 2:  # shared, such as a type with a name: not for weights
                    messages.append((kind, content))
        return Node(path, tuple(messages))

    def _links(self, group: Node) -> dict[bytes, int | None]:
        """Name -> address of each member, None for a link that is not plainly an object here."""
        if group.path in self._links_of:
            return self._links_of[group.path]
        links = self._links_of[group.path] = {}
        for kind, content in group.messages:
            if kind == _SYMBOLS:
                tree, heap = struct.unpack_from("<QQ", content)
                links.update(self._symbols(tree, heap))
            elif kind == _LINK:
                name, address = link_of(content)
                links[name] = address
            elif kind == _LINK_INFO:
                self._only_small(content[2 + 8 * (content[1] & 1) :], group)
        return links

    def _only_small(self, heap: bytes, owner: Node) -> None:
        if struct.unpack_from("<Q", heap)[0] != _NOWHERE:
            raise Refused(f"{owner.path or '/'}: its parts are indexed, which Keras never does")

    def _symbols(self, tree: int, heap: int) -> Iterator[tuple[bytes, int | None]]:
        """An old group's B-tree and local heap, sections III.A.1, III.B, III.C and III.D."""
        head = self._at(heap, 32)
        size, _, start = struct.unpack_from("<QQQ", head, 8)
        names = self._at(start, size)
        nodes = [tree]
        for address in nodes:  # grows by each node's children
            self._step()
            head = self._at(address, 24)
            if head[:4] == b"TREE":
                (used,) = struct.unpack_from("<H", head, 6)
                entries = self._at(address + 24, 8 + 16 * used)
                nodes += [struct.unpack_from("<Q", entries, 8 + 16 * n)[0] for n in range(used)]
            elif head[:4] == b"SNOD":
                (used,) = struct.unpack_from("<H", head, 6)
                entries = self._at(address + 8, 40 * used)
                for name, target, cached in struct.iter_unpack("<QQI20x", entries):
                    self._step()
                    text = names[name : name + MAX_NAME].split(b"\0")[0]
                    yield text, None if cached == _SOFT else target
            else:
                raise Damaged("a group in it is no tree")

    def _attributes(self, owner: Node) -> Iterator[tuple[str, list[Any] | None]]:
        """Each attribute of texts or numbers, section IV.A.2.m; None for any other."""
        for kind, content in owner.messages:
            if kind == _ATTRIBUTE_INFO:
                self._only_small(content[2 + 2 * (content[1] & 1) :], owner)
            if kind != _ATTRIBUTE:
                continue
            version, flags, name_size, type_size, space_size = struct.unpack_from("<BBHHH", content)
            if version not in (1, 2, 3) or (version > 1 and flags):
                continue
            position = 9 if version == 3 else 8
            parts = []
            for size in (name_size, type_size, space_size):
                parts.append(content[position : position + size])
                position += -(-size // 8) * 8 if version == 1 else size
            name = parts[0].split(b"\0")[0].decode("utf-8")
            yield name, self._values(parts[1], parts[2], content[position:])

    def _values(self, datatype: bytes, dataspace: bytes, data: bytes) -> list[Any] | None:
        shape, number = shape_of(dataspace), number_type(datatype)
        kind, variable, size = datatype[0] & 15, datatype[1] & 15, size_of(datatype)
        count = 0 if shape is None else math.prod(shape)
        if count == 0 or size == 0:
            return []
        if count * size > len(data):
            raise Damaged("an attribute is larger than what holds it")
        if number is not None:
            return list(np.frombuffer(data, number, count).tolist())
        parts = [data[n * size : (n + 1) * size] for n in range(count)]
        if kind == STRING:
            return [part.rstrip(b"\0").decode("utf-8") for part in parts]
        if kind == VARIABLE and variable == 1 and size == 16:
            return [self._heap_text(part).rstrip(b"\0").decode("utf-8") for part in parts]
        return None

    def _heap_text(self, reference: bytes) -> bytes:
        """A text of no fixed length, which lies in a global heap."""
        size, heap, index = struct.unpack("<IQI", reference)
        if size == 0:
            return b""
        if heap not in self._heaps:
            self._heaps[heap] = self._heap(heap)
        start, length = self._heaps[heap].get(index, (0, 0))
        if size > length:
            raise Damaged("a text in it is longer than its place")
        return self._at(start, size)

    def _heap(self, address: int) -> dict[int, tuple[int, int]]:
        """Index -> (address, length) of each text in the heap at `address`, section III.E."""
        head = self._at(address, 16)
        if head[:5] != b"GCOL\x01":
            raise Damaged("a text in it has no place")
        end = address + int.from_bytes(head[8:], "little")
        position, found = address + 16, {}
        while position + 16 <= end:
            self._step()
            index, length = struct.unpack("<H6xQ", self._at(position, 16))
            if index == 0:  # the rest is free
                break
            found[index] = (position + 16, length)
            position += 16 + -(-length // 8) * 8
        return found
