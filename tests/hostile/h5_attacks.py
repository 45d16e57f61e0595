"""Weights files that are hostile on purpose: h5py wrote them, and no reader should want them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from hostile.h5_cases import small

KERNEL = "dense/dense/kernel:0"
Attack = Callable[[h5py.File, Path], None]


def write(attack: Attack, folder: Path) -> Path:
    """The attack's file in `folder`, beside a file that is none of a weights reader's business."""
    (folder / "secret").write_bytes(np.full(12, 42, np.float32).tobytes())
    with h5py.File(folder / "secret.h5", "w") as secret:
        secret["kernel"] = np.full((4, 3), 42, np.float32)
        secret.create_group("dense").attrs["weight_names"] = np.zeros(0)
    path = folder / "case.h5"
    path.unlink(missing_ok=True)
    with small() as good, h5py.File(path, "w") as file:
        for name in good:
            good.copy(name, file)
        for key, value in good.attrs.items():
            file.attrs[key] = value
        attack(file, folder)
    return path


def _kernel(**how: object) -> Attack:
    def attack(file: h5py.File, folder: Path) -> None:
        del file[KERNEL]
        file.create_dataset(KERNEL, **how)

    return attack


def _typed(dtype: object) -> Attack:
    return _kernel(shape=(4, 3), dtype=dtype)


def _link(path: str, link: object) -> Attack:
    def attack(file: h5py.File, folder: Path) -> None:
        del file[path]
        file[path] = link

    return attack


def _attribute(key: str, value: object, of: str = "/") -> Attack:
    def attack(file: h5py.File, folder: Path) -> None:
        file[of].attrs[key] = value

    return attack


def _external_storage(file: h5py.File, folder: Path) -> None:
    _kernel(shape=(4, 3), dtype="f4", external=[(str(folder / "secret"), 0, 48)])(file, folder)


def _external_link(file: h5py.File, folder: Path) -> None:
    _link(KERNEL, h5py.ExternalLink(str(folder / "secret.h5"), "/kernel"))(file, folder)


def _external_group(file: h5py.File, folder: Path) -> None:
    _link("dense", h5py.ExternalLink(str(folder / "secret.h5"), "/dense"))(file, folder)


def _virtual(file: h5py.File, folder: Path) -> None:
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "kernel", (4, 3))
    del file[KERNEL]
    file.create_virtual_dataset(KERNEL, layout)


def _bomb_in_small_chunks(file: h5py.File, folder: Path) -> None:
    """One chunk says 48 bytes; what is packed into it is 32 KiB."""
    _kernel(shape=(4, 3), dtype="f4", chunks=(4, 3), compression="gzip")(file, folder)
    file[KERNEL].id.write_direct_chunk((0, 0), zlib.compress(bytes(1 << 15), 9))


def _unknown_filter(file: h5py.File, folder: Path) -> None:
    created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    created.set_chunk((4, 3))
    created.set_filter(999, h5py.h5z.FLAG_OPTIONAL, (1, 2))
    del file[KERNEL]
    space = h5py.h5s.create_simple((4, 3))
    h5py.h5d.create(file["dense/dense"].id, b"kernel:0", h5py.h5t.IEEE_F32LE, space, created)


def _loop(file: h5py.File, folder: Path) -> None:
    del file["dense/dense"]
    file["dense/dense"] = file["dense"]
    file["dense"].attrs["weight_names"] = np.array(["dense/" * 500 + "dense"], "S")


def _many_aliases(file: h5py.File, folder: Path) -> None:
    """A file of kilobytes that says it has gigabytes, one array over and over."""
    _kernel(data=np.zeros(20_000, np.float32))(file, folder)
    file["dense"].attrs["weight_names"] = np.array(["dense/kernel:0"] * 4_000, "S")


def _many_groups(file: h5py.File, folder: Path) -> None:
    names = [f"l{number}" for number in range(8_000)]
    for name in names:
        file.create_group(name)
    file.attrs["layer_names"] = np.array(names, "S")


def _committed_type(file: h5py.File, folder: Path) -> None:
    file["type"] = np.dtype("f4")
    del file[KERNEL]
    file.create_dataset(KERNEL, (4, 3), dtype=file["type"])


def _newer_format(file: h5py.File, folder: Path) -> None:
    group = file.create_group("indexed", track_order=True)
    for number in range(20):
        group[f"w{number}"] = np.zeros(3, np.float32)
        group.attrs[f"a{number}"] = number
    file.attrs["layer_names"] = np.array([b"indexed"])


NESTED = '{"a":' * 500 + "1" + "}" * 500
DEEP = '{"a":' * 100_000 + "1" + "}" * 100_000

# Name -> the attack, and words of the refusal ("" where the file may as well be read).
ATTACKS: dict[str, tuple[Attack, str]] = {
    "array kept in another file": (_external_storage, "another file"),
    "link to an array of another file": (_external_link, "link to elsewhere"),
    "link to a group of another file": (_external_group, "link to elsewhere"),
    "link by name": (_link(KERNEL, h5py.SoftLink("/q_values")), "link to elsewhere"),
    "link to itself": (_link("dense", h5py.SoftLink("/dense")), "link to elsewhere"),
    "virtual array": (_virtual, "another file"),
    "compressed zeros": (_kernel(data=np.zeros((4, 3)), compression="gzip"), "compressed"),
    "compression bomb": (_bomb_in_small_chunks, "compressed"),
    "2**40 claimed": (_kernel(shape=(1 << 20, 1 << 20), dtype="f4"), "file has room for"),
    "2**60 claimed": (_kernel(shape=(1 << 30, 1 << 30), dtype="u1"), "file has room for"),
    "more than the file has": (_kernel(shape=(1 << 20,), dtype="f4"), "file has room for"),
    "never written": (_typed("f4"), "outside of the file"),
    "unknown filter": (_unknown_filter, "compressed"),
    "groups in a loop": (_loop, "expected numbers"),
    "one array 4,000 times": (_many_aliases, "file has room for"),
    "8,000 groups": (_many_groups, ""),
    "type of its own": (_committed_type, "expected numbers"),
    "indexed group": (_newer_format, "indexed"),
    "complex numbers": (_typed("c8"), "expected numbers"),
    "truth values": (_typed("?"), "expected numbers"),
    "compound": (_typed([("a", "f4"), ("b", "i8")]), "expected numbers"),
    "texts": (_kernel(data="a kernel"), "expected numbers"),
    "sequences": (_typed(h5py.vlen_dtype("f4")), "expected numbers"),
    "references": (_typed(h5py.ref_dtype), "expected numbers"),
    "opaque": (_typed("V16"), "expected numbers"),
    "arrays of arrays": (_typed("(3,)f4"), "expected numbers"),
    "dates": (_typed(h5py.opaque_dtype("M8[s]")), "expected numbers"),
    "no space": (_kernel(data=h5py.Empty("f4")), "expected numbers"),
    "not a number": (_kernel(data=np.full((4, 3), np.nan)), "holds NaN"),
    "infinite as float32": (_kernel(data=np.full((4, 3), 1e300)), "holds NaN"),
    "layer names that are numbers": (_attribute("layer_names", [1, 2]), "expected texts"),
    "layer names that are references": (
        _attribute("layer_names", np.array([None], h5py.ref_dtype)), "expected texts"),
    "layer names that are compound": (
        _attribute("layer_names", np.zeros(2, [("a", "S3"), ("b", "i4")])), "expected texts"),
    "no weight names": (lambda file, folder: file["dense"].attrs.clear(), "no weight_names"),
    "60,000 names": (_attribute("layer_names", np.array([b"x"] * 60_000)), "missing"),
    "names out of the file": (_attribute("layer_names", np.array([b"../../passwd"])), "missing"),
    "names that are no text": (_attribute("layer_names", np.array([b"\xff\xfe"])), "readable"),
    "text of 100 MB": (_attribute("preset", "x" * 100_000_000), "more than 64 MiB"),
    "text of 1 MB": (_attribute("engine", "x" * 1_000_000), ""),
    "200 attributes": (
        lambda file, folder: file.attrs.update({f"a{n}": "x" * 200 for n in range(200)}), ""),
    "JSON in depth": (_attribute("architecture", DEEP), "readable"),
    "JSON in some depth": (_attribute("architecture", NESTED), "20 tables"),
    "JSON of huge numbers": (_attribute("architecture", json.dumps({"a": 1 << 70})), "64 bits"),
    "JSON that is none": (_attribute("architecture", "{" * 9), "readable"),
}  # fmt: skip
